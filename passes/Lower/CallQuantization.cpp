//===- CallQuantization.cpp - Activations are quantized by kernels --------===//
#include "KernelConversions.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

LogicalResult lowering::convertToCall(QuantizeOp op, KernelCalls &c) {
  Value x = op.getInput();
  int64_t k = widthOf(x);
  if (!k || typeOf(op.getScale()).getRank())
    return failure();
  Value rows = c.toRows(x, k);
  ResultBuffer codes{{kUnknown, k}, c.b.getI8Type(), {c.dim(rows, 0)}};
  Value result = c.call("quantize", "_k" + Twine(k), {rows, op.getScale()}, {codes})[0];
  return replace(op, c.fromRows(result, x, 1, op.getType()));
}

/// A scale per row [?] in the shape of x without its last dimension.
static Value rowScale(KernelCalls &c, Value scale, Value x, Type type) {
  Value column =
      tensor::ExpandShapeOp::create(c.b, RankedTensorType::get({kUnknown, 1}, typeOf(scale).getElementType()), scale,
                                    ArrayRef<ReassociationIndices>{{0, 1}},
                                    ArrayRef<OpFoldResult>{getAsOpFoldResult(c.dim(scale, 0)), c.b.getIndexAttr(1)});
  auto scaleType = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(scaleType.getShape());
  shape.push_back(1);
  Value expanded = c.fromRows(column, x, 1, RankedTensorType::get(shape, scaleType.getElementType()));
  int64_t rank = scaleType.getRank();
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i < rank; ++i)
    groups.push_back({i});
  if (rank)
    groups.back().push_back(rank);
  return c.withShape(tensor::CollapseShapeOp::create(c.b, expanded, groups), scaleType.getShape());
}

LogicalResult lowering::convertToCall(DynamicQuantizeOp op, KernelCalls &c) {
  Value x = op.getInput();
  int64_t k = widthOf(x);
  if (!k)
    return failure();
  Value rows = c.toRows(x, k), count = c.dim(rows, 0);
  ResultBuffer codes{{kUnknown, k}, c.b.getI8Type(), {count}}, scale{{kUnknown}, c.b.getF32Type(), {count}};
  auto results = c.call("dynamic_quantize", "_k" + Twine(k), rows, {codes, scale});
  return replace(
      op, {c.fromRows(results[0], x, 1, op.getCodes().getType()), rowScale(c, results[1], x, op.getScale().getType())});
}

LogicalResult lowering::convertToCall(SplitColumnsOp op, KernelCalls &c) {
  Value x = op.getInput();
  int64_t k = widthOf(x);
  if (!k)
    return failure();
  Value rows = c.toRows(x, k), count = c.dim(rows, 0);
  ResultBuffer codes{{kUnknown, k}, c.b.getI8Type(), {count}}, scale{{kUnknown}, c.b.getF32Type(), {count}};
  ResultBuffer columns{{k}, c.b.getI32Type(), {}};
  auto results = c.call("split_columns", "_k" + Twine(k), rows, {codes, scale, columns},
                        c.b.getNamedAttr("threshold", op.getThresholdAttr()));
  return replace(op, {c.fromRows(results[0], x, 1, op.getCodes().getType()),
                      rowScale(c, results[1], x, op.getScale().getType()),
                      c.withShape(results[2], typeOf(op.getColumns()).getShape())});
}

LogicalResult lowering::convertToCall(SplitColumnsAtOp op, KernelCalls &c) {
  Value x = op.getInput();
  int64_t k = widthOf(x), m = op.getColumns().size();
  auto list = DenseElementsAttr::get(RankedTensorType::get({m}, c.b.getI32Type()), op.getColumns());
  Value columns = c.withShape(onnx::ConstantOp::create(c.b, list), {kUnknown});
  Value rows = c.toRows(x, k), count = c.dim(rows, 0);
  ResultBuffer codes{{kUnknown, k}, c.b.getI8Type(), {count}}, scale{{kUnknown}, c.b.getF32Type(), {count}};
  ResultBuffer outliers{{kUnknown, kUnknown}, c.b.getF32Type(), {count, c.dim(columns, 0)}};
  auto results = c.call("split_columns_at", "_k" + Twine(k), {rows, columns}, {codes, scale, outliers});
  Value taken = c.withShape(results[2], {kUnknown, m});
  return replace(op, {c.fromRows(results[0], x, 1, op.getCodes().getType()),
                      rowScale(c, results[1], x, op.getScale().getType()),
                      c.fromRows(taken, x, 1, op.getOutliers().getType())});
}
