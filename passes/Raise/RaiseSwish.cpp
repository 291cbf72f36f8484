//===- RaiseSwish.cpp - Find x * sigmoid(alpha * x) -----------------------===//
//
// Also called SiLU with alpha = 1 (Ramachandran et al., arXiv 1710.05941).
//
//===----------------------------------------------------------------------===//
#include "GreedyPatternPass.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_RAISESWISH
#include "qopt/Passes/Passes.h.inc"

namespace {

/// 1 / (1 + exp(-x)) in one operator or spelled out; returns x.
Value matchSigmoid(Value value) {
  if (auto sigmoid = value.getDefiningOp<SigmoidOp>())
    return sigmoid.getInput();
  Value denominator;
  if (auto reciprocal = value.getDefiningOp<ReciprocalOp>())
    denominator = reciprocal.getInput();
  else if (auto div = value.getDefiningOp<DivOp>(); div && getConstantScalar(div.getLhs()) == 1.0)
    denominator = div.getRhs();
  auto add = denominator ? denominator.getDefiningOp<AddOp>() : AddOp();
  if (!add)
    return {};
  Value exponential = getConstantScalar(add.getLhs()) == 1.0   ? add.getRhs()
                      : getConstantScalar(add.getRhs()) == 1.0 ? add.getLhs()
                                                               : Value();
  auto exp = exponential ? exponential.getDefiningOp<ExpOp>() : ExpOp();
  auto neg = exp ? exp.getInput().getDefiningOp<NegOp>() : NegOp();
  return neg ? neg.getInput() : Value();
}

struct RaiseProduct : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    for (auto [x, gate] : {std::pair(op.getLhs(), op.getRhs()), std::pair(op.getRhs(), op.getLhs())}) {
      Value inner = matchSigmoid(gate);
      if (!inner)
        continue;
      std::optional<double> alpha;
      if (inner == x)
        alpha = 1.0;
      else if (auto mul = inner.getDefiningOp<MulOp>())
        alpha = mul.getLhs() == x   ? getConstantScalar(mul.getRhs())
                : mul.getRhs() == x ? getConstantScalar(mul.getLhs())
                                    : std::nullopt;
      if (!alpha)
        continue;
      rewriter.replaceOpWithNewOp<SwishOp>(op, x, APFloat(static_cast<float>(*alpha)));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "requires a product of x with sigmoid(alpha * x)");
  }
};

struct RaiseSwish : GreedyPatternPass<impl::RaiseSwishBase<RaiseSwish>, RaiseProduct> {};

} // namespace
} // namespace qopt
