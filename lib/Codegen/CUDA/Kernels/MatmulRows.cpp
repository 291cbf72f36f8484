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
        Value word = p.lanesTakeRuns ? t.add(t.mul(inGroup, kStepWords), 2 * step + half)
                                     : t.add(inGroup, step * kStepWords + 4 * half);
        words.push_back(loadWord(source.x, t.add(firstWord, word), source.isRow));
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

namespace {

struct ProductRowsThread : RowsThread {
  ProductRowsThread(Emitter &t, const Product &p, ValueRange args) : RowsThread(t, p, args) {}

  void run() {
    Value firstColumns = t.block(), rows = args[kRows], isRow = t.less(group, rows);
    WeightPlace place = placeOf(firstColumns);
    Value x = t.row(args[kX], t.getI8Type(), t.select(isRow, group, t.i32(0)), p.inputs * p.elementBytes);
    Turn turn{t.warp(), kRowWarps};
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
};

} // namespace

void launchProductRows(Kernel &k, const Product &p, Value rows, ArrayRef<Argument> arguments) {
  Value any = k.min(rows, k.i64(1));
  k.launch({.grid = {k.i64(llvm::divideCeil(p.columns, kWarpColumns)), any},
            .threads = kRowWarps * kWarp,
            .sharedBytes = kRowWarps * kFewRows * kWarpColumns * 4,
            .suffix = "_rows"},
           arguments, [&](Emitter &t, ValueRange args) { ProductRowsThread(t, p, args).run(); });
}

} // namespace qopt::cuda
