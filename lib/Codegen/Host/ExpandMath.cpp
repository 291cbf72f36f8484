//===- ExpandMath.cpp - Elementary functions as arithmetic ----------------===//
//
// Branch-free expressions on scalars and vectors alike, so that the loop
// vectorizer takes them and no library is needed. exp and log of f32 stay in f32
// (error below two units in the last place); the others go through f64. Ranges are
// complete: infinities, NaN, subnormal numbers.
//
// exp and log reduce by powers of two; the f32 polynomials are those of Cephes
// (Moshier, "Methods and Programs for Mathematical Functions", 1989). sin and cos
// reduce by pi/2 in three parts (Cody and Waite, "Software Manual for the
// Elementary Functions", 1980), good for arguments up to 1e9. erf(x) beyond 1 is
// 1 - t exp(g(t) - x^2), t = 2 / (2 + x), with g fitted by Chebyshev interpolation.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "qopt/Codegen/Host/Steps.h"

using namespace mlir;
using arith::CmpFPredicate;

namespace {

/// Expressions on values of one float type, or vectors of it.
struct Expression {
  ImplicitLocOpBuilder &b;
  Type type;

  bool isDouble() const { return getElementTypeOrSelf(type).isF64(); }
  Type shaped(Type element) const {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(vector.clone(element)) : element;
  }
  Type integerType() const { return shaped(b.getIntegerType(isDouble() ? 64 : 32)); }
  Value splat(TypedAttr element, Type to) {
    if (auto vector = dyn_cast<VectorType>(to))
      return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, Attribute(element)));
    return arith::ConstantOp::create(b, element);
  }
  Value number(double value) { return splat(b.getFloatAttr(getElementTypeOrSelf(type), value), type); }
  Value integer(int64_t value) {
    return splat(b.getIntegerAttr(getElementTypeOrSelf(integerType()), value), integerType());
  }
  Value add(Value l, Value r) { return arith::AddFOp::create(b, l, r); }
  Value sub(Value l, Value r) { return arith::SubFOp::create(b, l, r); }
  Value mul(Value l, Value r) { return arith::MulFOp::create(b, l, r); }
  Value div(Value l, Value r) { return arith::DivFOp::create(b, l, r); }
  Value neg(Value v) { return arith::NegFOp::create(b, v); }
  Value abs(Value v) { return math::AbsFOp::create(b, v); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, x, y, z); }
  Value select(Value c, Value t, Value f) { return arith::SelectOp::create(b, c, t, f); }
  Value is(CmpFPredicate predicate, Value l, Value r) { return arith::CmpFOp::create(b, predicate, l, r); }
  Value less(Value l, Value r) { return is(CmpFPredicate::OLT, l, r); }
  Value bits(Value v) { return arith::BitcastOp::create(b, integerType(), v); }
  Value fromBits(Value v) { return arith::BitcastOp::create(b, type, v); }
  Value addI(Value l, Value r) { return arith::AddIOp::create(b, l, r); }
  Value subI(Value l, Value r) { return arith::SubIOp::create(b, l, r); }
  Value andI(Value l, Value r) { return arith::AndIOp::create(b, l, r); }
  Value andNot(Value l, Value r) { return arith::AndIOp::create(b, l, logicalNot(r)); }
  Value logicalNot(Value v) { return arith::XOrIOp::create(b, v, splat(b.getBoolAttr(true), v.getType())); }

  /// Coefficients from the highest power down.
  Value polynomial(Value x, ArrayRef<double> coefficients) {
    Value result = number(coefficients.front());
    for (double next : coefficients.drop_front())
      result = fma(result, x, number(next));
    return result;
  }

  int64_t mantissaBits() const { return isDouble() ? 52 : 23; }
  int64_t bias() const { return isDouble() ? 1023 : 127; }
  /// Adding this rounds to an integer that stands in the low bits.
  double roundingConstant() const { return isDouble() ? 6755399441055744.0 : 12582912.0; }

  struct Rounded {
    Value number, integer;
  };
  /// v * factor to the nearest integer; any NaN or infinity gives some integer.
  Rounded roundProduct(Value v, double factor) {
    Value magic = number(roundingConstant());
    Value sum = fma(v, number(factor), magic);
    return {sub(sum, magic), subI(bits(sum), bits(magic))};
  }
  Value powerOfTwo(Value exponent) {
    Value biased = addI(exponent, integer(bias()));
    return fromBits(arith::ShLIOp::create(b, biased, integer(mantissaBits())));
  }

  Value exp(Value x) {
    double low = isDouble() ? -746 : -104, high = isDouble() ? 710 : 89;
    // These selects leave NaN alone.
    x = select(less(x, number(low)), number(low), x);
    x = select(less(number(high), x), number(high), x);
    Rounded n = roundProduct(x, 1.4426950408889634);
    Value r = fma(n.number, number(isDouble() ? -6.93147180369123816490e-01 : -0.693359375), x);
    r = fma(n.number, number(isDouble() ? -1.90821492927058770002e-10 : 2.12194440e-4), r);
    Value tail;
    if (isDouble()) {
      SmallVector<double> inverseFactorials;
      double factorial = 1;
      for (int i = 2; i <= 13; ++i)
        inverseFactorials.insert(inverseFactorials.begin(), 1 / (factorial *= i));
      tail = polynomial(r, inverseFactorials);
    } else {
      tail = polynomial(
          r, {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1});
    }
    Value power = add(fma(mul(r, r), tail, r), number(1));
    // In two steps: 2^n alone may be out of range where the result is not.
    Value half = arith::ShRSIOp::create(b, n.integer, integer(1));
    return mul(mul(power, powerOfTwo(half)), powerOfTwo(subI(n.integer, half)));
  }

  Value log(Value x) {
    Value isSubnormal = less(x, number(isDouble() ? 0x1p-1022 : 0x1p-126));
    double scale = isDouble() ? 0x1p52 : 0x1p23;
    Value normal = select(isSubnormal, mul(x, number(scale)), x);
    Value sqrtHalf = bits(number(0.70710678118654752440));
    Value exponent = arith::ShRSIOp::create(b, subI(bits(normal), sqrtHalf), integer(mantissaBits()));
    Value m = fromBits(subI(bits(normal), arith::ShLIOp::create(b, exponent, integer(mantissaBits()))));
    Value e = arith::SIToFPOp::create(b, type, exponent);
    e = select(isSubnormal, sub(e, number(double(mantissaBits()))), e);
    Value f = sub(m, number(1)), result;
    if (isDouble()) {
      // 2 atanh(s)
      Value s = div(f, add(f, number(2))), z = mul(s, s);
      SmallVector<double> coefficients;
      for (int i = 21; i >= 3; i -= 2)
        coefficients.push_back(2.0 / i);
      Value tail = mul(mul(polynomial(z, coefficients), z), s);
      tail = fma(e, number(1.90821492927058770002e-10), tail);
      result = fma(e, number(6.93147180369123816490e-01), add(add(s, s), tail));
    } else {
      Value z = mul(f, f);
      Value tail = polynomial(f, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                                  -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
      Value y = mul(mul(tail, f), z);
      y = fma(e, number(-2.12194440e-4), y);
      y = fma(z, number(-0.5), y);
      result = fma(e, number(0.693359375), add(f, y));
    }
    double infinity = std::numeric_limits<double>::infinity();
    result = select(is(CmpFPredicate::OEQ, x, number(infinity)), x, result);
    result = select(is(CmpFPredicate::OEQ, x, number(0)), number(-infinity), result);
    return select(is(CmpFPredicate::UGE, x, number(0)), select(is(CmpFPredicate::UNO, x, x), x, result),
                  number(std::numeric_limits<double>::quiet_NaN()));
  }

  Value log1p(Value x) {
    // What is lost in 1 + x is made up for by the quotient (W. Kahan).
    Value u = add(x, number(1)), d = sub(u, number(1));
    Value isTiny = is(CmpFPredicate::OEQ, d, number(0));
    Value corrected = mul(log(u), div(x, select(isTiny, number(1), d)));
    Value isInfinite = is(CmpFPredicate::OEQ, u, number(std::numeric_limits<double>::infinity()));
    return select(isTiny, x, select(isInfinite, u, corrected));
  }

  Value tanh(Value x) {
    Value twice = mul(abs(x), number(2));
    Value large = sub(number(1), div(number(2), add(exp(twice), number(1))));
    Value z = mul(x, x);
    Value small = mul(x, polynomial(z, {62.0 / 2835, -17.0 / 315, 2.0 / 15, -1.0 / 3, 1}));
    return select(less(abs(x), number(0.02)), small, math::CopySignOp::create(b, large, x).getResult());
  }

  Value erf(Value x) {
    Value a = abs(x);
    SmallVector<double> series;
    double factorial = 1;
    for (int n = 0; n <= 20; ++n) {
      factorial *= n ? n : 1;
      series.insert(series.begin(), (n % 2 ? -1 : 1) * 1.12837916709551257390 / (factorial * (2 * n + 1)));
    }
    Value small = mul(x, polynomial(mul(x, x), series));
    Value bounded = select(less(number(6.2), a), number(6.2), a);
    Value t = div(number(2), add(bounded, number(2)));
    Value u = mul(sub(t, number(0.46530951391773995)), number(1 / 0.2243456584960532));
    Value g =
        polynomial(u, {-2.3227735461027856e-10, 1.5304122297024564e-09, 1.8363402957594203e-09, -3.201778174643731e-08,
                       1.9393189307894826e-08, 5.068061399013826e-07, -9.477292225958775e-07, -7.855373940130776e-06,
                       2.3331561887931478e-05, 0.0001429480656404099, -0.0005179923048683531, -0.003951543096569936,
                       0.011433257876481856, 0.2985640215259798, -0.7182194079882431});
    Value rest = mul(t, exp(fma(neg(bounded), bounded, g)));
    Value large = math::CopySignOp::create(b, sub(number(1), rest), x);
    return select(less(a, number(1)), small, select(is(CmpFPredicate::UNO, x, x), x, large));
  }

  Value sinOrCos(Value x, bool isCos) {
    Rounded n = roundProduct(x, 0.63661977236758134308);
    Value r = fma(n.number, number(-1.57079632673412561417e+00), x);
    r = fma(n.number, number(-6.07710050630396597660e-11), r);
    r = fma(n.number, number(-2.02226624879595063154e-21), r);
    Value z = mul(r, r);
    auto series = [](int first, int last) {
      SmallVector<double> result;
      for (int n = last; n >= first; n -= 2) {
        double factorial = 1;
        for (int i = 2; i <= n; ++i)
          factorial *= i;
        result.push_back(((n / 2) % 2 ? -1 : 1) / factorial);
      }
      return result;
    };
    Value sine = mul(r, polynomial(z, series(1, 17))), cosine = polynomial(z, series(0, 16));
    Value quadrant = isCos ? addI(n.integer, integer(1)) : n.integer;
    Value isOdd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, andI(quadrant, integer(1)), integer(0));
    Value isNegative = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, andI(quadrant, integer(2)), integer(0));
    Value result = select(isOdd, cosine, sine);
    result = select(isNegative, neg(result), result);
    // The sign of zero.
    return isCos ? result : select(is(CmpFPredicate::OEQ, x, number(0)), x, result);
  }

  Value pow(Value x, Value y) {
    Value a = abs(x), one = number(1), zero = number(0);
    Value magnitude = exp(mul(y, log(a)));
    magnitude = select(is(CmpFPredicate::OEQ, a, one), one, magnitude);
    Value half = mul(y, number(0.5));
    Value isInteger = is(CmpFPredicate::OEQ, math::FloorOp::create(b, y), y);
    Value isEven = is(CmpFPredicate::OEQ, math::FloorOp::create(b, half), half);
    Value isOdd = andNot(isInteger, isEven);
    // -0 counts as negative here, -0 ** 3 being -0.
    Value isNegative = is(CmpFPredicate::OLT, math::CopySignOp::create(b, one, x), zero);
    Value result = select(andI(isNegative, isOdd), neg(magnitude), magnitude);
    Value isFinite = less(a, number(std::numeric_limits<double>::infinity()));
    Value isUndefined = andI(andNot(less(x, zero), isInteger), isFinite);
    result = select(isUndefined, number(std::numeric_limits<double>::quiet_NaN()), result);
    result = select(is(CmpFPredicate::OEQ, x, one), one, result);
    return select(is(CmpFPredicate::OEQ, y, zero), one, result);
  }

  /// The remainder of the quotient rounded to zero; exact while the quotient is
  /// below 2^29.
  Value rem(Value x, Value y) {
    Value quotient = math::TruncOp::create(b, div(x, y));
    Value r = fma(neg(quotient), y, x), a = abs(y);
    // The rounded quotient may be one too far or one too near.
    Value isPast = less(mul(r, math::CopySignOp::create(b, number(1), x)), number(0));
    r = select(isPast, add(r, math::CopySignOp::create(b, a, x)), r);
    Value isShort = is(CmpFPredicate::OGE, abs(r), a);
    r = select(isShort, sub(r, math::CopySignOp::create(b, a, x)), r);
    Value isBeyond = is(CmpFPredicate::OEQ, a, number(std::numeric_limits<double>::infinity()));
    return select(isBeyond, x, math::CopySignOp::create(b, r, x).getResult());
  }
};

using Compute = Value (*)(Expression &, ValueRange);

/// Rewrites Op by `compute`, done in f64 if `wide`, in f32 at least.
template <typename Op, Compute compute, bool wide>
struct Expand : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type type = op->getResult(0).getType();
    auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
    if (!element)
      return rewriter.notifyMatchFailure(op, "requires floats");
    FloatType working = wide || element.isF64() ? FloatType(b.getF64Type()) : FloatType(b.getF32Type());
    auto vector = dyn_cast<VectorType>(type);
    Type workingType = vector ? Type(vector.clone(working)) : working;
    SmallVector<Value> operands(op->getOperands());
    if (working != element)
      for (Value &operand : operands)
        operand = arith::ExtFOp::create(b, workingType, operand);
    Expression expression{b, workingType};
    Value result = compute(expression, operands);
    if (working != element && working.isF64() && element.getWidth() < 32)
      result = arith::TruncFOp::create(b, vector ? Type(vector.clone(b.getF32Type())) : b.getF32Type(), result);
    if (result.getType() != type)
      result = arith::TruncFOp::create(b, type, result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

Value exp(Expression &e, ValueRange in) { return e.exp(in[0]); }
Value log(Expression &e, ValueRange in) { return e.log(in[0]); }
Value log1p(Expression &e, ValueRange in) { return e.log1p(in[0]); }
Value tanh(Expression &e, ValueRange in) { return e.tanh(in[0]); }
Value erf(Expression &e, ValueRange in) { return e.erf(in[0]); }
Value sin(Expression &e, ValueRange in) { return e.sinOrCos(in[0], false); }
Value cos(Expression &e, ValueRange in) { return e.sinOrCos(in[0], true); }
Value pow(Expression &e, ValueRange in) { return e.pow(in[0], in[1]); }
Value rem(Expression &e, ValueRange in) { return e.rem(in[0], in[1]); }
Value rsqrt(Expression &e, ValueRange in) { return e.div(e.number(1), math::SqrtOp::create(e.b, in[0])); }

} // namespace

void qopt::host::expandMath(ModuleOp module) {
  RewritePatternSet patterns(module.getContext());
  patterns.add<Expand<math::ExpOp, exp, false>, Expand<math::LogOp, log, false>, Expand<math::Log1pOp, log1p, true>,
               Expand<math::TanhOp, tanh, true>, Expand<math::ErfOp, erf, true>, Expand<math::SinOp, sin, true>,
               Expand<math::CosOp, cos, true>, Expand<math::PowFOp, pow, true>, Expand<arith::RemFOp, rem, true>,
               Expand<math::RsqrtOp, rsqrt, false>>(module.getContext());
  walkAndApplyPatterns(module, std::move(patterns));
}
