//===- MatmulFloat.cpp - Float activations times float or int8 weights -----===//
//
// tf32 mma m16n8k8: floats with 11 bits of precision and the range of f32, so that no
// activation overflows as it would in f16. An int8 weight is exact in them. A float is
// split in two of them, x = high + low up to 2^-22, and a product takes three:
// low * high + high * low + high * high ("3xTF32"), as exact as f32 itself.
//
// Float activations of int8 weights are split, too, where weights are what takes time
// (few rows); in tiles they are rounded to 11 bits, which is what f16 would keep.
//
// Both layouts are [blocks][K][16 columns]: for an input a lane reads its four columns,
// 16 bytes of f32 or 4 of int8.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

struct FloatProduct : Product {
  FloatProduct(int64_t inputs, int64_t columns, bool isInt8) : Product(inputs, columns, 4), isInt8(isInt8) {
    splitFewRows = true, splitTiles = !isInt8;
    chunksAhead = isInt8 ? 2 : 1;
  }

  bool isInt8;

  /// [8 inputs][columns: 4 words of f32, or one of four int8].
  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = isInt8 ? t.getI32Type() : t.vector(t.getI32Type(), 4);
    Value column = t.at(t.row(args[kW], piece, place.block, inputs * 4), piece, place.quarter);
    Values raw;
    for (int64_t i = 0; i < 2 * kChunkSteps; ++i) {
      Value input = t.add(t.add(t.mul(chunk, kChunkWords), place.inGroup), 4 * i);
      Value at = t.at(column, piece, t.mul(t.min(input, t.i32(inputs - 1)), 4));
      if (isInt8)
        raw.push_back(t.load(piece, at));
      else
        llvm::append_range(raw, loadWords(t, at));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const override {
    SmallVector<Fragment> tiles(4);
    for (int64_t i = 2 * step; i < 2 * step + 2; ++i)
      for (int64_t j = 0; j < 4; ++j) {
        if (isInt8) {
          Value code = arith::ShRSIOp::create(t, t.shiftLeft(raw[i], 24 - 8 * j), t.i32(24));
          tiles[j].high.push_back(t.bitcast(t.toFloat(code, t.f32Type()), t.getI32Type()));
          continue;
        }
        // The weights of a model are finite: cutting the low bits off is a split, too.
        Value bits = raw[4 * i + j], high = t.bitAnd(bits, ~int64_t(0x1FFF));
        Value low = t.sub(t.bitcast(bits, t.f32Type()), t.bitcast(high, t.f32Type()));
        tiles[j].high.push_back(high);
        tiles[j].low.push_back(t.bitAnd(t.bitcast(low, t.getI32Type()), ~int64_t(0x1FFF)));
      }
    return tiles;
  }

  void finish(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums) const override {
    if (!isInt8)
      return;
    for (auto [c, column] : llvm::enumerate(columns)) {
      Value scale = t.load(t.f32Type(), t.at(args[kFirstOwn], t.f32Type(), column));
      for (size_t r = 0; r < rows.size(); ++r)
        sums[r * columns.size() + c] = t.mul(sums[r * columns.size() + c], scale);
    }
  }
};

} // namespace

/// x [R,K], w [blocks,K,16], (scale [N],) y [R,N].
FailureOr<ProductDeclaration> describeMatmulFloat(KernelDeclaration &k, bool isInt8) {
  Builder b(k.function.getContext());
  Type f32 = b.getF32Type(), weightType = isInt8 ? b.getI8Type() : f32;
  unsigned result = isInt8 ? 3 : 2;
  if (failed(isInt8 ? k.expectRanks({2, 3, 1, 2}) : k.expectRanks({2, 3, 2})))
    return failure();
  int64_t inputs = k.size(1, 1), n = k.size(result, 1);
  if (ShapedType::isDynamic(inputs) || ShapedType::isDynamic(n))
    return k.function.emitOpError("requires known inputs and outputs");
  int64_t blocks = llvm::divideCeil(n, int64_t(16));
  if (failed(k.expectShape(0, {ShapedType::kDynamic, inputs}, f32)) ||
      failed(k.expectShape(1, {blocks, inputs, 16}, weightType)) || (isInt8 && failed(k.expectShape(2, {n}, f32))) ||
      failed(k.expectShape(result, {ShapedType::kDynamic, n}, f32)))
    return failure();
  SmallVector<unsigned> own;
  if (isInt8)
    own.push_back(2);
  return ProductDeclaration{std::make_unique<FloatProduct>(inputs, n, isInt8), 0, 1, result, own};
}

} // namespace qopt::cuda
