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

using namespace mlir;

namespace qopt::kernels {

/// `scales` [N] multiply the finished sums; null where there are none.
static void emitProduct(Kernel &k, kernel::ProductOpInterface op, Value scales) {
  Type f32 = k.getF32Type();
  Type weightType = cast<MemRefType>(op.getWeights().getType()).getElementType();
  int64_t inputs = op.inputs(), n = op.columns();
  Value x = op.getX(), w = op.getWeights(), y = op.getY();
  forEachTile(k, k.dim(x, 0), n, defaultTiling(k.target, inputs * 4), [&](const Tile &tile) {
    Values zeros(tile.rows * tile.blocks, k.splat(0.0f));
    auto left = [&](int64_t r, Value i) { return k.load(x, {k.add(tile.row, k.index(r)), i}); };
    auto right = [&](int64_t b, Value i) {
      Value v = k.loadVector(w, {k.add(tile.block, k.index(b)), i, k.index(0)});
      if (weightType.isF32())
        return v;
      if (!scales)
        return Value(arith::ExtFOp::create(k, k.vector(f32), v));
      v = arith::ExtSIOp::create(k, k.vector(k.getI32Type()), v);
      return Value(arith::SIToFPOp::create(k, k.vector(f32), v));
    };
    Values sums = multiplyTile(k, tile.rows, tile.blocks, k.index(0), k.index(inputs), zeros, left, right);
    if (scales)
      for (int64_t b = 0; b < tile.blocks; ++b) {
        Value column = k.mul(k.add(tile.block, k.index(b)), k.index(kColumns));
        Value scale = k.loadVector(scales, {column}, tile.columns(b));
        for (int64_t r = 0; r < tile.rows; ++r)
          sums[r * tile.blocks + b] = k.mul(sums[r * tile.blocks + b], scale);
      }
    storeTile(k, tile, sums, y);
  });
}

void emit(Kernel &k, kernel::MatmulFloatOp op) { emitProduct(k, op, /*scales=*/{}); }
void emit(Kernel &k, kernel::MatmulW8A16Op op) { emitProduct(k, op, op.getScales()); }

} // namespace qopt::kernels
