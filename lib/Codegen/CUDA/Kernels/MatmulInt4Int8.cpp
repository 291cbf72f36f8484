//===- MatmulInt4Int8.cpp - int8 activations times int4 weights -------------===//
//
// s8 mma m16n8k32 on codes that become bytes in registers. One load of 16 bytes is eight
// inputs of a lane's four columns, four in the low halves of the bytes of a word, four in the
// high ones: both operands of a step, as the order of inputs within a product is free. So
// lane t takes the inputs 8t .. 8t + 7 of each step of 32, of x too (LaneWords::Pairs).
//
// Without zero points the bytes are 16 * (code - 8): one `and` and one `xor` (a single lop3)
// where a code is in the upper half of its byte, and a shift more in the lower one. Sums are
// then counted in sixteenths, exactly. Zero points are taken off byte by byte.
//
// Sums of a group are exact integers, and what the scales make of them is added in float in
// the order of the groups: every bit of the result is the CPU's. Groups here are those of x,
// of which one of the weights has one or several.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

enum { kTokenScales = kFirstOwn, kScales, kZeros };

struct Int4Int8Product : Product {
  explicit Int4Int8Product(kernel::MatmulW4A8Op op)
      : Product(op.inputs(), op.columns(), 1), scaleType(op.getScales().getType().getElementType()),
        hasZeros(static_cast<bool>(op.getZeros())), groups(op.groups()), steps(op.steps()), xGroups(op.xGroups()),
        perWeightGroup(op.groupSize() / op.xGroupSize()) {
    groupSize = op.xGroupSize();
    paddedGroup = llvm::alignTo(groupSize, chunkElements());
    laneWords = LaneWords::Pairs;
  }

  Type scaleType;
  bool hasZeros;
  int64_t groups, steps, xGroups;
  int64_t perWeightGroup; ///< groups of x in one of the weights

  float sumUnit() const override { return hasZeros ? 1 : 1.0f / 16; }

  /// Four words of codes for each step; with zero points one of four bytes.
  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = t.vector(t.getI32Type(), 4);
    Value column = t.at(t.row(args[kW], piece, place.block, steps * 4), piece, place.quarter);
    Value first = t.mul(groupOf(t, chunk), llvm::divideCeil(groupSize, kernel::kInt4Step));
    first = t.add(first, t.mul(t.rem(chunk, t.i32(chunksPerGroup())), kChunkSteps * kLanesOfStep));
    Values raw;
    for (int64_t i = 0; i < kChunkSteps; ++i) {
      Value step = t.min(t.add(t.add(first, place.inGroup), i * kLanesOfStep), t.i32(steps - 1));
      llvm::append_range(raw, loadWords(t, t.at(column, piece, t.mul(step, 4))));
    }
    if (hasZeros) {
      Value zeros = t.at(t.row(args[kZeros], t.getI32Type(), place.block, groups * 4), t.getI32Type(), place.quarter);
      raw.push_back(t.load(t.getI32Type(), t.at(zeros, t.getI32Type(), t.mul(weightGroupOf(t, chunk), 4))));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const override {
    constexpr int64_t kHighHalves = 0xF0F0F0F0, kLowHalves = 0x0F0F0F0F, kSigns = 0x80808080;
    SmallVector<Fragment> tiles;
    for (int64_t j = 0; j < kTiles; ++j) {
      Value word = raw[kTiles * step + j];
      if (!hasZeros) {
        auto signedBytes = [&](Value codes) { return t.bitXor(t.bitAnd(codes, kHighHalves), kSigns); };
        tiles.push_back({{signedBytes(t.shiftLeft(word, 4)), signedBytes(word)}, {}});
        continue;
      }
      // No byte of 128 + code - zero borrows from the next one.
      Value zero = t.permuteBytes(raw.back(), raw.back(), 0x1111 * j);
      Value base = t.sub(t.splat(t.getI32Type(), kSigns), zero);
      auto signedBytes = [&](Value codes) { return t.bitXor(t.add(t.bitAnd(codes, kLowHalves), base), kSigns); };
      tiles.push_back({{signedBytes(word), signedBytes(t.shiftRight(word, 4))}, {}});
    }
    return tiles;
  }

  Values groupScales(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Value block = t.min(t.shiftRight(place.sums, 4), t.i32(llvm::divideCeil(columns, int64_t(16)) - 1));
    Type four = t.vector(scaleType, 4);
    Value scales = t.row(args[kScales], four, t.add(t.mul(block, groups), weightGroupOf(t, chunk)), 4);
    scales = t.at(scales, four, t.shiftRight(t.bitAnd(place.sums, 15), 2));
    Values result;
    for (int64_t i = 0; i < place.numSums; ++i)
      result.push_back(asFloat(t, t.extract(t.load(four, t.at(scales, four, i / 4)), i % 4)));
    return result;
  }

  Value activationScale(Emitter &t, ValueRange args, Value row, Value chunk) const override {
    Value scales = t.row(args[kTokenScales], t.f32Type(), row, xGroups);
    return t.load(t.f32Type(), t.at(scales, t.f32Type(), groupOf(t, chunk)));
  }

  Value columnScale(Emitter &t, ValueRange args, Value column, Value chunk) const override {
    Value group = t.add(t.mul(t.shiftRight(column, 4), groups), weightGroupOf(t, chunk));
    Value scales = t.row(args[kScales], scaleType, group, 16);
    return asFloat(t, t.load(scaleType, t.at(scales, scaleType, t.bitAnd(column, 15))));
  }

private:
  /// Lanes that share a row of x, each with eight inputs of a step.
  static constexpr int64_t kLanesOfStep = 4;

  /// groupOf() is the group of x.
  Value weightGroupOf(Emitter &t, Value chunk) const { return t.div(groupOf(t, chunk), t.i32(perWeightGroup)); }
  Value asFloat(Emitter &t, Value scale) const { return scaleType.isF32() ? scale : t.toFloat(scale, t.f32Type()); }
};

} // namespace

ProductForm describe(kernel::MatmulW4A8Op op) {
  Values own{op.getXScale(), op.getScales()};
  if (op.getZeros())
    own.push_back(op.getZeros());
  return {std::make_unique<Int4Int8Product>(op), own};
}

} // namespace qopt::cuda
