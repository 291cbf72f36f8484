//===- MatmulInt4.cpp - Float activations times group-wise int4 weights ----===//
//
// A code between 0 and 15 put into the low bits of a power of two as a float is that
// power plus the code; subtracting the power plus the zero point leaves the exact
// code - zero. So the tensor cores multiply the activations by small integers, and the
// sums of a group are multiplied by its scales in f32: no weight is rounded, scales may
// be negative, and tiny or huge ones lose nothing.
//
// Few rows multiply tf32 (2^23 is the power), with activations split in two parts, as
// exact as f32. Tiles multiply f16, and so do fused launches, with two parts of the
// activations. Codes are decoded two at a time: with 2^10 in both halves of a word, `and`
// and `or` (one lop3) put a code into the low bits of each, or 16 times the code where it
// is in the upper half of a byte, which a multiply-add takes back.
//
// One load of 16 bytes is eight inputs of a lane's four columns. The order of inputs
// within a product is free, so a lane takes inputs 8t .. 8t + 7 of a chunk of 32 for
// its steps, and reads the same of x. Groups are padded to whole chunks.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

enum { kScales = kFirstOwn, kZeros };

struct Int4Product : Product {
  explicit Int4Product(kernel::MatmulW4A16Op op)
      : Product(op.inputs(), op.columns(), 4), scaleType(op.getScales().getType().getElementType()),
        hasZeros(static_cast<bool>(op.getZeros())), groups(op.groups()), steps(op.steps()) {
    groupSize = op.groupSize();
    paddedGroup = llvm::alignTo(groupSize, chunkElements());
    stepsOfGroup = llvm::divideCeil(groupSize, kernel::kInt4Step);
    laneWords = LaneWords::Runs;
    chunksAhead = 4;
    splitFewRows = true, halfTiles = true;
    wgmmaRows = 64; // sums of a group and totals
  }

  Type scaleType;
  bool hasZeros;
  int64_t groups, steps, stepsOfGroup;

  /// Four words of codes, with zero points one of four bytes.
  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = t.vector(t.getI32Type(), 4);
    Value group = groupOf(t, chunk);
    Value inGroup = t.add(t.mul(t.rem(chunk, t.i32(chunksPerGroup())), kChunkSteps), place.inGroup);
    Value step = t.min(t.add(t.mul(group, stepsOfGroup), inGroup), t.i32(steps - 1));
    Value column = t.at(t.row(args[kW], piece, place.block, steps * 4), piece, place.quarter);
    Values raw = loadWords(t, t.at(column, piece, t.mul(step, 4)));
    if (hasZeros) {
      Value zeros = t.at(t.row(args[kZeros], t.getI32Type(), place.block, groups * 4), t.getI32Type(), place.quarter);
      raw.push_back(t.load(t.getI32Type(), t.at(zeros, t.getI32Type(), t.mul(group, 4))));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const override {
    Type f32 = t.f32Type();
    constexpr int64_t kMagic = 0x4B000000; // 2^23
    SmallVector<Fragment> tiles(4);
    for (int64_t j = 0; j < 4; ++j) {
      Value zero = t.f32(8388608.0f + 8.0f);
      if (hasZeros)
        zero = t.bitcast(t.bitOr(t.bitAnd(t.shiftRight(raw[4], 8 * j), 255), kMagic), f32);
      for (int64_t place = 2 * step; place < 2 * step + 2; ++place) {
        Value code = t.bitAnd(t.shiftRight(raw[j], place % 4 * 8 + place / 4 * 4), 15);
        Value weight = t.sub(t.bitcast(t.bitOr(code, kMagic), f32), zero);
        tiles[j].high.push_back(t.bitcast(weight, t.getI32Type()));
      }
    }
    return tiles;
  }

  SmallVector<Values> decodeHalf(Emitter &t, ValueRange raw, int64_t step) const override {
    Type i32 = t.getI32Type(), halves = t.vector(t.getF16Type(), 2);
    constexpr int64_t kMagic = 0x64006400; // 2^10
    auto bits = [&](Value word, int64_t mask) { return t.bitcast(t.bitOr(t.bitAnd(word, mask), kMagic), halves); };
    SmallVector<Values> tiles;
    for (int64_t j = 0; j < 4; ++j) {
      // 2^10 + zero, and -(2^6 + zero), whose mantissas count in sixteenths.
      Value zero = t.splat(halves, 1024.0 + 8.0), negative = t.splat(halves, -64.0 - 8.0);
      if (hasZeros) {
        Value both = t.permuteBytes(raw[4], t.i32(kMagic), 0x5050 + 0x0101 * j);
        zero = t.bitcast(both, halves);
        negative = t.bitcast(t.bitOr(t.shiftLeft(t.bitAnd(both, 0x003F003F), 4), 0xD400D400), halves);
      }
      Value word = t.shiftRight(raw[j], 8 * step);
      Value low = t.sub(bits(word, 0x000F000F), zero);
      Value high = t.fma(bits(word, 0x00F000F0), t.splat(halves, 1.0 / 16), negative);
      tiles.push_back({t.bitcast(low, i32), t.bitcast(high, i32)});
    }
    return tiles;
  }

  Values groupScales(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    return loadGroupScales(t, args[kScales], scaleType, place, columns, groups, groupOf(t, chunk));
  }
};

} // namespace

ProductForm describe(kernel::MatmulW4A16Op op) {
  Values own{op.getScales()};
  if (op.getZeros())
    own.push_back(op.getZeros());
  bool isExact = !op.getTable() && (!op.getZeros() || op.getZeros().getType().getElementType().isInteger(8));
  return {isExact ? std::make_unique<Int4Product>(op) : makeTableProduct(op), own};
}

} // namespace qopt::cuda
