//===- QuantizeMatmulW4A16.cpp - Float activations times 4-bit weights ----===//
//
// The codes of a weight stay packed; what is multiplied with is dequantized in
// registers by the kernel.
//
//===----------------------------------------------------------------------===//
#include "Products.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEMATMULW4A16
#include "qopt/Passes/Passes.h.inc"

namespace {

struct GroupProduct : OpRewritePattern<onnx::MatMulOp> {
  GroupProduct(MLIRContext *context, Pass::Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    if (getScheme(op) && !hasActivations(op, ActivationMethod::Float))
      return rewriter.notifyMatchFailure(op, "requires a scheme with float activations");
    DequantizeOp weights = getQuantizedWeights(op);
    if (!weights || !weights.getGroupSize() || weights.getBytes())
      return rewriter.notifyMatchFailure(op, "requires weights of four bits with a scale per group");
    if (!hasProductShape(op))
      return rewriter.notifyMatchFailure(op, "requires a result with the rows of x");
    auto product = MatmulW4A16Op::create(rewriter, op.getLoc(), op.getA(), weights.getCodes(), weights.getScale(),
                                         weights.getZeros(), weights.getGroupSizeAttr(), weights.getTableAttr());
    replaceProduct(rewriter, op, product);
    ++count;
    return success();
  }

  Pass::Statistic &count;
};

struct QuantizeMatmulW4A16 : impl::QuantizeMatmulW4A16Base<QuantizeMatmulW4A16> {
  using Base::Base;

  void runOnOperation() override { rewriteProducts<GroupProduct>(getOperation(), numMatmuls); }
};

} // namespace
} // namespace qopt
