//===- QuantizeMatmulW8A16.cpp - Float activations times int8 weights -----===//
//
// The scale of an output is taken out of its sum: y_n = s_n (x . q_n).
//
//===----------------------------------------------------------------------===//
#include "Products.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEMATMULW8A16
#include "qopt/Passes/Passes.h.inc"

namespace {

/// Weights alone are quantized where the scheme says so, or where there is none.
bool quantizesWeightsOnly(onnx::MatMulOp op) { return !getScheme(op) || hasActivations(op, ActivationMethod::Float); }

/// The weights of eight bits that `op` multiplies with, with a scale per output or per group; null
/// where it has others.
DequantizeOp getByteWeights(onnx::MatMulOp op) {
  DequantizeOp weights = getQuantizedWeights(op);
  if (!weights || getKeptColumns(op))
    return {};
  bool isPerRow = !weights.getGroupSize() && weights.getScale().getType().getRank() == 1;
  return isPerChannel(weights) || weights.getBytes() || (isPerRow && weights.getFloat8()) ? weights : DequantizeOp();
}

struct WeightProduct : OpRewritePattern<onnx::MatMulOp> {
  WeightProduct(MLIRContext *context, Pass::Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    if (!quantizesWeightsOnly(op))
      return rewriter.notifyMatchFailure(op, "requires a scheme that leaves activations in float");
    DequantizeOp weights = getByteWeights(op);
    if (!weights)
      return rewriter.notifyMatchFailure(op, "requires weights of eight bits with a scale per output or group");
    if (!hasProductShape(op))
      return rewriter.notifyMatchFailure(op, "requires a result with the rows of x");
    auto product = MatmulW8A16Op::create(rewriter, op.getLoc(), op.getA(), weights.getCodes(), weights.getScale(),
                                         weights.getZeros(), weights.getGroupSizeAttr(), weights.getFloat8Attr());
    replaceProduct(rewriter, op, product);
    ++count;
    return success();
  }

  Pass::Statistic &count;
};

struct QuantizeMatmulW8A16 : impl::QuantizeMatmulW8A16Base<QuantizeMatmulW8A16> {
  using Base::Base;

  void runOnOperation() override { rewriteProducts<WeightProduct>(getOperation(), numMatmuls); }
};

} // namespace
} // namespace qopt
