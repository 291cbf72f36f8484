//===- MatmulTiles.cpp - Products of many rows -----------------------------===//
//
// Rows of x come through shared memory in stages; weights of the next stage are loaded while
// one is multiplied.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kStages = 3;

/// Blocks of `rowTiles` x 16 rows and `warps` x 32 columns.
struct TileShape {
  int64_t rowTiles, warps;
  int64_t rows() const { return rowTiles * 16; }
  int64_t threads() const { return warps * kWarp; }
};

constexpr TileShape kSmall{2, 2}, kLarge{4, 4};
/// Rows from which on the large tiles pay.
constexpr int64_t kManyRows = 64;

/// Bytes of a row of x that are in shared memory at a time.
int64_t stageRowBytes(const Product &p) { return p.halfTiles ? p.stageChunks() * kChunkWords * 2 : kChunkWords * 4; }

struct TilesThread : ProductThread {
  TilesThread(Emitter &t, const Product &p, ValueRange args, TileShape shape)
      : ProductThread(t, p, args), shape(shape), rowBytes(stageRowBytes(p)),
        stepsOfChunk(p.halfTiles ? kHalfSteps : kChunkSteps), firstRow(t.mul(t.block(0), shape.rows())),
        place(placeOf(t.add(t.mul(t.block(1), shape.warps), t.warp()))) {}
  void run();

private:
  int64_t numSums() const { return shape.rowTiles * kTiles * 4; }
  Value stageMemory(Value stage) {
    return t.at(t.shared(), t.getI8Type(), t.mul(t.rem(stage, t.i32(kStages)), shape.rows() * rowBytes));
  }
  Value pieceOffset(Value row, Value piece);
  Values loadRows(Value memory, int64_t tile, int64_t step);
  void startStage(Value stage);
  Values loadWeights(Value stage);
  void multiplyStep(ValueRange raw, int64_t step, ArrayRef<Values> rows, Values &sums);
  Values multiplyStage(Value stage, ValueRange carried);
  Values multiplyAll();
  Values foldGroup(Value chunk, ValueRange scales, ValueRange sums, ValueRange totals);
  void finish(ValueRange state);
  /// The r-th of the rows that the lane has sums of.
  Value token(int64_t r) { return t.add(firstRow, t.add(group, 8 * r)); }
  Value clampedToken(int64_t r) { return t.min(token(r), t.sub(args[kRows], 1)); }

  TileShape shape;
  int64_t rowBytes, stepsOfChunk;
  Value firstRow;
  WeightPlace place;
};

/// Where the i-th 16 bytes of a row are: eight rows below each other in eight banks. Where lanes
/// take pairs of words, half a warp reads two pieces of four rows at a time.
Value TilesThread::pieceOffset(Value row, Value piece) {
  Value turn = rowBytes == 128 ? t.bitAnd(row, 7) : t.bitAnd(t.shiftRight(row, 1), 3);
  if (p.laneWords == LaneWords::Pairs)
    turn = t.mul(t.bitAnd(row, 3), 2);
  return t.add(t.mul(row, rowBytes), t.mul(t.bitXor(piece, turn), 16));
}

/// The four words of a step of 16 rows that are the lane's.
Values TilesThread::loadRows(Value memory, int64_t tile, int64_t step) {
  Type i8 = t.getI8Type();
  if (p.laneWords != LaneWords::Pairs) {
    Value row = t.add(t.bitAnd(t.lane(), 15), 16 * tile);
    return t.loadMatrices(t.at(memory, i8, pieceOffset(row, t.add(t.shiftRight(t.lane(), 4), 2 * step))), 4);
  }
  Type pair = t.vector(t.i32Type(), 2);
  Values words(4);
  for (int64_t half : {0, 1}) {
    Value offset = pieceOffset(t.add(group, 16 * tile + 8 * half), t.add(t.shiftRight(inGroup, 1), 2 * step));
    Value both = t.load(pair, t.at(memory, i8, t.add(offset, t.mul(t.bitAnd(inGroup, 1), 8))));
    words[half] = t.extract(both, 0), words[2 + half] = t.extract(both, 1);
  }
  return words;
}

/// Starts to bring a stage of the block's rows into shared memory.
void TilesThread::startStage(Value stage) {
  Type i8 = t.getI8Type();
  int64_t bytes = p.halfTiles ? 16 : std::max<int64_t>(pieceBytes(), 4), perRow = rowBytes / bytes;
  int64_t width = p.halfTiles ? p.halfWidth() * 2 : p.inputs * p.elementBytes;
  Value target = stageMemory(stage);
  t.forLoop(t.i32(0), t.i32(shape.rows() * perRow / shape.threads()), 1, [&](Value i) {
    Value piece = t.add(t.mul(i, shape.threads()), t.thread());
    Value row = t.div(piece, t.i32(perRow)), inRow = t.mul(t.rem(piece, t.i32(perRow)), bytes);
    Value to = t.at(target, i8, t.add(pieceOffset(row, t.shiftRight(inRow, 4)), t.bitAnd(inRow, 15)));
    Value token = t.add(firstRow, row), isRow = t.less(token, args[kRows]);
    Value source = t.row(args[kX], i8, t.select(isRow, token, t.i32(0)), width);
    Value byte = t.add(t.mul(stage, rowBytes), inRow);
    if (p.halfTiles) {
      t.copyAsync(to, t.at(source, i8, byte), bytes, t.both(isRow, t.less(stage, p.stages())));
      return;
    }
    if (pieceBytes() < 4) {
      t.store(loadWord(source, t.div(byte, t.i32(4)), isRow), to);
      return;
    }
    Value input = inputAt(t.div(byte, t.i32(p.elementBytes)));
    Value isIn = t.both(isRow, t.less(input, p.inputs));
    t.copyAsync(to, t.at(source, i8, t.mul(t.select(isIn, input, t.i32(0)), p.elementBytes)), bytes, isIn);
  });
  t.commitCopies();
}

Values TilesThread::loadWeights(Value stage) {
  Values raw;
  for (int64_t i = 0; i < p.stageChunks(); ++i)
    llvm::append_range(raw, p.load(t, args, place, t.add(t.mul(stage, p.stageChunks()), i)));
  return raw;
}

/// `raw`: weights of a chunk, `rows`: four words of each row tile.
void TilesThread::multiplyStep(ValueRange raw, int64_t step, ArrayRef<Values> rows, Values &sums) {
  if (p.halfTiles) {
    SmallVector<Values> weights = p.decodeHalf(t, raw, step);
    for (int64_t m = 0; m < shape.rowTiles; ++m)
      for (int64_t j = 0; j < kTiles; ++j)
        multiplyHalf(rows[m], weights[j], sums, (m * kTiles + j) * 4);
    return;
  }
  SmallVector<Fragment> weights = p.decode(t, raw, step);
  for (int64_t m = 0; m < shape.rowTiles; ++m) {
    Fragment a = activations(rows[m], p.splitTiles);
    for (int64_t j = 0; j < kTiles; ++j)
      multiply(a, weights[j], sums, (m * kTiles + j) * 4);
  }
}

/// carried: sums, then the weights of the stage.
Values TilesThread::multiplyStage(Value stage, ValueRange carried) {
  t.waitCopies(kStages - 2);
  t.barrier();
  // Into the memory that everybody left before the barrier.
  startStage(t.add(stage, kStages - 1));
  Values next = loadWeights(t.add(stage, 1)), sums = carried.take_front(numSums());
  ValueRange raw = carried.drop_front(numSums());
  size_t each = raw.size() / p.stageChunks();
  Value memory = stageMemory(stage);
  for (int64_t i = 0; i < p.stageChunks() * stepsOfChunk; ++i) {
    SmallVector<Values> rows;
    for (int64_t m = 0; m < shape.rowTiles; ++m)
      rows.push_back(loadRows(memory, m, i));
    multiplyStep(raw.slice(i / stepsOfChunk * each, each), i % stepsOfChunk, rows, sums);
  }
  llvm::append_range(sums, next);
  return sums;
}

Values TilesThread::multiplyAll() {
  for (int64_t i = 0; i < kStages - 1; ++i)
    startStage(t.i32(i));
  auto multiply = [&](Value stage, ValueRange carried) { return multiplyStage(stage, carried); };
  Value begin = t.i32(0), end = t.i32(p.stages());
  Values state(numSums(), t.splat(totalType(), int64_t(0)));
  llvm::append_range(state, loadWeights(begin));
  if (!p.paddedGroup)
    return t.forLoop(begin, end, 1, state, multiply);
  int64_t perGroup = llvm::divideCeil(p.chunksPerGroup(), p.stageChunks());
  return t.forLoop(begin, end, perGroup, state, [&](Value first, ValueRange totals) {
    // Requested here, needed after the group.
    Value chunk = t.mul(first, p.stageChunks());
    Values scales = p.groupScales(t, args, place, chunk), inner = groupSums(numSums());
    llvm::append_range(inner, totals.drop_front(numSums()));
    inner = t.forLoop(first, t.min(t.add(first, perGroup), end), 1, inner, multiply);
    Values next = foldGroup(chunk, scales, ArrayRef(inner).take_front(numSums()), totals.take_front(numSums()));
    llvm::append_range(next, ArrayRef(inner).drop_front(numSums()));
    return next;
  });
}

/// Sums are [row tile][n-tile][first, second row][first, second column].
Values TilesThread::foldGroup(Value chunk, ValueRange scales, ValueRange sums, ValueRange totals) {
  auto columnOf = [](size_t i) { return static_cast<int64_t>(4 * (i % 2) + i / 4 % kTiles); };
  if (!p.foldsIntegers()) {
    SmallVector<int64_t> columns = llvm::map_to_vector(llvm::seq<size_t>(4 * kTiles), columnOf);
    return fold(scales, sums, totals, columns);
  }
  Values tokens, next;
  for (int64_t r = 0; r < 2 * shape.rowTiles; ++r)
    tokens.push_back(p.activationScale(t, args, clampedToken(r), chunk));
  for (auto [i, sum] : llvm::enumerate(sums)) {
    Value scaled = t.mul(exactFloat(sum), tokens[i / (4 * kTiles) * 2 + i % 4 / 2]);
    next.push_back(t.fma(scaled, scales[columnOf(i)], totals[i]));
  }
  return next;
}

void TilesThread::run() {
  Values state = multiplyAll();
  t.waitCopies(0);
  finish(state);
}

void TilesThread::finish(ValueRange state) {
  Type f32 = t.f32Type();
  Value rows = args[kRows];
  // [row][column] of what the lane has.
  Values sums, tokens, clampedRows, columns, clampedColumns;
  for (int64_t r = 0; r < 2 * shape.rowTiles; ++r) {
    for (int64_t c = 0; c < 8; ++c)
      sums.push_back(state[(r / 2 * kTiles + c % 4) * 4 + r % 2 * 2 + c / 4]);
    tokens.push_back(token(r));
    clampedRows.push_back(clampedToken(r));
  }
  for (int64_t c = 0; c < 8; ++c) {
    columns.push_back(t.add(place.sums, c));
    clampedColumns.push_back(t.min(columns.back(), t.i32(p.columns - 1)));
  }
  for (int64_t r = 0; p.halfTiles && r < 2 * shape.rowTiles; ++r) {
    Value factor = t.load(f32, t.at(args.back(), f32, clampedRows[r]));
    for (int64_t c = 0; c < 8; ++c)
      sums[r * 8 + c] = t.mul(sums[r * 8 + c], factor);
  }
  p.finishTile(t, args, place, clampedRows, clampedColumns, sums);
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

void launchProductTiles(Kernel &k, const Product &p, Value rows, ArrayRef<Argument> arguments) {
  auto launchTiles = [&](const TileShape &shape, StringRef suffix) {
    Value rowBlocks = k.ceilDiv(rows, shape.rows());
    Value columnBlocks = k.i64(llvm::divideCeil(p.columns, shape.warps * kWarpColumns));
    // Blocks that run at the same time share weights.
    k.launch({.grid = {rowBlocks, columnBlocks},
              .threads = shape.threads(),
              .sharedBytes = kStages * shape.rows() * stageRowBytes(p),
              .suffix = suffix},
             arguments, [&](Emitter &t, ValueRange args) { TilesThread(t, p, args, shape).run(); });
  };
  k.ifThen(
      k.lessEqual(rows, k.i64(kManyRows)), [&] { launchTiles(kSmall, "_small"); },
      [&] { launchTiles(kLarge, "_large"); });
}

} // namespace qopt::cuda
