//===- RaiseRmsNormalization.cpp - Find RMS normalization -----------------===//
//
// w * x / sqrt(mean(x^2) + epsilon) over the last dimension (Zhang and Sennrich,
// arXiv 1910.07467), however the exporter spells the square, the root, its
// inverse, and casts to float32 and back around it.
//
//===----------------------------------------------------------------------===//
#include "GreedyPatternPass.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_RAISERMSNORMALIZATION
#include "qopt/Passes/Passes.h.inc"

namespace {

/// `value` behind casts between float types.
Value skipCasts(Value value) {
  while (auto cast = value.getDefiningOp<CastOp>()) {
    if (!isa<FloatType>(getElementTypeOrSelf(cast.getInput())) || !isa<FloatType>(cast.getTo()))
      break;
    value = cast.getInput();
  }
  return value;
}

bool isConstant(Value value, double expected) {
  std::optional<double> scalar = getConstantScalar(value);
  return scalar && *scalar == expected;
}

/// mean(x^2) over the last dimension, dimensions kept; returns x.
Value matchMeanOfSquares(Value value) {
  auto mean = skipCasts(value).getDefiningOp<ReduceMeanOp>();
  if (!mean || !mean.getKeepdims() || !mean.getAxes())
    return {};
  auto axes = getConstantInts(mean.getAxes());
  int64_t rank = cast<RankedTensorType>(mean.getData().getType()).getRank();
  if (!axes || axes->size() != 1 || ((*axes)[0] != -1 && (*axes)[0] != rank - 1))
    return {};
  Value square = skipCasts(mean.getData());
  if (auto pow = square.getDefiningOp<PowOp>(); pow && isConstant(pow.getRhs(), 2))
    return skipCasts(pow.getLhs());
  if (auto mul = square.getDefiningOp<MulOp>(); mul && mul.getLhs() == mul.getRhs())
    return skipCasts(mul.getLhs());
  return {};
}

struct Variance {
  Value x;
  double epsilon = 0;
};

/// mean(x^2) + epsilon.
std::optional<Variance> matchVariance(Value value) {
  auto add = skipCasts(value).getDefiningOp<AddOp>();
  if (!add)
    return std::nullopt;
  for (auto [mean, epsilon] : {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())}) {
    std::optional<double> scalar = getConstantScalar(epsilon);
    if (Value x = matchMeanOfSquares(mean); x && scalar)
      return Variance{x, *scalar};
  }
  return std::nullopt;
}

/// sqrt(variance).
std::optional<Variance> matchRoot(Value value) {
  value = skipCasts(value);
  if (auto root = value.getDefiningOp<SqrtOp>())
    return matchVariance(root.getInput());
  if (auto pow = value.getDefiningOp<PowOp>(); pow && isConstant(pow.getRhs(), 0.5))
    return matchVariance(pow.getLhs());
  return std::nullopt;
}

/// 1 / sqrt(variance).
std::optional<Variance> matchInverseRoot(Value value) {
  value = skipCasts(value);
  if (auto reciprocal = value.getDefiningOp<ReciprocalOp>())
    return matchRoot(reciprocal.getInput());
  if (auto div = value.getDefiningOp<DivOp>(); div && isConstant(div.getLhs(), 1))
    return matchRoot(div.getRhs());
  if (auto pow = value.getDefiningOp<PowOp>(); pow && isConstant(pow.getRhs(), -0.5))
    return matchVariance(pow.getLhs());
  return std::nullopt;
}

/// x / sqrt(mean(x^2) + epsilon).
std::optional<Variance> matchNormalized(Value value) {
  value = skipCasts(value);
  auto complete = [](Value x, std::optional<Variance> variance) {
    return variance && variance->x == skipCasts(x) ? variance : std::nullopt;
  };
  if (auto mul = value.getDefiningOp<MulOp>()) {
    if (auto variance = complete(mul.getLhs(), matchInverseRoot(mul.getRhs())))
      return variance;
    return complete(mul.getRhs(), matchInverseRoot(mul.getLhs()));
  }
  if (auto div = value.getDefiningOp<DivOp>())
    return complete(div.getLhs(), matchRoot(div.getRhs()));
  return std::nullopt;
}

/// normalized * scale.
struct RaiseScaled : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    for (auto [normalized, scale] : {std::pair(op.getLhs(), op.getRhs()), std::pair(op.getRhs(), op.getLhs())}) {
      std::optional<Variance> variance = matchNormalized(normalized);
      if (!variance)
        continue;
      std::optional<ConstantView> constant = matchConstant(scale);
      auto type = cast<RankedTensorType>(variance->x.getType());
      if (!constant || constant->type.getRank() != 1 || constant->type.getDimSize(0) != type.getShape().back())
        return rewriter.notifyMatchFailure(op, "requires a constant scale of one value per column");
      Value x = variance->x;
      if (Type element = getElementTypeOrSelf(op.getOutput()); type.getElementType() != element) {
        if (!element.isF32())
          return rewriter.notifyMatchFailure(op, "requires a result of the input's element type, or f32");
        x = CastOp::create(rewriter, op.getLoc(), type.clone(element), x, TypeAttr::get(element));
      }
      auto norm = RMSNormalizationOp::create(rewriter, op.getLoc(), x, scale, /*axis=*/-1,
                                             APFloat(static_cast<float>(variance->epsilon)));
      copyScope(op, norm);
      rewriter.replaceOp(op, norm);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "requires a product with x / sqrt(mean(x^2) + epsilon)");
  }
};

struct RaiseRmsNormalization : GreedyPatternPass<impl::RaiseRmsNormalizationBase<RaiseRmsNormalization>, RaiseScaled> {
};

} // namespace
} // namespace qopt
