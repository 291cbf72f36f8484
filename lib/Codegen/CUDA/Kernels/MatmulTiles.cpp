//===- MatmulTiles.cpp - The frame that all matrix products share ----------===//
#include "MatmulTiles.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

int64_t Product::chunks() const {
  if (!paddedGroup)
    return llvm::divideCeil(inputs, chunkElements());
  int64_t groups = llvm::divideCeil(inputs, groupSize);
  return (groups - 1) * (paddedGroup / chunkElements()) +
         llvm::divideCeil(inputs - (groups - 1) * groupSize, chunkElements());
}

Values loadWords(Emitter &t, Value pointer) {
  Value words = t.load(t.vector(t.getI32Type(), 4), pointer);
  Values result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(t.extract(words, i));
  return result;
}

namespace {

constexpr int64_t kStages = 3, kRowBytes = 128, kPieces = 8, kTiles = 4;

/// Blocks of `rowTiles` x 16 rows and `warps` x 32 columns.
struct TileShape {
  int64_t rowTiles, warps;
  int64_t rows() const { return rowTiles * 16; }
  int64_t threads() const { return warps * kWarp; }
  int64_t stageBytes() const { return rows() * kRowBytes; }
};

constexpr TileShape kSmall{2, 2}, kLarge{4, 4};
/// Rows from which on the large tiles pay.
constexpr int64_t kManyRows = 64;
/// Warps that share 32 columns in the launch for few rows: a thread per sum.
constexpr int64_t kSplit = kFewRows * kWarpColumns / kWarp;

class Writer {
public:
  Writer(Emitter &t, const Product &p, ValueRange args) : t(t), p(p), args(args) {
    group = t.shiftRight(t.lane(), 2), inGroup = t.bitAnd(t.lane(), 3);
  }

  void fewRows();
  void tiles(const TileShape &shape);

private:
  Type sumType() { return p.isInteger() ? t.getI32Type() : t.f32Type(); }
  Values zeroSums(int64_t count) { return Values(count, t.splat(sumType(), int64_t(0))); }
  WeightPlace placeOf(Value warpColumns);
  /// The input at an element of the padded rows; past the end where there is none.
  Value inputAt(Value element);
  bool isPadded() { return p.paddedGroup && p.paddedGroup != p.groupSize && p.inputs > p.groupSize; }
  /// Bytes of the largest aligned piece of x that lies in one row and group.
  int64_t pieceBytes();
  Value loadWord(Value rowOfX, Value word, Value isValid);
  void stage(const TileShape &shape, Value firstRow, Value chunk, Value slot);
  Values split(ValueRange words, bool isSplit, Values &low);
  Fragment activations(ValueRange words, bool isSplit);
  void multiply(const Fragment &a, const Fragment &b, Values &sums, int64_t first);
  Values fold(const WeightPlace &place, Value chunk, ValueRange sums, ValueRange totals, ArrayRef<int64_t> sumsOfRow);

  Emitter &t;
  const Product &p;
  ValueRange args;
  Value group, inGroup;
};

WeightPlace Writer::placeOf(Value warpColumns) {
  Value block = t.add(t.mul(warpColumns, 2), t.shiftRight(group, 2));
  int64_t blocks = llvm::divideCeil(p.columns, int64_t(16));
  return {t.min(block, t.i32(blocks - 1)), t.bitAnd(group, 3), inGroup,
          t.add(t.mul(warpColumns, kWarpColumns), t.mul(inGroup, 8))};
}

Value Writer::inputAt(Value element) {
  if (!isPadded())
    return element;
  Value inGroup = t.rem(element, t.i32(p.paddedGroup));
  Value input = t.add(t.mul(t.div(element, t.i32(p.paddedGroup)), p.groupSize), inGroup);
  return t.select(t.less(inGroup, p.groupSize), input, t.i32(p.inputs));
}

int64_t Writer::pieceBytes() {
  int64_t bytes = Emitter::lanesOf(p.inputs, p.elementBytes) * p.elementBytes;
  return isPadded() ? std::min(bytes, Emitter::lanesOf(p.groupSize, p.elementBytes) * p.elementBytes) : bytes;
}

/// Four bytes of a row of x, zeros where there is nothing. `word` counts in the padded row.
Value Writer::loadWord(Value rowOfX, Value word, Value isValid) {
  Type i32 = t.getI32Type();
  int64_t each = 4 / p.elementBytes;
  auto guarded = [&](Type type, Value index, Value isIn) {
    isIn = isValid ? t.both(isIn, isValid) : isIn;
    Value loaded = t.load(type, t.at(rowOfX, type, t.select(isIn, index, t.i32(0))));
    return t.select(isIn, loaded, t.splat(type, int64_t(0)));
  };
  if (p.inputs % each == 0) {
    Value index = inputAt(word);
    return guarded(i32, index, t.less(index, p.inputs / each));
  }
  Value result = t.i32(0);
  for (int64_t i = 0; i < each; ++i) {
    Value index = t.add(t.mul(word, each), i);
    Value byte = guarded(t.getI8Type(), index, t.less(index, p.inputs));
    result = t.bitOr(result, t.shiftLeft(t.bitAnd(t.toInteger(byte, i32), 255), 8 * i));
  }
  return result;
}

/// Starts to bring a chunk of the block's rows into shared memory.
void Writer::stage(const TileShape &shape, Value firstRow, Value chunk, Value slot) {
  Type i8 = t.getI8Type();
  int64_t bytes = std::max<int64_t>(pieceBytes(), 4), perRow = kRowBytes / bytes;
  Value target = t.at(t.shared(), i8, t.mul(slot, shape.stageBytes()));
  t.forLoop(t.i32(0), t.i32(shape.rows() * perRow / shape.threads()), 1, [&](Value i) {
    Value piece = t.add(t.mul(i, shape.threads()), t.thread());
    Value row = t.div(piece, t.i32(perRow)), inRow = t.mul(t.rem(piece, t.i32(perRow)), bytes);
    Value place = t.bitXor(t.shiftRight(inRow, 4), t.bitAnd(row, kPieces - 1));
    Value offset = t.add(t.add(t.mul(row, kRowBytes), t.mul(place, 16)), t.bitAnd(inRow, 15));
    Value to = t.at(target, i8, offset), token = t.add(firstRow, row);
    Value isRow = t.less(token, args[kRows]);
    Value source = t.row(args[kX], i8, t.select(isRow, token, t.i32(0)), p.inputs * p.elementBytes);
    Value byte = t.add(t.mul(chunk, kRowBytes), inRow);
    if (pieceBytes() < 4) {
      t.store(loadWord(source, t.div(byte, t.i32(4)), isRow), to);
      return;
    }
    Value input = inputAt(t.div(byte, t.i32(p.elementBytes)));
    Value isIn = t.both(isRow, t.less(input, p.inputs));
    t.copyAsync(to, t.at(source, i8, t.mul(t.select(isIn, input, t.i32(0)), p.elementBytes)), bytes, isIn);
  });
}

/// f32 to what tf32 keeps, to nearest (Veltkamp; NaN stays), and what it does not.
Values Writer::split(ValueRange words, bool isSplit, Values &low) {
  Values high;
  for (Value word : words) {
    Value x = t.bitcast(word, t.f32Type());
    Value big = t.mul(x, t.f32(8193.0f));
    Value rounded = t.sub(big, t.sub(big, x));
    high.push_back(t.bitcast(rounded, t.getI32Type()));
    if (isSplit)
      low.push_back(t.bitAnd(t.bitcast(t.sub(x, rounded), t.getI32Type()), ~int64_t(0x1FFF)));
  }
  return high;
}

Fragment Writer::activations(ValueRange words, bool isSplit) {
  Fragment a;
  if (p.isInteger())
    a.high = llvm::to_vector(words);
  else
    a.high = split(words, isSplit, a.low);
  return a;
}

/// Small products first.
void Writer::multiply(const Fragment &a, const Fragment &b, Values &sums, int64_t first) {
  Values c(ArrayRef(sums).slice(first, 4));
  auto product = [&](ValueRange x, ValueRange y) { return p.isInteger() ? t.mmaS8(x, y, c) : t.mmaTf32(x, y, c); };
  if (!b.low.empty())
    c = product(a.high, b.low);
  if (!a.low.empty())
    c = product(a.low, b.high);
  c = product(a.high, b.high);
  for (int64_t i = 0; i < 4; ++i)
    sums[first + i] = c[i];
}

/// totals + sums * scales; `columnOfSum`: which of the lane's columns a sum is of.
Values Writer::fold(const WeightPlace &place, Value chunk, ValueRange sums, ValueRange totals,
                    ArrayRef<int64_t> columnOfSum) {
  Values scales = p.groupScales(t, args, place, chunk), next;
  for (auto [i, sum] : llvm::enumerate(sums))
    next.push_back(t.fma(sum, scales[columnOfSum[i % columnOfSum.size()]], totals[i]));
  return next;
}

//===----------------------------------------------------------------------===//
// Few rows
//===----------------------------------------------------------------------===//

void Writer::fewRows() {
  Value firstColumns = t.block(), rows = args[kRows];
  WeightPlace place = placeOf(firstColumns);
  Value isRow = t.less(group, rows);
  Value x = t.row(args[kX], t.getI8Type(), t.select(isRow, group, t.i32(0)), p.inputs * p.elementBytes);
  // A unit lies in one group: the sums of whole units can be folded.
  int64_t unit = std::min(p.chunksAhead, p.chunksPerGroup());
  while (p.chunksPerGroup() % unit)
    --unit;
  int64_t units = llvm::divideCeil(p.chunks(), unit);
  auto loadUnit = [&](Value at) {
    Values raw;
    for (int64_t i = 0; i < unit; ++i)
      llvm::append_range(raw, p.load(t, args, place, t.add(t.mul(at, unit), i)));
    return raw;
  };
  Value zero = t.i32(0);
  auto multiplyUnit = [&](Value at, ValueRange raw, Values sums) {
    size_t each = raw.size() / unit;
    for (int64_t i = 0; i < unit; ++i) {
      Value firstWord = t.mul(t.add(t.mul(at, unit), i), kChunkWords);
      for (int64_t step = 0; step < kChunkSteps; ++step) {
        Values words;
        for (int64_t half = 0; half < 2; ++half) {
          Value word = p.lanesTakeRuns ? t.add(t.mul(inGroup, kStepWords), 2 * step + half)
                                       : t.add(inGroup, step * kStepWords + 4 * half);
          words.push_back(loadWord(x, t.add(firstWord, word), isRow));
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
  };
  // Sums 4j and 4j + 1 are of columns j and 4 + j; the others are of no row.
  Values state = zeroSums(p.paddedGroup ? kTiles * 2 : kTiles * 4), raw = loadUnit(t.warp());
  size_t numSums = state.size();
  llvm::append_range(state, raw);
  state = t.forLoop(t.warp(), t.i32(units), kSplit, state, [&](Value at, ValueRange carried) {
    Values next = loadUnit(t.add(at, kSplit));
    Values sums = carried.take_front(numSums);
    if (p.paddedGroup) {
      Values fresh = multiplyUnit(at, carried.drop_front(numSums), zeroSums(kTiles * 4)), used;
      SmallVector<int64_t> columns;
      for (int64_t j = 0; j < kTiles; ++j)
        for (int64_t i = 0; i < 2; ++i)
          used.push_back(fresh[4 * j + i]), columns.push_back(4 * i + j);
      sums = fold(place, t.mul(at, unit), used, sums, columns);
    } else {
      sums = multiplyUnit(at, carried.drop_front(numSums), sums);
    }
    llvm::append_range(sums, next);
    return sums;
  });
  int64_t stride = numSums / kTiles;
  Type type = sumType(), vector = t.vector(type, 4);
  Value mine = t.add(t.mul(t.add(t.mul(t.warp(), kFewRows), group), kWarpColumns), t.mul(inGroup, 8));
  for (int64_t i = 0; i < 2; ++i)
    t.store(t.pack({state[i], state[stride + i], state[2 * stride + i], state[3 * stride + i]}),
            t.at(t.at(t.shared(), type, mine), vector, i));
  t.barrier();
  Value row = t.warp(), column = t.add(t.mul(firstColumns, kWarpColumns), t.lane());
  Value sum;
  for (int64_t i = 0; i < kSplit; ++i) {
    Value part = t.load(type, t.at(t.at(t.shared(), type, t.thread()), type, i * kFewRows * kWarpColumns));
    sum = i ? t.add(sum, part) : part;
  }
  t.ifThen(t.both(t.less(row, rows), t.less(column, p.columns)), [&] {
    Values sums{sum};
    p.finish(t, args, {row}, {column}, sums);
    t.store(sums[0], t.at(t.row(args[kY], t.f32Type(), row, p.columns), t.f32Type(), column));
  });
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

void Writer::tiles(const TileShape &shape) {
  Type i8 = t.getI8Type(), f32 = t.f32Type();
  Value firstRow = t.mul(t.block(0), shape.rows()), rows = args[kRows];
  WeightPlace place = placeOf(t.add(t.mul(t.block(1), shape.warps), t.warp()));
  int64_t chunks = p.chunks(), numSums = shape.rowTiles * kTiles * 4;

  auto slotOf = [&](Value chunk) { return t.rem(chunk, t.i32(kStages)); };
  for (int64_t i = 0; i < kStages - 1; ++i) {
    stage(shape, firstRow, t.i32(i), t.i32(i));
    t.commitCopies();
  }
  // Words of two steps: [row tile][step][4].
  auto loadRows = [&](Value slot, int64_t half) {
    Value tile = t.at(t.shared(), i8, t.mul(slot, shape.stageBytes()));
    SmallVector<Values> words;
    for (int64_t m = 0; m < shape.rowTiles; ++m) {
      if (!p.lanesTakeRuns) {
        Value row = t.bitAnd(t.lane(), 15);
        for (int64_t step = 2 * half; step < 2 * half + 2; ++step) {
          Value piece = t.bitXor(t.add(t.shiftRight(t.lane(), 4), 2 * step), t.bitAnd(row, kPieces - 1));
          Value offset = t.add(t.mul(t.add(row, 16 * m), kRowBytes), t.mul(piece, 16));
          words.push_back(t.loadMatrices(t.at(tile, i8, offset), 4));
        }
        continue;
      }
      Value piece = t.bitXor(t.add(t.mul(inGroup, 2), half), group);
      Value offset = t.add(t.mul(t.add(group, 16 * m), kRowBytes), t.mul(piece, 16));
      Values upper = loadWords(t, t.at(tile, i8, offset)), lower = loadWords(t, t.at(tile, i8, t.add(offset, 8 * kRowBytes)));
      for (int64_t i = 0; i < 2; ++i)
        words.push_back({upper[2 * i], lower[2 * i], upper[2 * i + 1], lower[2 * i + 1]});
    }
    return words;
  };
  /// carried: sums, then the weights of `chunk`.
  auto multiplyChunk = [&](Value chunk, ValueRange carried) {
    t.waitCopies(kStages - 2);
    t.barrier();
    // The stage that everybody left before the barrier.
    Value ahead = t.add(chunk, kStages - 1);
    stage(shape, firstRow, ahead, slotOf(ahead));
    t.commitCopies();
    Values next = p.load(t, args, place, t.add(chunk, 1));
    Values sums = carried.take_front(numSums);
    for (int64_t half = 0; half < 2; ++half) {
      SmallVector<Values> words = loadRows(slotOf(chunk), half);
      for (int64_t i = 0; i < 2; ++i) {
        SmallVector<Fragment> weights = p.decode(t, carried.drop_front(numSums), 2 * half + i);
        for (int64_t m = 0; m < shape.rowTiles; ++m) {
          Fragment a = activations(words[2 * m + i], p.splitTiles);
          for (auto [j, b] : llvm::enumerate(weights)) {
            Fragment right = b;
            if (!p.splitTiles)
              right.low.clear();
            multiply(a, right, sums, (m * kTiles + j) * 4);
          }
        }
      }
    }
    llvm::append_range(sums, next);
    return sums;
  };

  Values state = zeroSums(numSums);
  llvm::append_range(state, p.load(t, args, place, t.i32(0)));
  if (!p.paddedGroup) {
    state = t.forLoop(t.i32(0), t.i32(chunks), 1, state, multiplyChunk);
  } else {
    int64_t perGroup = p.chunksPerGroup();
    state = t.forLoop(t.i32(0), t.i32(chunks), perGroup, state, [&](Value first, ValueRange totals) {
      Values inner = zeroSums(numSums);
      llvm::append_range(inner, totals.drop_front(numSums));
      Value end = t.min(t.add(first, perGroup), t.i32(chunks));
      inner = t.forLoop(first, end, 1, inner, multiplyChunk);
      SmallVector<int64_t> columns;
      for (int64_t j = 0; j < kTiles; ++j)
        for (int64_t i = 0; i < 4; ++i)
          columns.push_back(4 * (i % 2) + j);
      Values next = fold(place, first, ArrayRef(inner).take_front(numSums), totals.take_front(numSums), columns);
      llvm::append_range(next, ArrayRef(inner).drop_front(numSums));
      return next;
    });
  }
  t.waitCopies(0);

  // [row][column] of what the lane has.
  Values sums, tokens, clampedRows, columns, clampedColumns;
  for (int64_t r = 0; r < 2 * shape.rowTiles; ++r) {
    for (int64_t c = 0; c < 8; ++c)
      sums.push_back(state[(r / 2 * kTiles + c % 4) * 4 + r % 2 * 2 + c / 4]);
    tokens.push_back(t.add(firstRow, t.add(group, 8 * r)));
    clampedRows.push_back(t.min(tokens.back(), t.sub(rows, 1)));
  }
  for (int64_t c = 0; c < 8; ++c) {
    columns.push_back(t.add(place.sums, c));
    clampedColumns.push_back(t.min(columns.back(), t.i32(p.columns - 1)));
  }
  p.finish(t, args, clampedRows, clampedColumns, sums);
  int64_t lanes = Emitter::lanesOf(p.columns, 4);
  for (int64_t r = 0; r < 2 * shape.rowTiles; ++r)
    t.ifThen(t.less(tokens[r], rows), [&] {
      Value y = t.row(args[kY], f32, tokens[r], p.columns);
      for (int64_t c = 0; c < 8; c += lanes)
        t.ifThen(t.less(columns[c], p.columns), [&] {
          Values piece(ArrayRef(sums).slice(r * 8 + c, lanes));
          t.store(lanes == 1 ? piece[0] : t.pack(piece), t.at(y, f32, columns[c]));
        });
    });
}

} // namespace

void launchProduct(Kernel &k, const Product &p, unsigned x, unsigned w, unsigned y, ArrayRef<Argument> own) {
  Value rows = k.dim(x, 0);
  SmallVector<Argument> arguments{k.input(x), k.input(w), k.output(y), {k.toI32(rows)}};
  llvm::append_range(arguments, own);
  auto launchTiles = [&](const TileShape &shape, StringRef suffix) {
    Value rowBlocks = k.ceilDiv(rows, shape.rows());
    Value columnBlocks = k.i64(llvm::divideCeil(p.columns, shape.warps * kWarpColumns));
    // Blocks that run at the same time share weights.
    k.launch({.grid = {rowBlocks, columnBlocks}, .threads = shape.threads(),
              .sharedBytes = kStages * shape.stageBytes(), .suffix = suffix},
             arguments, [&](Emitter &t, ValueRange args) { Writer(t, p, args).tiles(shape); });
  };
  k.ifThen(
      k.lessEqual(rows, k.i64(kFewRows)),
      [&] {
        Value any = k.min(rows, k.i64(1));
        k.launch({.grid = {k.i64(llvm::divideCeil(p.columns, kWarpColumns)), any}, .threads = kSplit * kWarp,
                  .sharedBytes = kSplit * kFewRows * kWarpColumns * 4, .suffix = "_rows"},
                 arguments, [&](Emitter &t, ValueRange args) { Writer(t, p, args).fewRows(); });
      },
      [&] {
        k.ifThen(k.lessEqual(rows, k.i64(kManyRows)), [&] { launchTiles(kSmall, "_small"); },
                 [&] { launchTiles(kLarge, "_large"); });
      });
}

} // namespace qopt::cuda
