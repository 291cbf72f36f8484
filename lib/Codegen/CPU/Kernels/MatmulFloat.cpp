//===- MatmulFloat.cpp - Float activations times weights of 8 to 32 bits ---===//
//
// Outer products in registers: for every k, the weights of 16 columns are one
// vector, an activation is broadcast (from memory, as part of the multiply-add on
// v4), and a tile of sums takes rows x blocks multiply-adds. Narrower weights become
// floats on the way: int8 by a sign-extending load and a conversion per 16 (their scale is
// applied to the finished sums, or to those of each group), f16 by vcvtph2ps, bf16 by a shift.
// The bits of a float8 e4m3 moved to their places in an f16 are 2^-8 of it, subnormals
// too; the scales have the rest. On v3, with many rows a
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

constexpr float kFloat8Unit = 256; ///< a float8 in units of what weights() makes of it

struct Product {
  Kernel &k;
  Value x, w, scales, y; ///< scales multiply the finished sums; null where there are none
  int64_t inputs;
  Value zeros = {};      ///< of groups; may be null
  int64_t groupSize = 0; ///< inputs whose sums have a scale of their own; 0: one for all, [N]
  bool isFloat8 = false;

  Type f32() { return k.getF32Type(); }
  bool isWide() { return cast<MemRefType>(w.getType()).getElementType().isF32(); }
  Tiling tiling();
  Value weights(Value block, Value input);
  Value left(const Tile &tile, int64_t r, Value i) { return k.load(x, {k.add(tile.row, k.index(r)), i}); }
  Value scale(Value loaded);
  void tile(const Tile &tile);
  Values group(const Tile &tile, Value index, int64_t size, ValueRange totals);
  void tileOfGroups(const Tile &tile);
  void panels(const RowsOfTask &task, int64_t rows);
  void finish(const Tile &tile, Values sums);
};

Tiling Product::tiling() {
  Tiling t = defaultTiling(k.target, inputs * 4);
  if (!isWide() && !groupSize && !k.target.vnni512)
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
  if (isFloat8) {
    Type i16 = k.getI16Type();
    auto splat = [&](int64_t bits) -> Value {
      return arith::ConstantOp::create(k, DenseElementsAttr::get(k.vector(i16), k.getIntegerAttr(i16, bits)));
    };
    v = arith::ExtSIOp::create(k, k.vector(i16), v);
    Value sign = arith::AndIOp::create(k, v, splat(-0x8000));
    Value bits = arith::ShLIOp::create(k, arith::AndIOp::create(k, v, splat(0x7F)), splat(7));
    Value half = k.bitcast(arith::OrIOp::create(k, sign, bits), k.vector(k.getF16Type()));
    return arith::ExtFOp::create(k, k.vector(f32()), half);
  }
  v = arith::ExtSIOp::create(k, k.vector(k.getI32Type()), v);
  return arith::SIToFPOp::create(k, k.vector(f32()), v);
}

/// As f32, of what weights() makes.
Value Product::scale(Value loaded) {
  if (loaded.getType() != k.vector(f32()))
    loaded = arith::ExtFOp::create(k, k.vector(f32()), loaded);
  return isFloat8 ? k.mul(loaded, k.splat(kFloat8Unit)) : loaded;
}

void Product::tile(const Tile &tile) {
  if (groupSize)
    return tileOfGroups(tile);
  Values sums(tile.rows * tile.blocks, k.splat(0.0f));
  auto right = [&](int64_t b, Value i) {
    if (tile.rows == 1)
      k.prefetchWeights(w, k.add(tile.block, k.index(b)), i, tile.blocks);
    return weights(k.add(tile.block, k.index(b)), i);
  };
  finish(tile, multiplyTile(
                   k, tile.rows, tile.blocks, k.index(0), k.index(inputs), sums,
                   [&](int64_t r, Value i) { return left(tile, r, i); }, right));
}

/// totals += scale * (sum of the products of group `index`, which has `size` inputs).
Values Product::group(const Tile &tile, Value index, int64_t size, ValueRange totals) {
  auto ofGroup = [&](Value memref, int64_t b) {
    return k.loadVector(memref, {k.add(tile.block, k.index(b)), index, k.index(0)});
  };
  Values zero;
  for (int64_t b = 0; zeros && b < tile.blocks; ++b)
    zero.push_back(arith::SIToFPOp::create(k, k.vector(f32()), ofGroup(zeros, b)));
  auto right = [&](int64_t b, Value i) {
    Value code = weights(k.add(tile.block, k.index(b)), i);
    return zeros ? k.sub(code, zero[b]) : code;
  };
  Value first = k.mul(index, k.index(groupSize));
  Values sums(tile.rows * tile.blocks, k.splat(0.0f));
  sums = multiplyTile(
      k, tile.rows, tile.blocks, first, k.add(first, k.index(size)), sums,
      [&](int64_t r, Value i) { return left(tile, r, i); }, right);
  return addScaled(k, tile, sums, totals, [&](int64_t b) { return scale(ofGroup(scales, b)); });
}

void Product::tileOfGroups(const Tile &tile) {
  Values totals = addGroups(k, tile, inputs, groupSize, [&](Value index, int64_t size, ValueRange carried) {
    return group(tile, index, size, carried);
  });
  storeTile(k, tile, totals, y);
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
    Value factor = scale(k.loadVector(scales, {column}, tile.columns(b)));
    for (int64_t r = 0; r < tile.rows; ++r)
      sums[r * tile.blocks + b] = k.mul(sums[r * tile.blocks + b], factor);
  }
  storeTile(k, tile, sums, y);
}

void emitProduct(Product product, int64_t columns) {
  Kernel &k = product.k;
  Tiling tiling = product.tiling();
  forEachTile(
      k, k.dim(product.x, 0), columns, tiling, [&](const Tile &tile) { product.tile(tile); },
      [&](const RowsOfTask &task) { product.panels(task, tiling.panelRows); });
}

} // namespace

void emit(Kernel &k, kernel::MatmulFloatOp op) {
  emitProduct({k, op.getX(), op.getWeights(), /*scales=*/{}, op.getY(), op.inputs()}, op.columns());
}

void emit(Kernel &k, kernel::MatmulW8A16Op op) {
  emitProduct({k, op.getX(), op.getWeights(), op.getScales(), op.getY(), op.inputs(), op.getZeros(),
               op.isByGroups() ? op.groupSize() : 0, op.getFloat8()},
              op.columns());
}

} // namespace qopt::kernels
