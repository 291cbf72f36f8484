//===- MatmulWgmma.cpp - Products of many rows on sm_90a -------------------===//
//
// wgmma multiplies 64 rows, 16 for each of four warps, and reads one operand from shared
// memory without going through registers. The weights are packed for registers, so the
// product is turned around, y^T = w x^T: columns of w are the rows of the tile and come
// from registers, where the lanes have them as in mma (MatmulProduct.h): the first two of
// a lane's four columns are its two rows of one tile, the others those of a second. x is
// the operand in shared memory, s8 or HalfRows as they are. Weights are read from device
// memory once per block, no second copy of them is needed, and what a lane has as sums
// is four consecutive columns of a row of y.
//
// A block has two groups of four warps that multiply, each warp 32 columns, and a third,
// of which one thread brings stages of x and which leaves its registers to the others:
// one tensor copy (128 bytes of all rows, swizzled, zeros past the ends) for each place in
// a ring. Places have two barriers: "full" counts the bytes of the copy, "empty" the warps
// that are done with them. The weights of the next stage are on their way while one is
// multiplied; one group of warps keeps the tensor cores busy while the other waits,
// decodes or folds.
//
// A tensor copy wants rows of multiples of 16 bytes; in f16, where a stage is two chunks,
// groups must be one chunk or whole stages.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "qopt/Support/Targets.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kPlaces = 4, kRowBytes = 128;
constexpr int64_t kMultiplyingWarps = 8, kThreads = (kMultiplyingWarps + 4) * kWarp;
/// Registers of threads that copy and multiply; both and the launch's 168 are 65536 in all.
constexpr int64_t kCopyingRegisters = 24, kMultiplyingRegisters = 240;
/// Tiles of a warp's columns: two columns of a lane are two rows of a tile.
constexpr int64_t kColumnTiles = 2, kLaneColumns = 2 * kColumnTiles;
/// Pairs of rows of x that the epilogue finishes at a time.
constexpr int64_t kPairsAtATime = 4;

int64_t chunksOfStage(const Product &p) { return p.halfTiles ? 2 : 1; }
bool hasOneGroup(const Product &p) { return p.inputs <= p.groupSize; }
/// Whether the sums of each chunk of a stage are folded by themselves.
bool foldsChunks(const Product &p) { return p.paddedGroup && !hasOneGroup(p) && p.chunksPerGroup() == 1; }

struct WgmmaThread : ProductThread {
  WgmmaThread(Emitter &t, const Product &p, ValueRange args)
      : ProductThread(t, p, args), rows(p.wgmmaRows), placeBytes(rows * kRowBytes),
        numStages(llvm::divideCeil(p.chunks(), chunksOfStage(p))), numSums(kColumnTiles * rows / 2),
        firstRow(t.mul(t.block(0), rows)) {}
  void run();

private:
  Value full(Value slot) { return t.at(t.shared(kPlaces * placeBytes), t.getI64Type(), slot); }
  Value empty(Value slot) { return t.at(t.shared(kPlaces * (placeBytes + 8)), t.getI64Type(), slot); }
  Value memoryOf(Value slot) { return t.at(t.shared(), t.getI8Type(), t.mul(slot, placeBytes)); }
  Value slotOf(Value stage) { return t.bitAnd(stage, kPlaces - 1); }
  /// How often the ring has been filled before `stage`, even or odd.
  Value roundOf(Value stage) { return t.bitAnd(t.shiftRight(stage, llvm::Log2_64(kPlaces)), 1); }

  void copyStages();
  void multiply();
  Values multiplyAll();
  Values loadWeights(Value stage);
  Values decodeWeights(ValueRange raw);
  Values multiplyStage(Value stage, ValueRange carried);
  Values foldInto(ValueRange totals, ValueRange sums, Value chunk);
  void finish(ValueRange sums);

  int64_t rows, placeBytes, numStages, numSums;
  Value firstRow;
  WeightPlace place;
};

void WgmmaThread::run() {
  t.ifThen(t.equal(t.thread(), 0), [&] {
    for (int64_t i = 0; i < kPlaces; ++i) {
      t.initBarrier(full(t.i32(i)), 1);
      t.initBarrier(empty(t.i32(i)), kMultiplyingWarps);
    }
    t.fenceBarriers();
  });
  t.barrier();
  t.ifThen(
      t.less(t.warp(), kMultiplyingWarps), [&] { multiply(); },
      [&] {
        t.setRegisters(kCopyingRegisters, /*isMore=*/false);
        t.ifThen(t.equal(t.thread(), kMultiplyingWarps * kWarp), [&] { copyStages(); });
      });
}

void WgmmaThread::copyStages() {
  t.forLoop(t.i32(0), t.i32(numStages), 1, [&](Value stage) {
    Value slot = slotOf(stage);
    // In the first round nobody has to leave.
    t.waitPhase(empty(slot), t.bitXor(roundOf(stage), 1));
    t.arriveExpecting(full(slot), placeBytes);
    t.copyTensor(memoryOf(slot), args[kX], t.mul(stage, kRowBytes), firstRow, full(slot));
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Values WgmmaThread::loadWeights(Value stage) {
  Values raw;
  for (int64_t i = 0; i < chunksOfStage(p); ++i)
    llvm::append_range(raw, p.load(t, args, place, t.add(t.mul(stage, chunksOfStage(p)), i)));
  return raw;
}

/// Left operands [step][tile][4].
Values WgmmaThread::decodeWeights(ValueRange raw) {
  Values operands;
  size_t each = raw.size() / chunksOfStage(p);
  for (int64_t step = 0; step < kChunkSteps; ++step) {
    SmallVector<Values> columns;
    if (p.halfTiles)
      columns = p.decodeHalf(t, raw.slice(step / kHalfSteps * each, each), step % kHalfSteps);
    else
      for (Fragment &fragment : p.decode(t, raw, step))
        columns.push_back(std::move(fragment.high));
    for (int64_t i = 0; i < kColumnTiles; ++i) {
      const Values &upper = columns[2 * i], &lower = columns[2 * i + 1];
      llvm::append_values(operands, upper[0], lower[0], upper[1], lower[1]);
    }
  }
  return operands;
}

Values WgmmaThread::foldInto(ValueRange totals, ValueRange sums, Value chunk) {
  SmallVector<int64_t> columns; // word 4j + 2h + i of tile m: column 2m + h
  for (int64_t i = 0; i < numSums; ++i)
    columns.push_back(i / (numSums / kColumnTiles) * 2 + i % 4 / 2);
  return fold(p.groupScales(t, args, place, chunk), sums, totals, columns);
}

/// carried: sums (totals if each chunk is folded), then the weights of the stage; what
/// the next stage is given.
Values WgmmaThread::multiplyStage(Value stage, ValueRange carried) {
  Values operands = decodeWeights(carried.drop_front(numSums)), results = carried.take_front(numSums), next;
  Value slot = slotOf(stage);
  t.waitPhase(full(slot), roundOf(stage));
  Value descriptor = t.matrixDescriptor(memoryOf(slot));
  int64_t parts = foldsChunks(p) ? chunksOfStage(p) : 1, steps = kChunkSteps / parts;
  for (int64_t part = 0; part < parts; ++part) {
    Values sums = foldsChunks(p) ? zeroSums(numSums) : results, all;
    t.fenceProducts();
    for (int64_t i = 0; i < kColumnTiles; ++i) {
      Values tile(ArrayRef(sums).slice(i * numSums / kColumnTiles, numSums / kColumnTiles));
      for (int64_t step = part * steps; step < (part + 1) * steps; ++step) {
        ValueRange left = ArrayRef(operands).slice((step * kColumnTiles + i) * 4, 4);
        tile = t.multiplyAsync(left, t.add(descriptor, 2 * step), tile);
      }
      llvm::append_range(all, tile);
    }
    t.commitProducts();
    if (part == 0)
      next = loadWeights(t.add(stage, 1));
    all = t.waitProducts(0, all, operands);
    results = foldsChunks(p) ? foldInto(results, all, t.add(t.mul(stage, parts), part)) : all;
  }
  t.ifThen(t.equal(t.lane(), 0), [&] { t.arrive(empty(slot)); });
  llvm::append_range(results, next);
  return results;
}

/// All sums, and weights that nobody needs.
Values WgmmaThread::multiplyAll() {
  auto step = [&](Value stage, ValueRange carried) { return multiplyStage(stage, carried); };
  Value begin = t.i32(0), end = t.i32(numStages);
  Values state = zeroSums(numSums);
  llvm::append_range(state, loadWeights(begin));
  if (p.isInteger()) {
    // By twos: weights that need no decoding are loaded and multiplied in the same
    // registers, which must not be those of the products on their way.
    int64_t even = numStages / 2 * 2;
    state = t.forLoop(begin, t.i32(even), 2, state,
                      [&](Value stage, ValueRange carried) { return step(t.add(stage, 1), step(stage, carried)); });
    return even < numStages ? step(t.i32(even), state) : state;
  }
  if (!p.paddedGroup || foldsChunks(p))
    return t.forLoop(begin, end, 1, state, step);
  int64_t perGroup = hasOneGroup(p) ? numStages : p.chunksPerGroup() / chunksOfStage(p);
  return t.forLoop(begin, end, perGroup, state, [&](Value first, ValueRange totals) {
    Values inner = zeroSums(numSums);
    llvm::append_range(inner, totals.drop_front(numSums));
    inner = t.forLoop(first, t.min(t.add(first, perGroup), end), 1, inner, step);
    Values next =
        foldInto(totals.take_front(numSums), ArrayRef(inner).take_front(numSums), t.mul(first, chunksOfStage(p)));
    llvm::append_range(next, ArrayRef(inner).drop_front(numSums));
    return next;
  });
}

void WgmmaThread::multiply() {
  t.setRegisters(kMultiplyingRegisters, /*isMore=*/true);
  Value warpColumns = t.add(t.mul(t.block(1), kMultiplyingWarps), t.warp());
  place = placeOf(warpColumns);
  place.sums = t.add(t.mul(warpColumns, kWarpColumns), t.mul(group, kLaneColumns));
  place.numSums = kLaneColumns;
  Values state = multiplyAll();
  finish(ArrayRef(state).take_front(numSums));
}

void WgmmaThread::finish(ValueRange sums) {
  Type f32 = t.f32Type();
  Value numRows = args[kRows];
  Values columns, clampedColumns;
  for (int64_t c = 0; c < kLaneColumns; ++c) {
    columns.push_back(t.add(place.sums, c));
    clampedColumns.push_back(t.min(columns.back(), t.i32(p.columns - 1)));
  }
  int64_t lanes = Emitter::lanesOf(p.columns, 4);
  for (int64_t first = 0; first < rows / 8; first += kPairsAtATime) {
    Values some, tokens, clampedRows;
    for (int64_t j = first; j < first + kPairsAtATime; ++j)
      for (int64_t i = 0; i < 2; ++i) {
        tokens.push_back(t.add(t.add(firstRow, t.mul(inGroup, 2)), 8 * j + i));
        clampedRows.push_back(t.min(tokens.back(), t.sub(numRows, 1)));
        Value factor = p.halfTiles ? t.load(f32, t.at(args.back(), f32, clampedRows.back())) : Value();
        for (int64_t c = 0; c < kLaneColumns; ++c) {
          Value sum = sums[c / 2 * numSums / kColumnTiles + 4 * j + c % 2 * 2 + i];
          some.push_back(factor ? t.mul(sum, factor) : sum);
        }
      }
    p.finish(t, args, clampedRows, clampedColumns, some);
    for (auto [r, token] : llvm::enumerate(tokens))
      t.ifThen(t.less(token, numRows), [&, r = r, token = token] {
        Value y = t.row(args[kY], f32, token, p.columns);
        for (int64_t c = 0; c < kLaneColumns; c += lanes)
          t.ifThen(t.less(columns[c], p.columns), [&] {
            Values piece(ArrayRef(some).slice(r * kLaneColumns + c, lanes));
            t.store(lanes == 1 ? piece[0] : t.pack(piece), t.at(y, f32, columns[c]));
          });
      });
  }
}

int64_t widthBytes(const Product &p) { return p.halfTiles ? p.halfWidth() * 2 : p.inputs * p.elementBytes; }

} // namespace

bool canUseWgmma(const Product &p) {
  bool hasWholeStages =
      !p.paddedGroup || hasOneGroup(p) || foldsChunks(p) || p.chunksPerGroup() % chunksOfStage(p) == 0;
  return p.wgmmaRows && widthBytes(p) % 16 == 0 && hasWholeStages;
}

void launchProductWgmma(Kernel &k, const Product &p, Value x, Value rows, ArrayRef<Argument> arguments) {
  SmallVector<Argument> all(arguments);
  all[kX] = k.tensorMap(x, rows, widthBytes(p), p.wgmmaRows);
  Value columnBlocks = k.i64(llvm::divideCeil(p.columns, kMultiplyingWarps * kWarpColumns));
  k.launch({.grid = {k.ceilDiv(rows, p.wgmmaRows), columnBlocks},
            .threads = kThreads,
            .sharedBytes = kPlaces * (p.wgmmaRows * kRowBytes + 16),
            .suffix = "_wgmma",
            .arch = StringRef(kHopperArch)},
           all, [&](Emitter &t, ValueRange args) { WgmmaThread(t, p, args).run(); });
}

} // namespace qopt::cuda
