//===- MatmulRows.cpp - Products of few rows -------------------------------===//
//
// The warps of a block share columns and take turns with units of inputs; their sums are
// added in shared memory in a fixed order.
//
//===----------------------------------------------------------------------===//
#include "MatmulRows.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

Values RowsThread::loadUnit(const WeightPlace &place, Value at) {
  Values raw;
  for (int64_t i = 0; i < unit; ++i)
    llvm::append_range(raw, p.load(t, args, place, t.add(t.mul(at, unit), i)));
  return raw;
}

void RowsThread::multiplyHalfChunk(const Source &source, Value chunk, ValueRange raw, Values &sums) {
  constexpr int64_t kWords = kHalfInputs / 2;
  Value zero = t.i32(0), first = t.add(t.mul(chunk, kHalfSteps * kWords), inGroup);
  for (int64_t step = 0; step < kHalfSteps; ++step) {
    SmallVector<Values> weights = p.decodeHalf(t, raw, step);
    for (Value part : {source.low, source.x}) {
      Values a(4, zero);
      for (int64_t r = 0; r < 2; ++r) {
        Value word = t.load(t.getI32Type(), t.at(part, t.getI32Type(), t.add(first, step * kWords + 4 * r)));
        a[2 * r] = t.select(source.isRow, word, zero);
      }
      for (auto [j, b] : llvm::enumerate(weights))
        multiplyHalf(a, b, sums, 4 * j);
    }
  }
}

Values RowsThread::multiplyUnit(const Source &source, Value at, ValueRange raw, Values sums) {
  Value zero = t.i32(0);
  size_t each = raw.size() / unit;
  for (int64_t i = 0; i < unit; ++i) {
    Value chunk = t.add(t.mul(at, unit), i), firstWord = t.mul(chunk, kChunkWords);
    if (source.low) {
      multiplyHalfChunk(source, chunk, raw.slice(i * each, each), sums);
      continue;
    }
    for (int64_t step = 0; step < kChunkSteps; ++step) {
      Values words;
      for (int64_t half = 0; half < 2; ++half) {
        words.push_back(loadWord(source.x, t.add(firstWord, laneWord(step, half)), source.isRow));
      }
      // Rows 8 to 15 of the tile are not there.
      Fragment a = activations(words, p.splitFewRows);
      a.high = {a.high[0], zero, a.high[1], zero};
      if (!a.low.empty())
        a.low = {a.low[0], zero, a.low[1], zero};
      for (auto [j, b] : llvm::enumerate(p.decode(t, raw.slice(i * each, each), step)))
        multiply(a, b, sums, 4 * j);
    }
  }
  return sums;
}

Values RowsThread::multiplyRows(const WeightPlace &place, const Turn &turn, const Source &source, Values first) {
  // Sums 4j and 4j + 1 are of columns j and 4 + j; the others are of no row.
  Values state = zeroSums(p.paddedGroup ? kTiles * 2 : kTiles * 4);
  size_t numSums = state.size();
  llvm::append_range(state, first);
  state = t.forLoop(turn.split, t.i32(p.rowUnits()), turn.splits, state, [&](Value at, ValueRange carried) {
    Values next = loadUnit(place, t.add(at, turn.splits));
    Values sums = carried.take_front(numSums);
    if (p.paddedGroup) {
      Values fresh = multiplyUnit(source, at, carried.drop_front(numSums), zeroSums(kTiles * 4)), used;
      SmallVector<int64_t> columns;
      for (int64_t j = 0; j < kTiles; ++j)
        for (int64_t i = 0; i < 2; ++i)
          used.push_back(fresh[4 * j + i]), columns.push_back(4 * i + j);
      sums = fold(p.groupScales(t, args, place, t.mul(at, unit)), used, sums, columns);
    } else {
      sums = multiplyUnit(source, at, carried.drop_front(numSums), sums);
    }
    llvm::append_range(sums, next);
    return sums;
  });
  int64_t stride = numSums / kTiles;
  Values vectors;
  for (int64_t i = 0; i < 2; ++i)
    vectors.push_back(t.pack({state[i], state[stride + i], state[2 * stride + i], state[3 * stride + i]}));
  return vectors;
}

//===----------------------------------------------------------------------===//
// Integers in the order of groups
//===----------------------------------------------------------------------===//

/// A scale of x and a factor of the column for each unit of a round.
Values RowsThread::loadScales(const OrderedSum &sum, const Turn &turn, Value round) {
  Values scales;
  for (int64_t i = 0; i < turn.splits; ++i) {
    Value chunk = t.mul(t.add(t.mul(round, turn.splits), i), unit);
    scales.push_back(p.activationScale(t, args, sum.row, chunk));
    scales.push_back(p.columnScale(t, args, sum.column, chunk));
  }
  return scales;
}

/// Adds up what the warps of a turn have left in `memory`: integers of the group that is not
/// complete, and what complete ones come to. Takes and gives {pending, total}.
Values RowsThread::addRound(const OrderedSum &sum, int64_t rows, const Turn &turn, Value round, ValueRange scales,
                            Value memory, ValueRange carried) {
  int64_t perGroup = p.chunksPerGroup() / unit, units = p.rowUnits();
  Type i32 = t.i32Type();
  Value pending = carried[0], total = carried[1];
  for (int64_t i = 0; i < turn.splits; ++i) {
    Value at = t.add(t.mul(round, turn.splits), i), isUnit = t.less(at, units);
    Value place = t.mul(t.add(sum.place, i * rows), kWarpColumns);
    Value part = t.load(i32, t.at(t.at(memory, i32, place), i32, t.lane()));
    pending = t.add(pending, t.select(isUnit, part, t.i32(0)));
    Value next = t.fma(t.mul(exactFloat(pending), scales[2 * i]), scales[2 * i + 1], total);
    Value isComplete = isUnit;
    if (perGroup > 1) {
      Value isLast = t.either(t.equal(t.rem(at, t.i32(perGroup)), perGroup - 1), t.equal(at, units - 1));
      isComplete = t.both(isUnit, isLast);
    }
    total = t.select(isComplete, next, total);
    pending = t.select(isComplete, groupSums(1)[0], pending);
  }
  return {pending, total};
}

Value RowsThread::multiplyInOrder(const WeightPlace &place, const Turn &turn, const Source &source, Values first,
                                  const OrderedSum &sum, int64_t rows, Value memory) {
  Type i32 = t.i32Type(), four = t.vector(i32, 4);
  Values state{groupSums(1)[0], t.f32(0)}, none(2 * turn.splits, t.f32(0));
  llvm::append_range(state, first);
  Value rounds = t.i32(llvm::divideCeil(p.rowUnits(), turn.splits));
  state = t.forLoop(t.i32(0), rounds, 1, state, [&](Value round, ValueRange carried) {
    Value at = t.add(t.mul(round, turn.splits), turn.split);
    Values next = loadUnit(place, t.add(at, turn.splits));
    // On their way while the warp multiplies.
    Values scales = t.ifElse(sum.isOne, [&] { return loadScales(sum, turn, round); }, [&] { return none; });
    Values sums = multiplyUnit(source, at, carried.drop_front(2), zeroSums(kTiles * 4));
    // Two places take turns, so that one barrier is enough: who writes here again has met the
    // others after they read.
    Value half = t.at(memory, i32, t.mul(t.bitAnd(round, 1), orderedBytes(rows) / 8));
    Value row = rows == 1 ? t.warp() : t.add(t.mul(t.warp(), rows), group);
    auto store = [&] {
      Value mine = t.at(half, i32, t.add(t.mul(row, kWarpColumns), t.mul(inGroup, 8)));
      for (int64_t i : {0, 1})
        t.store(t.pack({sums[i], sums[4 + i], sums[8 + i], sums[12 + i]}), t.at(mine, four, i));
    };
    if (rows == 1)
      t.ifThen(t.equal(group, 0), store);
    else
      store();
    t.barrier();
    Values added = t.ifElse(
        sum.isOne, [&] { return addRound(sum, rows, turn, round, scales, half, carried.take_front(2)); },
        [&] { return Values{carried[0], carried[1]}; });
    llvm::append_range(added, next);
    return added;
  });
  return state[1];
}

namespace {

struct ProductRowsThread : RowsThread {
  ProductRowsThread(Emitter &t, const Product &p, ValueRange args) : RowsThread(t, p, args) {}

  void run() {
    Value firstColumns = t.block(), rows = args[kRows], isRow = t.less(group, rows);
    WeightPlace place = placeOf(firstColumns);
    Value x = t.row(args[kX], t.getI8Type(), t.select(isRow, group, t.i32(0)), p.inputs * p.elementBytes);
    Turn turn{t.warp(), kRowWarps};
    if (p.foldsIntegers())
      return runInOrder(place, turn, {x, isRow});
    Values sums = multiplyRows(place, turn, {x, isRow}, loadFirst(place, turn));
    Type type = sumType();
    Value mine = t.add(t.mul(t.add(t.mul(t.warp(), kFewRows), group), kWarpColumns), t.mul(inGroup, 8));
    for (auto [i, vector] : llvm::enumerate(sums))
      t.store(vector, t.at(t.at(t.shared(), type, mine), vector.getType(), i));
    t.barrier();
    Value row = t.warp(), column = t.add(t.mul(firstColumns, kWarpColumns), t.lane());
    Value sum;
    for (int64_t i = 0; i < kRowWarps; ++i) {
      Value part = t.load(type, t.at(t.at(t.shared(), type, t.thread()), type, i * kFewRows * kWarpColumns));
      sum = i ? t.add(sum, part) : part;
    }
    t.ifThen(t.both(t.less(row, rows), t.less(column, p.columns)), [&] {
      Values sums{sum};
      p.finish(t, args, {row}, {column}, sums);
      t.store(sums[0], t.at(t.row(args[kY], t.f32Type(), row, p.columns), t.f32Type(), column));
    });
  }

private:
  /// A thread has the row of its warp's number and the column of its lane.
  void runInOrder(const WeightPlace &place, const Turn &turn, const Source &source) {
    Value column = t.add(t.mul(t.block(), kWarpColumns), t.lane()), row = t.warp();
    Value isOne = t.both(t.less(row, args[kRows]), t.less(column, p.columns));
    OrderedSum sum{row, t.min(column, t.i32(p.columns - 1)), row, isOne};
    Value total = multiplyInOrder(place, turn, source, loadFirst(place, turn), sum, kFewRows, t.shared());
    t.ifThen(isOne, [&] { t.store(total, t.at(t.row(args[kY], t.f32Type(), row, p.columns), t.f32Type(), column)); });
  }
};

} // namespace

void launchProductRows(Kernel &k, const Product &p, Value rows, ArrayRef<Argument> arguments) {
  Value any = k.min(rows, k.i64(1));
  int64_t sharedBytes = p.foldsIntegers() ? orderedBytes(kFewRows) : kRowWarps * kFewRows * kWarpColumns * 4;
  k.launch({.grid = {k.i64(llvm::divideCeil(p.columns, kWarpColumns)), any},
            .threads = kRowWarps * kWarp,
            .sharedBytes = sharedBytes,
            .suffix = "_rows"},
           arguments, [&](Emitter &t, ValueRange args) { ProductRowsThread(t, p, args).run(); });
}

} // namespace qopt::cuda
