//===- MatmulWgmma.cpp - Products of many rows on sm_90a -------------------===//
//
// wgmma multiplies 64 rows, 16 for each of four warps, and reads one operand from shared
// memory without going through registers. The weights are packed for registers, so the
// product is turned around, y^T = w x^T: columns of w are the rows of the tile and come
// from registers, where the lanes have them as in mma (MatmulProduct.h): the first two of
// a lane's four columns are its two rows of one tile, the others those of a second. x is
// the operand in shared memory, in its natural order. Weights are read from device memory
// once per block, no second copy of them is needed, and what a lane has as sums is
// four consecutive columns of a row of y.
//
// A block has two groups of four warps that multiply, each warp 32 columns, and a third,
// of which one thread brings chunks of x and which leaves its registers to the others:
// one tensor copy (128 bytes of all rows, swizzled, zeros past the ends) for each stage of
// a ring. Stages have two barriers: "full" counts the bytes of the copy, "empty"
// the warps that are done with them. The weights of the next chunk are on their way while
// a chunk is multiplied; one group of four warps keeps the tensor cores busy while the
// other waits, decodes or folds.
//
// The rows of x must be multiples of 16 bytes for the copies, and groups whole chunks.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kStages = 4, kRowBytes = 128;
constexpr int64_t kMultiplyingWarps = 8, kThreads = (kMultiplyingWarps + 4) * kWarp;
/// Registers of threads that copy and multiply; both and the launch's 168 are 65536 in all.
constexpr int64_t kCopyingRegisters = 24, kMultiplyingRegisters = 240;
/// Tiles of a warp's columns: two columns of a lane are two rows of a tile.
constexpr int64_t kColumnTiles = 2;
/// Rows of x that the epilogue finishes at a time, in pairs of a lane.
constexpr int64_t kPairsAtATime = 4;

struct WgmmaThread : ProductThread {
  WgmmaThread(Emitter &t, const Product &p, ValueRange args, int64_t rows)
      : ProductThread(t, p, args), rows(rows), stageBytes(rows * kRowBytes), firstRow(t.mul(t.block(0), rows)) {}
  void run();

private:
  Value full(Value slot) { return t.at(t.shared(kStages * stageBytes), t.getI64Type(), slot); }
  Value empty(Value slot) { return t.at(t.shared(kStages * (stageBytes + 8)), t.getI64Type(), slot); }
  Value stage(Value slot) { return t.at(t.shared(), t.getI8Type(), t.mul(slot, stageBytes)); }
  Value slotOf(Value chunk) { return t.bitAnd(chunk, kStages - 1); }
  /// How often the ring has been filled before `chunk`, even or odd.
  Value roundOf(Value chunk) { return t.bitAnd(t.shiftRight(chunk, llvm::Log2_64(kStages)), 1); }

  void copyRows();
  void multiply();
  std::pair<Values, Values> multiplyChunk(Value chunk, ValueRange raw, ValueRange sums, bool isFirst);
  void store(const WeightPlace &place, ValueRange sums);

  int64_t rows, stageBytes;
  Value firstRow;
};

void WgmmaThread::run() {
  t.ifThen(t.equal(t.thread(), 0), [&] {
    for (int64_t i = 0; i < kStages; ++i) {
      t.initBarrier(full(t.i32(i)), 1);
      t.initBarrier(empty(t.i32(i)), kMultiplyingWarps);
    }
    t.fenceBarriers();
  });
  t.barrier();
  t.ifThen(t.less(t.warp(), kMultiplyingWarps), [&] { multiply(); }, [&] {
    t.setRegisters(kCopyingRegisters, /*isMore=*/false);
    t.ifThen(t.equal(t.thread(), kMultiplyingWarps * kWarp), [&] { copyRows(); });
  });
}

void WgmmaThread::copyRows() {
  t.forLoop(t.i32(0), t.i32(p.chunks()), 1, [&](Value chunk) {
    Value slot = slotOf(chunk);
    // In the first round nobody has to leave.
    t.waitPhase(empty(slot), t.bitXor(roundOf(chunk), 1));
    t.arriveExpecting(full(slot), stageBytes);
    t.copyTensor(stage(slot), args[kX], t.mul(chunk, kRowBytes), firstRow, full(slot));
  });
}

/// Starts the products of a chunk of weights and rows; their sums and left operands.
std::pair<Values, Values> WgmmaThread::multiplyChunk(Value chunk, ValueRange raw, ValueRange sums, bool isFirst) {
  Values operands; // [step][tile][4]
  for (int64_t step = 0; step < kChunkSteps; ++step) {
    SmallVector<Fragment> weights = p.decode(t, raw, step);
    for (int64_t i = 0; i < kColumnTiles; ++i) {
      const Values &upper = weights[2 * i].high, &lower = weights[2 * i + 1].high;
      llvm::append_values(operands, upper[0], lower[0], upper[1], lower[1]);
    }
  }
  Value slot = slotOf(chunk);
  t.waitPhase(full(slot), roundOf(chunk));
  Value descriptor = t.matrixDescriptor(stage(slot));
  Values all;
  size_t each = sums.size() / kColumnTiles;
  t.fenceProducts();
  for (int64_t i = 0; i < kColumnTiles; ++i) {
    Values tile = llvm::to_vector(sums.slice(i * each, each));
    for (int64_t step = 0; step < kChunkSteps; ++step) {
      ValueRange a = ArrayRef(operands).slice((step * kColumnTiles + i) * 4, 4);
      tile = t.multiplyAsync(a, t.add(descriptor, 2 * step), tile, !isFirst || step > 0);
    }
    llvm::append_range(all, tile);
  }
  t.commitProducts();
  return {all, operands};
}

void WgmmaThread::multiply() {
  t.setRegisters(kMultiplyingRegisters, /*isMore=*/true);
  WeightPlace place = placeOf(t.add(t.mul(t.block(1), kMultiplyingWarps), t.warp()));
  int64_t numSums = kColumnTiles * rows / 2;
  auto step = [&](Value chunk, ValueRange carried) {
    auto [sums, operands] =
        multiplyChunk(chunk, carried.drop_front(numSums), carried.take_front(numSums), /*isFirst=*/false);
    Values next = p.load(t, args, place, t.add(chunk, 1));
    sums = t.waitProducts(0, sums, operands);
    t.ifThen(t.equal(t.lane(), 0), [&] { t.arrive(empty(slotOf(chunk))); });
    llvm::append_range(sums, next);
    return sums;
  };
  Values state = zeroSums(numSums);
  llvm::append_range(state, p.load(t, args, place, t.i32(0)));
  // By twos: what is loaded may not become the same registers as what is multiplied.
  int64_t pairs = p.chunks() / 2 * 2;
  state = t.forLoop(t.i32(0), t.i32(pairs), 2, state, [&](Value chunk, ValueRange carried) {
    return step(t.add(chunk, 1), step(chunk, carried));
  });
  if (pairs < p.chunks())
    state = step(t.i32(pairs), state);
  store(place, ArrayRef(state).take_front(numSums));
}

void WgmmaThread::store(const WeightPlace &place, ValueRange sums) {
  Type f32 = t.f32Type();
  // Word 4j + 2h + i of tile m: row 8j + 2 inGroup + i, the lane's column 2m + h.
  Value warpColumns = t.mul(t.add(t.mul(t.block(1), kMultiplyingWarps), t.warp()), kWarpColumns);
  Values columns, clampedColumns;
  for (int64_t c = 0; c < 2 * kColumnTiles; ++c) {
    columns.push_back(t.add(t.add(warpColumns, t.mul(group, 2 * kColumnTiles)), c));
    clampedColumns.push_back(t.min(columns.back(), t.i32(p.columns - 1)));
  }
  Value numRows = args[kRows];
  int64_t lanes = Emitter::lanesOf(p.columns, 4);
  for (int64_t first = 0; first < rows / 8; first += kPairsAtATime) {
    Values some, tokens, clampedRows;
    for (int64_t j = first; j < first + kPairsAtATime; ++j)
      for (int64_t i = 0; i < 2; ++i) {
        tokens.push_back(t.add(t.add(firstRow, t.mul(inGroup, 2)), 8 * j + i));
        clampedRows.push_back(t.min(tokens.back(), t.sub(numRows, 1)));
        for (int64_t c = 0; c < 2 * kColumnTiles; ++c)
          some.push_back(sums[c / 2 * rows / 2 + 4 * j + c % 2 * 2 + i]);
      }
    p.finish(t, args, clampedRows, clampedColumns, some);
    for (auto [r, token] : llvm::enumerate(tokens))
      t.ifThen(t.less(token, numRows), [&, r = r, token = token] {
        Value y = t.row(args[kY], f32, token, p.columns);
        for (int64_t c = 0; c < 2 * kColumnTiles; c += lanes)
          t.ifThen(t.less(columns[c], p.columns), [&] {
            Values piece(ArrayRef(some).slice(r * 2 * kColumnTiles + c, lanes));
            t.store(lanes == 1 ? piece[0] : t.pack(piece), t.at(y, f32, columns[c]));
          });
      });
  }
}

} // namespace

bool canUseWgmma(const Product &p) {
  return p.wgmmaRows && p.inputs * p.elementBytes % 16 == 0;
}

void launchProductWgmma(Kernel &k, const Product &p, unsigned x, Value rows, ArrayRef<Argument> arguments) {
  SmallVector<Argument> all(arguments);
  all[kX] = k.tensorMap(x, rows, p.inputs * p.elementBytes, p.wgmmaRows);
  Value columnBlocks = k.i64(llvm::divideCeil(p.columns, kMultiplyingWarps * kWarpColumns));
  k.launch({.grid = {k.ceilDiv(rows, p.wgmmaRows), columnBlocks}, .threads = kThreads,
            .sharedBytes = kStages * (p.wgmmaRows * kRowBytes + 16), .suffix = "_wgmma", .arch = "sm_90a"},
           all, [&](Emitter &t, ValueRange args) { WgmmaThread(t, p, args, p.wgmmaRows).run(); });
}

} // namespace qopt::cuda
