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

/// Whether a mean is over the last dimension, and keeps the dimensions.
bool isOverColumns(ReduceMeanOp mean) {
  int64_t rank = cast<RankedTensorType>(mean.getData().getType()).getRank();
  return mean.getKeepdims() && getConstantAxis(mean.getAxes(), rank) == rank - 1;
}

/// x^2; returns x.
Value matchSquare(Value value) {
  Value square = skipCasts(value);
  if (auto pow = square.getDefiningOp<PowOp>(); pow && isConstant(pow.getRhs(), 2))
    return skipCasts(pow.getLhs());
  if (auto mul = square.getDefiningOp<MulOp>(); mul && mul.getLhs() == mul.getRhs())
    return skipCasts(mul.getLhs());
  return {};
}

/// mean(x^2) over the last dimension, dimensions kept; returns x.
Value matchMeanOfSquares(Value value) {
  auto mean = skipCasts(value).getDefiningOp<ReduceMeanOp>();
  return mean && isOverColumns(mean) ? matchSquare(mean.getData()) : Value();
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
        return rewriter.notifyMatchFailure(op, "requires a constant scale of " + Twine(type.getShape().back()) +
                                                   " values, one per column, but got " + typeText(scale.getType()));
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

//===----------------------------------------------------------------------===//
// Reasons
//===----------------------------------------------------------------------===//

/// The first user of `value` behind casts between float types that is one of `Ops`.
template <typename... Ops>
Operation *findUser(Value value) {
  for (Operation *user : value.getUsers()) {
    if (isa<Ops...>(user))
      return user;
    if (isa<CastOp>(user))
      if (Operation *found = findUser<Ops...>(user->getResult(0)))
        return found;
  }
  return nullptr;
}

/// Follows a mean of squares forward to where it ceases to be a normalization.
std::string whyNotNormalization(ReduceMeanOp mean, const ReasonListener &reasons) {
  if (!isOverColumns(mean))
    return "the mean of squares is not over the last dimension alone, with dimensions kept";
  auto add = dyn_cast_or_null<AddOp>(findUser<AddOp>(mean.getReduced()));
  if (!add)
    return "nothing is added to the mean of squares";
  if (!getConstantScalar(add.getLhs()) && !getConstantScalar(add.getRhs()))
    return "what is added to the mean of squares is no constant";
  Operation *root = findUser<SqrtOp, PowOp>(add.getOutput());
  if (auto pow = dyn_cast_or_null<PowOp>(root)) {
    std::optional<double> exponent = getConstantScalar(pow.getRhs());
    if (!exponent)
      return "the root of the mean of squares has an exponent that is no constant";
    if (*exponent != 0.5 && *exponent != -0.5)
      return "the exponent of the mean of squares is " + std::to_string(*exponent) + ", not 0.5 or -0.5";
  }
  if (!root)
    return "no root of the mean of squares is taken";
  Value inverse = root->getResult(0);
  while (Operation *user = findUser<ReciprocalOp, DivOp>(inverse)) {
    bool isInverse = isa<ReciprocalOp>(user) || isConstant(user->getOperand(0), 1);
    inverse = user->getResult(0);
    if (!isInverse)
      break; // x / root
  }
  Value normalized = inverse;
  if (!matchNormalized(normalized))
    if (Operation *product = findUser<MulOp>(inverse))
      normalized = product->getResult(0);
  if (!matchNormalized(normalized))
    return "the value that is divided by the root is not the one whose squares it is of";
  Operation *scaled = findUser<MulOp>(normalized);
  return scaled ? reasons.reasonOf(scaled) : "the normalized value is not multiplied by a scale";
}

struct RaiseRmsNormalization : GreedyPatternPass<impl::RaiseRmsNormalizationBase<RaiseRmsNormalization>, RaiseScaled> {
  void explain(const ReasonListener &reasons) override {
    getOperation().walk([&](ReduceMeanOp mean) {
      if (matchSquare(mean.getData()))
        remarkMissed(mean.getLoc(), topics::kNormalization,
                     "this is no RMS normalization: " + whyNotNormalization(mean, reasons));
    });
  }
};

} // namespace
} // namespace qopt
