//===- Shapes.cpp - Which sizes the code of a kernel depends on -----------===//
//
// The shapes that operands must have. `?` are sizes of which the code does not depend, so
// that kernels that differ only in them share one function (KernelOpInterface).
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Kernel/Kernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt::kernel;

using Shapes = SmallVector<OperandShape>;

static constexpr int64_t kAny = ShapedType::kDynamic;

MemRefType qopt::kernel::getFunctionType(KernelOpInterface kernel, unsigned operand) {
  auto type = cast<ShapedType>(kernel->getOperand(operand).getType());
  return MemRefType::get(kernel.getOperandShapes()[operand].sizes, type.getElementType());
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

static int64_t blocksOf(ProductOpInterface op) { return llvm::divideCeil(op.columns(), kColumns); }

/// x and the weights, whose blocks have this shape; `own` operands; y.
static Shapes productShapes(ProductOpInterface op, int64_t steps, int64_t lanes, const Shapes &own = {}) {
  Shapes shapes{{"x", {kAny, op.inputs()}}, {"weights", {blocksOf(op), steps, lanes}}};
  llvm::append_range(shapes, own);
  shapes.push_back({"y", {kAny, op.columns()}});
  return shapes;
}

Shapes MatmulFloatOp::getOperandShapes() { return productShapes(*this, inputs(), kColumns); }

/// The scales of groups and, where there are any, their zero points.
template <typename Product>
static Shapes groupShapes(Product op) {
  Shapes shapes{{"scales", {blocksOf(op), op.groups(), kColumns}}};
  if (op.getZeros())
    shapes.push_back({"zeros", {blocksOf(op), op.groups(), kColumns}});
  return shapes;
}

Shapes MatmulW8A16Op::getOperandShapes() {
  return productShapes(*this, inputs(), kColumns, isByGroups() ? groupShapes(*this) : Shapes{{"scales", {columns()}}});
}

Shapes MatmulW4A16Op::getOperandShapes() {
  return productShapes(*this, steps(), kColumns * kInt4Step / 2, groupShapes(*this));
}

Shapes MatmulW4A8Op::getOperandShapes() {
  SmallVector<int64_t> perGroup{blocksOf(*this), groups(), kColumns};
  Shapes shapes{{"x", {kAny, inputs()}},
                {"x_scale", {kAny, xGroups()}},
                {"weights", {blocksOf(*this), steps(), kColumns * kInt4Step / 2}},
                {"scales", perGroup}};
  if (getZeros())
    shapes.push_back({"zeros", perGroup});
  shapes.push_back({"y", {kAny, columns()}});
  return shapes;
}

Shapes MatmulW8A8Op::getOperandShapes() {
  int64_t blocks = blocksOf(*this), steps = llvm::divideCeil(inputs(), 4);
  Shapes shapes{{"x", {kAny, inputs()}},
                {"x_scale", SmallVector<int64_t>(getXScale().getType().getRank(), kAny)},
                {"weights", {blocks, steps, 4 * kColumns}},
                {"correction", {blocks * kColumns}},
                {"scales", {columns()}}};
  switch (outlierForm()) {
  case OutlierForm::None:
    break;
  case OutlierForm::Listed:
    shapes.append({{"outliers", {kAny, inputs()}}, {"outlier columns", {inputs()}}});
    break;
  case OutlierForm::Kept: // layers share a kernel however many outliers they have
    shapes.append({{"outliers", {kAny, kAny}}, {"outlier weights", {blocks, kAny, kColumns}}, {"outlier count", {1}}});
    break;
  }
  shapes.push_back({"y", {kAny, columns()}});
  return shapes;
}

//===----------------------------------------------------------------------===//
// Quantization and normalization
//===----------------------------------------------------------------------===//

Shapes QuantizeOp::getOperandShapes() { return {{"x", {kAny, width()}}, {"scale", {}}, {"codes", {kAny, width()}}}; }

Shapes DynamicQuantizeOp::getOperandShapes() {
  SmallVector<int64_t> scale{kAny};
  if (isByGroups())
    scale.push_back(groups());
  return {{"x", {kAny, width()}}, {"codes", {kAny, width()}}, {"scale", scale}};
}

Shapes SplitColumnsOp::getOperandShapes() {
  return {{"x", {kAny, width()}}, {"codes", {kAny, width()}}, {"scale", {kAny}}, {"columns", {width()}}};
}

Shapes SplitColumnsAtOp::getOperandShapes() {
  return {{"x", {kAny, width()}},
          {"columns", {kAny}},
          {"codes", {kAny, width()}},
          {"scale", {kAny}},
          {"outliers", {kAny, kAny}}};
}

Shapes LayerNormOp::getOperandShapes() {
  Shapes shapes{{"x", {kAny, width()}}, {"weight", {width()}}};
  if (getBias())
    shapes.push_back({"bias", {width()}});
  shapes.push_back({"y", {kAny, width()}});
  return shapes;
}

Shapes RmsNormOp::getOperandShapes() { return {{"x", {kAny, width()}}, {"weight", {width()}}, {"y", {kAny, width()}}}; }

//===----------------------------------------------------------------------===//
// The other parts of a decoder
//===----------------------------------------------------------------------===//

/// [B, S, heads, size] or, heads first, [B, heads, S, size].
static SmallVector<int64_t> headsShape(bool headsFirst, int64_t heads, int64_t size) {
  return headsFirst ? SmallVector<int64_t>{kAny, heads, kAny, size} : SmallVector<int64_t>{kAny, kAny, heads, size};
}

Shapes RotaryOp::getOperandShapes() {
  SmallVector<int64_t> x = headsShape(getHeadsFirst(), heads(), headSize());
  SmallVector<int64_t> table(getPositions() ? 1 : 2, kAny);
  table.push_back(rotated() / 2);
  Shapes shapes{{"x", x}, {"cos", table}, {"sin", table}};
  if (getPositions())
    shapes.push_back({"positions", {kAny, kAny}});
  shapes.push_back({"y", x});
  return shapes;
}

Shapes GatherOp::getOperandShapes() {
  // Code for a table that is not packed may depend on its size, too.
  SmallVector<int64_t> table{getData().getType().getDimSize(0), width()};
  if (isPacked()) {
    int64_t inputs = getScales() ? packedInputs() : 1;
    table = {static_cast<int64_t>(llvm::divideCeil(*getRows(), kColumns)),
             static_cast<int64_t>(llvm::divideCeil(width(), inputs)), inputs * kColumns};
  }
  Shapes shapes{{"data", table}, {"indices", {kAny}}};
  if (getScales())
    shapes.push_back({"scales", {isPacked() ? static_cast<int64_t>(*getRows()) : table.front()}});
  shapes.push_back({"y", {kAny, width()}});
  return shapes;
}

Shapes AttentionOp::getOperandShapes() {
  Shapes shapes{{"q", headsShape(getQHeadsFirst(), heads(), headSize())},
                {"keys", headsShape(getKvHeadsFirst(), keyHeads(), headSize())},
                {"values", headsShape(getKvHeadsFirst(), keyHeads(), valueSize())}};
  // Whether a dimension of the mask is 1 decides how often it is read.
  if (getMask())
    shapes.push_back({"mask", llvm::to_vector(getMask().getType().getShape())});
  shapes.push_back({"y", headsShape(getQHeadsFirst(), heads(), valueSize())});
  return shapes;
}

/// One for all rows, or one for each.
static int64_t lengthsOf(Value past, Value rows) {
  return cast<ShapedType>(past.getType()).getDimSize(0) == 1 ? 1 : cast<ShapedType>(rows.getType()).getDimSize(0);
}

Shapes CachedAttentionOp::getOperandShapes() {
  Shapes shapes{{"q", headsShape(false, heads(), headSize())},
                {"keys", headsShape(true, keyHeads(), headSize())},
                {"values", headsShape(true, keyHeads(), valueSize())},
                {"past", {lengthsOf(getPast(), getQ())}}};
  if (getSlopes())
    shapes.push_back({"slopes", {heads()}});
  if (getSinks())
    shapes.push_back({"sinks", {heads()}});
  shapes.push_back({"y", headsShape(false, heads(), valueSize())});
  return shapes;
}

Shapes CacheAppendOp::getOperandShapes() {
  return {{"x", headsShape(false, heads(), headSize())},
          {"past", {lengthsOf(getPast(), getX())}},
          {"cache", headsShape(true, heads(), headSize())}};
}
