//===- MatmulTiles.cpp - Products of many rows -----------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kStages = 3, kRowBytes = 128, kPieces = 8;

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

struct TilesThread : ProductThread {
  TilesThread(Emitter &t, const Product &p, ValueRange args, TileShape shape)
      : ProductThread(t, p, args), shape(shape) {}
  void run();

private:
  void stage(Value firstRow, Value chunk, Value slot);

  TileShape shape;
};

/// Starts to bring a chunk of the block's rows into shared memory.
void TilesThread::stage(Value firstRow, Value chunk, Value slot) {
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

void TilesThread::run() {
  Type i8 = t.getI8Type(), f32 = t.f32Type();
  Value firstRow = t.mul(t.block(0), shape.rows()), rows = args[kRows];
  WeightPlace place = placeOf(t.add(t.mul(t.block(1), shape.warps), t.warp()));
  int64_t chunks = p.chunks(), numSums = shape.rowTiles * kTiles * 4;

  auto slotOf = [&](Value chunk) { return t.rem(chunk, t.i32(kStages)); };
  for (int64_t i = 0; i < kStages - 1; ++i) {
    stage(firstRow, t.i32(i), t.i32(i));
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
    stage(firstRow, ahead, slotOf(ahead));
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
    k.launch({.grid = {rowBlocks, columnBlocks}, .threads = shape.threads(),
              .sharedBytes = kStages * shape.stageBytes(), .suffix = suffix},
             arguments, [&](Emitter &t, ValueRange args) { TilesThread(t, p, args, shape).run(); });
  };
  k.ifThen(k.lessEqual(rows, k.i64(kManyRows)), [&] { launchTiles(kSmall, "_small"); },
           [&] { launchTiles(kLarge, "_large"); });
}

} // namespace qopt::cuda
