//===- QuantizeMatmulW8A8.cpp - int8 activations times int8 weights -------===//
//
// With x ~ s_x q_x and w_n ~ s_n q_n, x . w_n = s_x s_n (q_x . q_n): the sum runs
// over integers, and no dequantized value is ever formed.
//
//===----------------------------------------------------------------------===//
#include "Products.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEMATMULW8A8
#include "qopt/Passes/Passes.h.inc"

namespace {

/// MatMul(dequantize(q, s), W): one scale for the whole tensor.
struct StaticScale : OpRewritePattern<onnx::MatMulOp> {
  StaticScale(MLIRContext *context, Pass::Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    auto x = op.getA().getDefiningOp<DequantizeOp>();
    if (!x || x.getGroupSize() || x.getScale().getType().getRank() != 0 ||
        !x.getScale().getType().getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "requires activations with one float32 scale");
    DequantizeOp weights = getChannelWeights(op);
    if (!weights)
      return rewriter.notifyMatchFailure(op, "requires int8 weights with a scale per output");
    if (!hasProductShape(op))
      return rewriter.notifyMatchFailure(op, "requires a result with the rows of x");
    auto product = MatmulW8A8Op::create(rewriter, op.getLoc(), x.getCodes(), x.getScale(), weights.getCodes(),
                                        weights.getScale(), Value(), Value(), Value());
    replaceProduct(rewriter, op, product);
    ++count;
    return success();
  }

  Pass::Statistic &count;
};

/// A scale per token, measured at run time; also where calibration looked for outlier columns
/// and found none.
struct ScalePerToken : OpRewritePattern<onnx::MatMulOp> {
  ScalePerToken(MLIRContext *context, Pass::Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    if (!hasActivations(op, ActivationMethod::PerToken) && !hasActivations(op, ActivationMethod::SplitColumnsAt))
      return rewriter.notifyMatchFailure(op,
                                         "requires a scheme with a scale per token, or columns that calibration chose");
    DequantizeOp weights = getChannelWeights(op);
    if (!weights)
      return rewriter.notifyMatchFailure(op, "requires int8 weights with a scale per output");
    if (!hasProductShape(op))
      return rewriter.notifyMatchFailure(op, "requires a result with the rows of x");
    DynamicQuantizeOp x = getQuantized(rewriter, op.getA());
    auto product = MatmulW8A8Op::create(rewriter, op.getLoc(), x.getCodes(), x.getScale(), weights.getCodes(),
                                        weights.getScale(), Value(), Value(), Value());
    replaceProduct(rewriter, op, product);
    ++count;
    return success();
  }

  Pass::Statistic &count;
};

struct QuantizeMatmulW8A8 : impl::QuantizeMatmulW8A8Base<QuantizeMatmulW8A8> {
  using Base::Base;

  void runOnOperation() override { rewriteProducts<StaticScale, ScalePerToken>(getOperation(), numMatmuls); }
};

} // namespace
} // namespace qopt
