//===- MatmulFloat.cpp - Float activations times float or int8 weights -----===//
//
// Outer products in registers: for every k, the weights of 16 columns are one
// vector, an activation is broadcast (from memory, as part of the multiply-add on
// v4), and a tile of sums takes rows x blocks multiply-adds. Narrower weights become
// floats on the way: int8 by a sign-extending load and a conversion per 16 (their scale is
// applied to the finished sums), f16 by vcvtph2ps, bf16 by a shift. On v3, with many rows a
// panel of them is widened once for all rows of a task (Tiles.h); v4 has registers for tiles
// so large that it does not pay. The order of every sum is that of the inputs all the same.
//
//===----------------------------------------------------------------------===//
#include "Tiles.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

constexpr int64_t kPanelTaskRows = 96; ///< rows of a task
constexpr int64_t kPanelInputs = 256;  ///< inputs of a chunk; its weights are half of the nearest cache

struct Product {
  Kernel &k;
  Value x, w, scales, y; ///< scales [N] multiply the finished sums; null where there are none
  int64_t inputs;

  Type f32() { return k.getF32Type(); }
  bool isWide() { return cast<MemRefType>(w.getType()).getElementType().isF32(); }
  Tiling tiling();
  Value weights(Value block, Value input);
  void tile(const Tile &tile);
  void panels(const RowsOfTask &task, int64_t rows);
  void finish(const Tile &tile, Values sums);
};

Tiling Product::tiling() {
  Tiling t = defaultTiling(k.target, inputs * 4);
  if (!isWide() && !k.target.vnni512)
    t.panelRows = k.target.accumulators(), t.taskRows = kPanelTaskRows;
  return t;
}

/// Of 16 columns, as floats.
Value Product::weights(Value block, Value input) {
  Value v = k.loadVector(w, {block, input, k.index(0)});
  if (isWide())
    return v;
  if (!scales)
    return arith::ExtFOp::create(k, k.vector(f32()), v);
  v = arith::ExtSIOp::create(k, k.vector(k.getI32Type()), v);
  return arith::SIToFPOp::create(k, k.vector(f32()), v);
}

void Product::tile(const Tile &tile) {
  Values zeros(tile.rows * tile.blocks, k.splat(0.0f));
  auto left = [&](int64_t r, Value i) { return k.load(x, {k.add(tile.row, k.index(r)), i}); };
  auto right = [&](int64_t b, Value i) { return weights(k.add(tile.block, k.index(b)), i); };
  finish(tile, multiplyTile(k, tile.rows, tile.blocks, k.index(0), k.index(inputs), zeros, left, right));
}

/// Narrow weights are widened once for all rows of a task.
void Product::panels(const RowsOfTask &task, int64_t rows) {
  Value panel = k.scratch({kPanelInputs, kLanes}, f32());
  auto widen = [&](Value block, Value first, Value count) {
    k.forLoop(k.index(0), count, 1,
              [&](Value i) { k.storeVector(weights(block, k.add(first, i)), panel, {i, k.index(0)}); });
  };
  auto multiply = [&](Value row, Value first, Value count, ValueRange sums) {
    auto left = [&](int64_t r, Value i) { return k.load(x, {k.add(row, k.index(r)), k.add(first, i)}); };
    auto right = [&](int64_t, Value i) { return k.loadVector(panel, {i, k.index(0)}); };
    return multiplyTile(k, rows, /*blocks=*/1, k.index(0), count, sums, left, right);
  };
  forEachPanel(k, task, {rows, kPanelTaskRows, inputs, kPanelInputs}, f32(), widen, multiply,
               [&](const Tile &tile, ValueRange sums) { finish(tile, llvm::to_vector(sums)); });
}

void Product::finish(const Tile &tile, Values sums) {
  for (int64_t b = 0; scales && b < tile.blocks; ++b) {
    Value column = k.mul(k.add(tile.block, k.index(b)), k.index(kColumns));
    Value scale = k.loadVector(scales, {column}, tile.columns(b));
    for (int64_t r = 0; r < tile.rows; ++r)
      sums[r * tile.blocks + b] = k.mul(sums[r * tile.blocks + b], scale);
  }
  storeTile(k, tile, sums, y);
}

void emitProduct(Kernel &k, kernel::ProductOpInterface op, Value scales) {
  Product product{k, op.getX(), op.getWeights(), scales, op.getY(), op.inputs()};
  Tiling tiling = product.tiling();
  forEachTile(
      k, k.dim(product.x, 0), op.columns(), tiling, [&](const Tile &tile) { product.tile(tile); },
      [&](const RowsOfTask &task) { product.panels(task, tiling.panelRows); });
}

} // namespace

void emit(Kernel &k, kernel::MatmulFloatOp op) { emitProduct(k, op, /*scales=*/{}); }
void emit(Kernel &k, kernel::MatmulW8A16Op op) { emitProduct(k, op, op.getScales()); }

} // namespace qopt::kernels
