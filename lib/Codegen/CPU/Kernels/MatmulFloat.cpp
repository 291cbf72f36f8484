//===- MatmulFloat.cpp - Float activations times float or int8 weights -----===//
//
// Outer products in registers: for every k, the weights of 16 columns are one
// vector, an activation is broadcast (from memory, as part of the multiply-add on
// v4), and a tile of sums takes rows x blocks multiply-adds. Narrower weights become
// floats on the way, once per tile: int8 by a sign-extending load and a conversion per
// 16 (their scale is applied to the finished sums), f16 by vcvtph2ps, bf16 by a shift.
//
//===----------------------------------------------------------------------===//
#include "Tiles.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::kernels {

/// x [R,K], w [blocks,K,16], (scale [N],) y [R,N].
static LogicalResult emit(Kernel &k, Type weightType, bool scaled) {
  Type f32 = k.getF32Type();
  unsigned result = scaled ? 3 : 2;
  if (failed(scaled ? k.expectRanks({2, 3, 1, 2}) : k.expectRanks({2, 3, 2})))
    return failure();
  int64_t inputs = k.size(1, 1), n = k.size(result, 1);
  if (ShapedType::isDynamic(inputs) || ShapedType::isDynamic(n))
    return k.function.emitOpError("requires known inputs and outputs");
  if (failed(k.expectShape(0, {ShapedType::kDynamic, inputs}, f32)) ||
      failed(k.expectShape(1, {static_cast<int64_t>(llvm::divideCeil(n, kColumns)), inputs, kColumns}, weightType)) ||
      (scaled && failed(k.expectShape(2, {n}, f32))) || failed(k.expectShape(result, {ShapedType::kDynamic, n}, f32)))
    return failure();

  Value x = k.arg(0), w = k.arg(1), y = k.arg(result);
  forEachTile(k, k.dim(x, 0), n, defaultTiling(k.target, inputs * 4), [&](const Tile &tile) {
    Values zeros(tile.rows * tile.blocks, k.splat(0.0f));
    auto left = [&](int64_t r, Value i) { return k.load(x, {k.add(tile.row, k.index(r)), i}); };
    auto right = [&](int64_t b, Value i) {
      Value v = k.loadVector(w, {k.add(tile.block, k.index(b)), i, k.index(0)});
      if (weightType.isF32())
        return v;
      if (!scaled)
        return Value(arith::ExtFOp::create(k, k.vector(f32), v));
      v = arith::ExtSIOp::create(k, k.vector(k.getI32Type()), v);
      return Value(arith::SIToFPOp::create(k, k.vector(f32), v));
    };
    Values sums = multiplyTile(k, tile.rows, tile.blocks, k.index(0), k.index(inputs), zeros, left, right);
    if (scaled)
      for (int64_t b = 0; b < tile.blocks; ++b) {
        Value column = k.mul(k.add(tile.block, k.index(b)), k.index(kColumns));
        Value scale = k.loadVector(k.arg(2), {column}, tile.columns(b));
        for (int64_t r = 0; r < tile.rows; ++r)
          sums[r * tile.blocks + b] = k.mul(sums[r * tile.blocks + b], scale);
      }
    storeTile(k, tile, sums, y);
  });
  return success();
}

LogicalResult emitMatmulF32(Kernel &k) { return emit(k, k.getF32Type(), /*scaled=*/false); }
LogicalResult emitMatmulF16(Kernel &k) {
  if (failed(k.expectRanks({2, 3, 2})))
    return failure();
  Type weightType = k.type(1).getElementType();
  if (!weightType.isF16() && !weightType.isBF16())
    return k.function.emitOpError() << "expected weights of f16 or bf16, but got " << weightType;
  return emit(k, weightType, /*scaled=*/false);
}
LogicalResult emitMatmulW8A16(Kernel &k) { return emit(k, k.getI8Type(), /*scaled=*/true); }

} // namespace qopt::kernels
