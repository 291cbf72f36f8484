//===- SplitColumns.cpp - LLM.int8: a few columns stay in float -----------===//
//
// Columns of x that hold a magnitude of at least the threshold are multiplied in
// float, all others in int8 with a scale per token. [Dettmers et al., arXiv 2208.07339]
// Which columns is found at run time, and their weights are the dequantized codes; or
// calibration has said so and kept their weights.
//
//===----------------------------------------------------------------------===//
#include "Products.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_SPLITCOLUMNS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct SplitProduct : OpRewritePattern<onnx::MatMulOp> {
  SplitProduct(MLIRContext *context, Pass::Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    if (!hasActivations(op, ActivationMethod::SplitColumns))
      return rewriter.notifyMatchFailure(op, "requires a scheme that splits columns at run time");
    FloatAttr threshold = rewriter.getF32FloatAttr(static_cast<float>(getScheme(op).get(options::threshold)));
    DequantizeOp weights = getChannelWeights(op);
    if (!weights)
      return rewriter.notifyMatchFailure(op, "requires int8 weights with a scale per output");
    if (!hasProductShape(op))
      return rewriter.notifyMatchFailure(op, "requires a result with the rows of x");
    SplitColumnsOp x = getSplit(op.getA(), threshold, rewriter);
    auto product = MatmulW8A8Op::create(rewriter, op.getLoc(), x.getCodes(), x.getScale(), weights.getCodes(),
                                        weights.getScale(), op.getA(), x.getColumns(), Value());
    replaceProduct(rewriter, op, product);
    ++count;
    return success();
  }

  /// The one split_columns of `value` with this threshold, right behind its definition.
  static SplitColumnsOp getSplit(Value value, FloatAttr threshold, PatternRewriter &rewriter) {
    for (Operation *user : value.getUsers())
      if (auto existing = dyn_cast<SplitColumnsOp>(user); existing && existing.getThresholdAttr() == threshold)
        return existing;
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointAfterValue(value);
    return SplitColumnsOp::create(rewriter, value.getLoc(), value, threshold);
  }

  Pass::Statistic &count;
};

struct SplitProductAt : OpRewritePattern<onnx::MatMulOp> {
  SplitProductAt(MLIRContext *context, Pass::Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    if (!hasActivations(op, ActivationMethod::SplitColumnsAt))
      return rewriter.notifyMatchFailure(op, "requires a scheme whose columns calibration chose");
    ReplaceColumnsOp kept = getKeptColumns(op);
    DequantizeOp weights = getQuantizedWeights(op);
    if (!kept || !isPerChannel(weights))
      return rewriter.notifyMatchFailure(op, "requires int8 weights with a scale per output and kept columns");
    if (!hasProductShape(op))
      return rewriter.notifyMatchFailure(op, "requires a result with the rows of x");
    SplitColumnsAtOp x = getSplit(op.getA(), kept.getColumnsAttr(), rewriter);
    auto product = MatmulW8A8Op::create(rewriter, op.getLoc(), x.getCodes(), x.getScale(), weights.getCodes(),
                                        weights.getScale(), x.getOutliers(), Value(), kept.getValues());
    replaceProduct(rewriter, op, product);
    ++count;
    return success();
  }

  /// The one split_columns_at of `value` at these columns, right behind its definition.
  static SplitColumnsAtOp getSplit(Value value, DenseI32ArrayAttr columns, PatternRewriter &rewriter) {
    for (Operation *user : value.getUsers())
      if (auto existing = dyn_cast<SplitColumnsAtOp>(user); existing && existing.getColumnsAttr() == columns)
        return existing;
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointAfterValue(value);
    return SplitColumnsAtOp::create(rewriter, value.getLoc(), value, columns);
  }

  Pass::Statistic &count;
};

struct SplitColumns : impl::SplitColumnsBase<SplitColumns> {
  using Base::Base;

  void runOnOperation() override { rewriteProducts<SplitProduct, SplitProductAt>(getOperation(), numMatmuls); }
};

} // namespace
} // namespace qopt
