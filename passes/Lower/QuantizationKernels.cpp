//===- QuantizationKernels.cpp - Activations are quantized by kernels -----===//
//
// Rows to codes, and where the kernel measures it, a scale per row or group.
//
//===----------------------------------------------------------------------===//
#include "KernelPatterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// A scale per row [R] in the shape of x without its last dimension.
Value fromRowScale(RowsBuilder &b, Value scale, Value x, Type type) {
  int64_t rows = typeOf(scale).getDimSize(0);
  Value column = tensor::ExpandShapeOp::create(b, RankedTensorType::get({rows, 1}, typeOf(scale).getElementType()),
                                               scale, ArrayRef<ReassociationIndices>{{0, 1}},
                                               ArrayRef<OpFoldResult>{b.size(scale, 0), b.getIndexAttr(1)});
  auto scaleType = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(scaleType.getShape());
  shape.push_back(1);
  Value expanded = b.fromRows(column, x, 1, RankedTensorType::get(shape, scaleType.getElementType()));
  int64_t rank = scaleType.getRank();
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i < rank; ++i)
    groups.push_back({i});
  if (rank)
    groups.back().push_back(rank);
  return b.withShape(tensor::CollapseShapeOp::create(b, expanded, groups), scaleType.getShape());
}

LogicalResult failWidth(PatternRewriter &rewriter, Operation *op) {
  return rewriter.notifyMatchFailure(op,
                                     "requires rows of known size but got " + typeText(op->getOperand(0).getType()));
}

/// x [R, K] and the destinations of its codes [R, K] and scales [R].
struct QuantizedRows {
  QuantizedRows(RowsBuilder &b, Value x)
      : x(b.toRows(x, widthOf(x))), codes(b.emptyRows(this->x, widthOf(x), b.getI8Type())),
        scale(b.emptyPerRow(this->x, b.getF32Type())) {}

  SmallVector<Type> types(ValueRange more = {}) const {
    SmallVector<Type> types{codes.getType(), scale.getType()};
    llvm::append_range(types, more.getTypes());
    return types;
  }

  Value x, codes, scale;
};

struct Quantize : KernelPattern<QuantizeOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    Value x = op.getInput();
    int64_t k = widthOf(x);
    if (!k)
      return failWidth(rewriter, op);
    if (typeOf(op.getScale()).getRank())
      return rewriter.notifyMatchFailure(op, "requires one scale");
    RowsBuilder b(op.getLoc(), rewriter);
    Value rows = b.toRows(x, k), codes = b.emptyRows(rows, k, b.getI8Type());
    auto quantized = kernel::QuantizeOp::create(b, codes.getType(), rows, op.getScale(), codes);
    rewriter.replaceOp(op, b.fromRows(quantized.getResult(0), x, 1, op.getType()));
    return success();
  }
};

struct DynamicQuantize : KernelPattern<DynamicQuantizeOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(DynamicQuantizeOp op, PatternRewriter &rewriter) const override {
    Value x = op.getInput();
    if (!widthOf(x))
      return failWidth(rewriter, op);
    RowsBuilder b(op.getLoc(), rewriter);
    QuantizedRows rows(b, x);
    if (op.getGroupSize())
      rows.scale = b.emptyRows(rows.x, widthOf(op.getScale()), b.getF32Type());
    auto quantized =
        kernel::DynamicQuantizeOp::create(b, rows.types(), rows.x, rows.codes, rows.scale, op.getGroupSizeAttr());
    Value scale = quantized.getResult(1);
    Type scaleType = op.getScale().getType();
    rewriter.replaceOp(op,
                       {b.fromRows(quantized.getResult(0), x, 1, op.getCodes().getType()),
                        op.getGroupSize() ? b.fromRows(scale, x, 1, scaleType) : fromRowScale(b, scale, x, scaleType)});
    return success();
  }
};

struct SplitColumns : KernelPattern<SplitColumnsOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(SplitColumnsOp op, PatternRewriter &rewriter) const override {
    Value x = op.getInput();
    int64_t k = widthOf(x);
    if (!k)
      return failWidth(rewriter, op);
    RowsBuilder b(op.getLoc(), rewriter);
    QuantizedRows rows(b, x);
    Value columns = b.empty({b.getIndexAttr(k)}, b.getI32Type());
    auto split = kernel::SplitColumnsOp::create(b, rows.types(columns), rows.x, rows.codes, rows.scale, columns,
                                                op.getThresholdAttr());
    rewriter.replaceOp(op, {b.fromRows(split.getResult(0), x, 1, op.getCodes().getType()),
                            fromRowScale(b, split.getResult(1), x, op.getScale().getType()),
                            b.withShape(split.getResult(2), typeOf(op.getColumns()).getShape())});
    return success();
  }
};

struct SplitColumnsAt : KernelPattern<SplitColumnsAtOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(SplitColumnsAtOp op, PatternRewriter &rewriter) const override {
    Value x = op.getInput();
    if (!widthOf(x))
      return failWidth(rewriter, op);
    RowsBuilder b(op.getLoc(), rewriter);
    int64_t m = op.getColumns().size();
    auto list = DenseElementsAttr::get(RankedTensorType::get({m}, b.getI32Type()), op.getColumns());
    Value columns = onnx::ConstantOp::create(b, list);
    QuantizedRows rows(b, x);
    Value outliers = b.emptyRows(rows.x, m, b.getF32Type());
    auto split =
        kernel::SplitColumnsAtOp::create(b, rows.types(outliers), rows.x, columns, rows.codes, rows.scale, outliers);
    rewriter.replaceOp(op, {b.fromRows(split.getResult(0), x, 1, op.getCodes().getType()),
                            fromRowScale(b, split.getResult(1), x, op.getScale().getType()),
                            b.fromRows(split.getResult(2), x, 1, op.getOutliers().getType())});
    return success();
  }
};

} // namespace

void lowering::populateQuantizationKernels(RewritePatternSet &patterns, PackedParameters &parameters) {
  patterns.add<Quantize, DynamicQuantize, SplitColumns, SplitColumnsAt>(patterns.getContext(), parameters);
}
