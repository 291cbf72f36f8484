//===- QuantizeMatmulW4A8.cpp - int8 activations times int4 weights -------===//
//
// Scales of both sides stand before the sum of a group, which then runs over integers:
// sum_g s_x[g] s_w[g] (q_x . q_w in g). Layers that read the same value share its codes.
//
//===----------------------------------------------------------------------===//
#include "Products.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEMATMULW4A8
#include "qopt/Passes/Passes.h.inc"

namespace {

struct IntegerGroupProduct : OpRewritePattern<onnx::MatMulOp> {
  IntegerGroupProduct(MLIRContext *context, Pass::Statistic &count) : OpRewritePattern(context), count(count) {}

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    if (!hasActivations(op, ActivationMethod::PerGroup))
      return rewriter.notifyMatchFailure(op, "requires a scheme with activations of int8 in groups");
    DequantizeOp weights = getQuantizedWeights(op);
    if (!weights || !weights.getGroupSize() || weights.getBytes() || weights.getTable() ||
        (weights.getZeros() && !getElementTypeOrSelf(weights.getZeros()).isInteger(8)))
      return rewriter.notifyMatchFailure(op, "requires int4 weights with a scale per group");
    if (!hasProductShape(op))
      return rewriter.notifyMatchFailure(op, "requires a result with the rows of x");
    int64_t size = static_cast<int64_t>(*weights.getGroupSize());
    int64_t xSize = getScheme(op).get(options::activationGroupSize);
    IntegerAttr xGroups = rewriter.getI64IntegerAttr(xSize < 0 ? size : xSize);
    if (!areActivationGroups(xGroups.getInt(), size))
      return rewriter.notifyMatchFailure(op, [&](Diagnostic &why) {
        why << "requires groups of activations of " << describeActivationGroups(size) << ", but got " << xSize;
      });
    DynamicQuantizeOp x = getQuantized(rewriter, op.getA(), xGroups);
    auto product = MatmulW4A8Op::create(rewriter, op.getLoc(), x.getCodes(), x.getScale(), weights.getCodes(),
                                        weights.getScale(), weights.getZeros(), weights.getGroupSizeAttr(), xGroups);
    replaceProduct(rewriter, op, product);
    ++count;
    return success();
  }

  Pass::Statistic &count;
};

struct QuantizeMatmulW4A8 : impl::QuantizeMatmulW4A8Base<QuantizeMatmulW4A8> {
  using Base::Base;

  void runOnOperation() override { rewriteProducts<IntegerGroupProduct>(getOperation(), numMatmuls); }
};

} // namespace
} // namespace qopt
