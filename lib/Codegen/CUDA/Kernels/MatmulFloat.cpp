//===- MatmulFloat.cpp - Float activations times weights of 8 to 32 bits ---===//
//
// tf32 mma m16n8k8: floats with 11 bits of precision and the range of f32, so that no
// activation overflows as it would in f16. An int8, f16 or bf16 weight is exact in
// them. A float is split in two of them, x = high + low up to 2^-22, and a product of
// two floats takes three: low * high + high * low + high * high ("3xTF32"), as exact as
// f32 itself. Weights that are exact in one part need two.
//
// Activations are split for few rows, where weights are what takes time, and wherever
// weights are f32. Tiles multiply int8 and f16 weights in f16 with 11 bits of every
// activation, and decode two at a time: int8 codes as bytes above 2^10 are
// 2^10 + 128 + code if their sign is turned.
//
// The bits of a float8 e4m3 moved to their places in an f16 are 2^-8 of it, which the scales
// make up for. With groups of inputs, each group's sums are scaled by themselves.
//
// All layouts are [blocks][K][16 columns]: for an input a lane reads its four columns,
// 16 bytes of f32, 8 of f16 or bf16, 4 of int8.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

enum { kScales = kFirstOwn, kZeros };

struct FloatProduct : Product {
  FloatProduct(int64_t inputs, int64_t columns, Type weightType)
      : Product(inputs, columns, 4), weightType(weightType), isByte(weightType.isInteger(8)) {
    splitFewRows = true, splitTiles = weightType.isF32(), halfTiles = isByte || weightType.isF16();
    wgmmaRows = halfTiles ? 128 : 0;
    chunksAhead = isByte ? 2 : 1;
  }
  explicit FloatProduct(kernel::MatmulW8A16Op op)
      : FloatProduct(op.inputs(), op.columns(), op.getWeights().getType().getElementType()) {
    isFloat8 = op.getFloat8(), hasZeros = static_cast<bool>(op.getZeros());
    scaleType = op.getScales().getType().getElementType();
    if (!op.isByGroups())
      return;
    groupSize = op.groupSize(), groups = op.groups();
    paddedGroup = llvm::alignTo(groupSize, chunkElements());
    wgmmaRows = 64; // sums of a group and totals
  }

  Type weightType;
  bool isByte, isFloat8 = false, hasZeros = false;
  Type scaleType = {}; ///< of codes
  int64_t groups = 1;

  /// Words of an input's four columns.
  int64_t words() const { return weightType.getIntOrFloatBitWidth() / 8; }

  /// [8 inputs][words of four columns].
  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = t.vector(t.getI32Type(), words());
    Value column = t.at(t.row(args[kW], piece, place.block, inputs * 4), piece, place.quarter);
    Values raw;
    Value group = paddedGroup ? groupOf(t, chunk) : Value(), first = t.mul(chunk, kChunkWords);
    if (group)
      first = t.add(first, t.mul(group, groupSize - paddedGroup));
    for (int64_t i = 0; i < 2 * kChunkSteps; ++i) {
      Value input = t.add(t.add(first, place.inGroup), 4 * i);
      Value loaded = t.load(piece, t.at(column, piece, t.mul(t.min(input, t.i32(inputs - 1)), 4)));
      for (int64_t word = 0; word < words(); ++word)
        raw.push_back(t.extract(loaded, word));
    }
    if (hasZeros) {
      Value zeros = t.at(t.row(args[kZeros], t.getI32Type(), place.block, groups * 4), t.getI32Type(), place.quarter);
      raw.push_back(t.load(t.getI32Type(), t.at(zeros, t.getI32Type(), t.mul(group, 4))));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const override {
    SmallVector<Fragment> tiles(4);
    for (int64_t i = 2 * step; i < 2 * step + 2; ++i)
      for (int64_t j = 0; j < 4; ++j)
        decodeFloat(t, raw.slice(i * words(), words()), hasZeros ? raw.back() : Value(), j, tiles[j]);
    return tiles;
  }

  SmallVector<Values> decodeHalf(Emitter &t, ValueRange raw, int64_t step) const override {
    Type halves = t.vector(t.getF16Type(), 2);
    SmallVector<Values> tiles(4);
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t r = 0; r < 2; ++r) {
        // The inputs 4 first + t and 4 (first + 1) + t.
        int64_t first = 4 * step + 2 * r;
        if (!isByte) {
          Value two = t.permuteBytes(raw[2 * first + j / 2], raw[2 * first + 2 + j / 2], j % 2 ? 0x7632 : 0x5410);
          tiles[j].push_back(two);
          continue;
        }
        Value codes = t.permuteBytes(raw[first], raw[first + 1], 0x4400 + 0x1111 * j);
        if (isFloat8) {
          tiles[j].push_back(
              t.bitOr(t.shiftLeft(t.bitAnd(codes, 0x00800080), 8), t.shiftLeft(t.bitAnd(codes, 0x007F007F), 7)));
          continue;
        }
        Value biased = t.bitXor(t.bitAnd(codes, 0x00FF00FF), 0x64806480), zero = t.splat(halves, 1024.0 + 128.0);
        if (hasZeros) {
          Value one = t.toHalf(t.add(t.toFloat(signedByte(t, raw.back(), j), t.f32Type()), t.f32(1024.0 + 128.0)));
          zero = t.pack({one, one});
        }
        Value weights = t.sub(t.bitcast(biased, halves), zero);
        tiles[j].push_back(t.bitcast(weights, t.getI32Type()));
      }
    return tiles;
  }

  Values groupScales(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Values scales = loadGroupScales(t, args[kScales], scaleType, place, columns, groups, groupOf(t, chunk));
    return llvm::map_to_vector(scales, [&](Value scale) { return inUnits(t, scale); });
  }

  void finish(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums) const override {
    if (!isByte || paddedGroup)
      return;
    for (auto [c, column] : llvm::enumerate(columns)) {
      Value scale = inUnits(t, t.load(t.f32Type(), t.at(args[kScales], t.f32Type(), column)));
      for (size_t r = 0; r < rows.size(); ++r)
        sums[r * columns.size() + c] = t.mul(sums[r * columns.size() + c], scale);
    }
  }

private:
  /// A scale of what the decoders make of weights.
  Value inUnits(Emitter &t, Value scale) const { return isFloat8 ? t.mul(scale, t.f32(256)) : scale; }

  static Value signedByte(Emitter &t, Value word, int64_t j) {
    return arith::ShRSIOp::create(t, t.shiftLeft(word, 24 - 8 * j), t.i32(24));
  }

  /// Appends the weight of column j, of which `raw` has all four; `zeros` may be null.
  void decodeFloat(Emitter &t, ValueRange raw, Value zeros, int64_t j, Fragment &tile) const {
    Type i32 = t.getI32Type(), f32 = t.f32Type();
    if (isFloat8) {
      Value code = t.shiftRight(raw[0], 8 * j);
      Value bits = t.bitOr(t.shiftLeft(t.bitAnd(code, 0x80), 8), t.shiftLeft(t.bitAnd(code, 0x7F), 7));
      Value half = t.extract(t.bitcast(bits, t.vector(t.getF16Type(), 2)), 0);
      tile.high.push_back(t.bitcast(t.toFloat(half, f32), i32));
    } else if (isByte) {
      Value code = signedByte(t, raw[0], j);
      if (zeros)
        code = t.sub(code, signedByte(t, zeros, j));
      tile.high.push_back(t.bitcast(t.toFloat(code, f32), i32));
    } else if (weightType.isBF16()) {
      tile.high.push_back(j % 2 ? t.bitAnd(raw[j / 2], ~int64_t(0xFFFF)) : t.shiftLeft(raw[j / 2], 16));
    } else if (weightType.isF16()) {
      Value half = t.extract(t.bitcast(raw[j / 2], t.vector(weightType, 2)), j % 2);
      tile.high.push_back(t.bitcast(t.toFloat(half, f32), i32));
    } else {
      appendSplit(t, raw[j], tile);
    }
  }
};

} // namespace

ProductForm describe(kernel::MatmulFloatOp op) {
  Type weights = op.getWeights().getType().getElementType();
  return {std::make_unique<FloatProduct>(op.inputs(), op.columns(), weights), {}};
}

ProductForm describe(kernel::MatmulW8A16Op op) {
  Values own{op.getScales()};
  if (op.getZeros())
    own.push_back(op.getZeros());
  return {std::make_unique<FloatProduct>(op), own};
}

} // namespace qopt::cuda
