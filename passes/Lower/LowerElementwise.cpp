//===- LowerElementwise.cpp - Operators that work element by element ------===//
//
// Each becomes one linalg.generic; upstream fusion makes one loop of chains.
// Elements of f16 and bf16 are computed in f32 and rounded after every operator,
// as ONNX says.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

namespace {

/// Scalar expressions of one type, float or integer.
struct Scalar {
  ImplicitLocOpBuilder &b;

  static bool isFloat(Value v) { return isa<FloatType>(v.getType()); }
  Value number(Type type, double value) {
    if (isa<FloatType>(type))
      return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
    return arith::ConstantOp::create(b, b.getIntegerAttr(type, int64_t(value)));
  }
  Value like(Value v, double value) { return number(v.getType(), value); }

  template <typename FloatOp, typename IntOp>
  Value either(Value l, Value r) {
    return isFloat(l) ? FloatOp::create(b, l, r).getResult() : IntOp::create(b, l, r).getResult();
  }
  Value add(Value l, Value r) { return either<arith::AddFOp, arith::AddIOp>(l, r); }
  Value sub(Value l, Value r) { return either<arith::SubFOp, arith::SubIOp>(l, r); }
  Value mul(Value l, Value r) { return either<arith::MulFOp, arith::MulIOp>(l, r); }
  Value max(Value l, Value r) { return either<arith::MaximumFOp, arith::MaxSIOp>(l, r); }
  Value min(Value l, Value r) { return either<arith::MinimumFOp, arith::MinSIOp>(l, r); }
  Value neg(Value v) { return isFloat(v) ? arith::NegFOp::create(b, v).getResult() : sub(like(v, 0), v); }
  Value select(Value c, Value t, Value f) { return arith::SelectOp::create(b, c, t, f); }
  Value compare(CmpFPredicate f, CmpIPredicate i, Value l, Value r) {
    return isFloat(l) ? arith::CmpFOp::create(b, f, l, r).getResult() : arith::CmpIOp::create(b, i, l, r).getResult();
  }
  Value equal(Value l, Value r) { return compare(CmpFPredicate::OEQ, CmpIPredicate::eq, l, r); }
  Value less(Value l, Value r) { return compare(CmpFPredicate::OLT, CmpIPredicate::slt, l, r); }
  Value lessOrEqual(Value l, Value r) { return compare(CmpFPredicate::OLE, CmpIPredicate::sle, l, r); }

  /// Rounds to zero; no pair of integers traps.
  Value div(Value l, Value r) {
    if (isFloat(l))
      return arith::DivFOp::create(b, l, r);
    Value isZero = equal(r, like(r, 0)), isMinusOne = equal(r, like(r, -1));
    Value safe = select(arith::OrIOp::create(b, isZero, isMinusOne), like(r, 1), r);
    return select(isZero, like(r, 0), select(isMinusOne, neg(l), arith::DivSIOp::create(b, l, safe)));
  }
  Value exp(Value v) { return math::ExpOp::create(b, v); }
  Value sigmoid(Value v) { return div(like(v, 1), add(like(v, 1), exp(neg(v)))); }
};

/// `body` in f32 where the operands are narrower floats.
Value inF32(ImplicitLocOpBuilder &b, ValueRange in, function_ref<Value(Scalar &, ArrayRef<Value>)> body) {
  SmallVector<Value> wide(in);
  for (Value &value : wide)
    if (auto type = dyn_cast<FloatType>(value.getType()); type && type.getWidth() < 32)
      value = arith::ExtFOp::create(b, b.getF32Type(), value);
  Scalar scalar{b};
  return body(scalar, wide);
}

/// To `type`, a float type narrower than the value's rounds.
Value narrow(ImplicitLocOpBuilder &b, Value value, Type type) {
  auto from = dyn_cast<FloatType>(value.getType()), to = dyn_cast<FloatType>(type);
  return from && to && from.getWidth() > to.getWidth() ? arith::TruncFOp::create(b, to, value).getResult() : value;
}

using Expression = Value (*)(Scalar &, ArrayRef<Value>);

template <typename Op>
LogicalResult lowerWith(Op op, OnnxLowering &state, function_ref<Value(Scalar &, ArrayRef<Value>)> expression) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  state.elementwise(op->getResult(0), op->getOperands(), [&](ImplicitLocOpBuilder &b, ValueRange in) {
    return narrow(b, inF32(b, in, expression), element);
  });
  return success();
}

/// An operator whose element is `expression` of the operands' elements.
template <typename Op, Expression expression>
LogicalResult lowerExpression(Op op, OnnxLowering &state) {
  return lowerWith(op, state, expression);
}

template <typename FloatOp>
Value floatOnly(Scalar &s, ArrayRef<Value> in) {
  return Scalar::isFloat(in[0]) ? FloatOp::create(s.b, in[0]).getResult() : in[0];
}

Value abs(Scalar &s, ArrayRef<Value> in) {
  return Scalar::isFloat(in[0]) ? math::AbsFOp::create(s.b, in[0]).getResult()
                                : math::AbsIOp::create(s.b, in[0]).getResult();
}
Value neg(Scalar &s, ArrayRef<Value> in) { return s.neg(in[0]); }
Value logicalNot(Scalar &s, ArrayRef<Value> in) { return arith::XOrIOp::create(s.b, in[0], s.like(in[0], 1)); }
Value reciprocal(Scalar &s, ArrayRef<Value> in) { return s.div(s.like(in[0], 1), in[0]); }
Value relu(Scalar &s, ArrayRef<Value> in) { return s.max(in[0], s.like(in[0], 0)); }
Value sigmoid(Scalar &s, ArrayRef<Value> in) { return s.sigmoid(in[0]); }
Value sign(Scalar &s, ArrayRef<Value> in) {
  Value zero = s.like(in[0], 0), x = in[0];
  Value negative = s.select(s.less(x, zero), s.like(x, -1), Scalar::isFloat(x) ? x : zero);
  return s.select(s.less(zero, x), s.like(x, 1), negative);
}
// log(1 + exp(x)) without overflow, and exact where exp(x) is small.
Value softplus(Scalar &s, ArrayRef<Value> in) {
  Value small = s.exp(s.neg(math::AbsFOp::create(s.b, in[0])));
  return s.add(s.max(in[0], s.like(in[0], 0)), math::Log1pOp::create(s.b, small));
}
Value isInf(Scalar &s, ArrayRef<Value> in) {
  return s.equal(math::AbsFOp::create(s.b, in[0]), s.like(in[0], std::numeric_limits<double>::infinity()));
}
Value isNaN(Scalar &s, ArrayRef<Value> in) { return arith::CmpFOp::create(s.b, CmpFPredicate::UNO, in[0], in[0]); }
Value add(Scalar &s, ArrayRef<Value> in) { return s.add(in[0], in[1]); }
Value sub(Scalar &s, ArrayRef<Value> in) { return s.sub(in[0], in[1]); }
Value mul(Scalar &s, ArrayRef<Value> in) { return s.mul(in[0], in[1]); }
Value div(Scalar &s, ArrayRef<Value> in) { return s.div(in[0], in[1]); }
Value logicalAnd(Scalar &s, ArrayRef<Value> in) { return arith::AndIOp::create(s.b, in[0], in[1]); }
Value logicalOr(Scalar &s, ArrayRef<Value> in) { return arith::OrIOp::create(s.b, in[0], in[1]); }
Value logicalXor(Scalar &s, ArrayRef<Value> in) { return arith::XOrIOp::create(s.b, in[0], in[1]); }
Value equal(Scalar &s, ArrayRef<Value> in) { return s.equal(in[0], in[1]); }
Value less(Scalar &s, ArrayRef<Value> in) { return s.less(in[0], in[1]); }
Value lessOrEqual(Scalar &s, ArrayRef<Value> in) { return s.lessOrEqual(in[0], in[1]); }
Value greater(Scalar &s, ArrayRef<Value> in) { return s.less(in[1], in[0]); }
Value greaterOrEqual(Scalar &s, ArrayRef<Value> in) { return s.lessOrEqual(in[1], in[0]); }
Value where(Scalar &s, ArrayRef<Value> in) { return s.select(in[0], in[1], in[2]); }

template <Value (Scalar::*operation)(Value, Value)>
Value foldAll(Scalar &s, ArrayRef<Value> in) {
  Value result = in[0];
  for (Value next : in.drop_front())
    result = (s.*operation)(result, next);
  return result;
}

LogicalResult lowerSwish(onnx::SwishOp op, OnnxLowering &state) {
  double alpha = op.getAlpha().convertToDouble();
  return lowerWith(op, state, [&](Scalar &s, ArrayRef<Value> in) {
    Value x = in[0], scaled = alpha == 1 ? x : s.mul(x, s.like(x, alpha));
    return s.div(x, s.add(s.like(x, 1), s.exp(s.neg(scaled))));
  });
}

LogicalResult lowerGelu(onnx::GeluOp op, OnnxLowering &state) {
  bool isTanh = op.getApproximate() == onnx::GeluApproximation::Tanh;
  return lowerWith(op, state, [&](Scalar &s, ArrayRef<Value> in) -> Value {
    Value x = in[0], half = s.mul(s.like(x, 0.5), x), inner;
    if (isTanh) {
      Value cube = s.mul(s.mul(x, x), x);
      inner = s.mul(s.like(x, 0.79788456080286535588), s.add(x, s.mul(s.like(x, 0.044715), cube)));
      inner = math::TanhOp::create(s.b, inner);
    } else {
      inner = math::ErfOp::create(s.b, s.mul(x, s.like(x, 0.70710678118654752440)));
    }
    return s.mul(half, s.add(s.like(x, 1), inner));
  });
}

Value convert(Scalar &s, Value x, Type to) {
  ImplicitLocOpBuilder &b = s.b;
  Type from = x.getType();
  if (from == to)
    return x;
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  if (to.isInteger(1))
    return fromFloat ? arith::CmpFOp::create(b, CmpFPredicate::UNE, x, s.like(x, 0)).getResult()
                     : arith::CmpIOp::create(b, CmpIPredicate::ne, x, s.like(x, 0)).getResult();
  if (fromFloat && toFloat) {
    if (fromFloat.getWidth() < toFloat.getWidth())
      return arith::ExtFOp::create(b, to, x);
    if (fromFloat.getWidth() == toFloat.getWidth())
      return arith::TruncFOp::create(b, to, arith::ExtFOp::create(b, b.getF32Type(), x));
    if (fromFloat.getWidth() == 64 && toFloat.getWidth() == 16)
      x = arith::TruncFOp::create(b, b.getF32Type(), x);
    return arith::TruncFOp::create(b, to, x);
  }
  if (toFloat) {
    Type wide = toFloat.getWidth() < 32 ? b.getF32Type() : to;
    Value result = from.isInteger(1) ? arith::UIToFPOp::create(b, wide, x).getResult()
                                     : arith::SIToFPOp::create(b, wide, x).getResult();
    return narrow(b, result, to);
  }
  unsigned width = cast<IntegerType>(to).getWidth();
  if (fromFloat) {
    if (fromFloat.getWidth() < 32)
      x = arith::ExtFOp::create(b, b.getF32Type(), x);
    // Out of range saturates and NaN gives 0: the conversion alone is undefined there.
    Value low = s.like(x, -std::ldexp(1.0, width - 1)), high = s.like(x, std::ldexp(1.0, width - 1));
    Value least = arith::ConstantOp::create(b, b.getIntegerAttr(to, APInt::getSignedMinValue(width)));
    Value most = arith::ConstantOp::create(b, b.getIntegerAttr(to, APInt::getSignedMaxValue(width)));
    Value result = arith::FPToSIOp::create(b, to, x);
    result = s.select(s.less(x, low), least, result);
    result = s.select(s.lessOrEqual(high, x), most, result);
    return s.select(arith::CmpFOp::create(b, CmpFPredicate::UNO, x, x), s.number(to, 0), result);
  }
  unsigned fromWidth = cast<IntegerType>(from).getWidth();
  if (fromWidth > width)
    return arith::TruncIOp::create(b, to, x);
  if (fromWidth == 1)
    return arith::ExtUIOp::create(b, to, x);
  return arith::ExtSIOp::create(b, to, x);
}

/// Unsigned integers, which nothing else computes with, by way of their bits and i64.
LogicalResult lowerCast(onnx::CastOp op, OnnxLowering &state) {
  state.elementwise(op.getOutput(), op.getInput(), [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    Scalar scalar{b};
    Value x = in[0];
    Type from = x.getType(), to = op.getTo();
    auto bitsOf = [&](Type type) { return b.getIntegerType(type.getIntOrFloatBitWidth()); };
    auto as = [&](Value value, Type type) { return UnrealizedConversionCastOp::create(b, type, value).getResult(0); };
    if (from.isUnsignedInteger())
      x = arith::ExtUIOp::create(b, b.getI64Type(), as(x, bitsOf(from)));
    if (!to.isUnsignedInteger())
      return convert(scalar, x, to);
    return as(convert(scalar, convert(scalar, x, b.getI64Type()), bitsOf(to)), to);
  });
  return success();
}

LogicalResult lowerClip(onnx::ClipOp op, OnnxLowering &state) {
  return lowerWith(op, state, [&](Scalar &s, ArrayRef<Value> in) {
    Value x = in[0];
    if (op.getMin())
      x = s.max(x, in[1]);
    return op.getMax() ? s.min(x, in.back()) : x;
  });
}

/// Exact where it fits, by squaring for each bit of the exponent. Exponents below 0 and above 63 leave
/// 1 and -1, whose powers are always integers that fit, and make 0 of the others.
Value integerPower(Scalar &s, Value x, Value exponent) {
  Value zero = s.like(exponent, 0), result = s.like(x, 1), factor = x;
  for (int bit = 0; bit < 6; ++bit) {
    factor = bit == 0 ? x : s.mul(factor, factor);
    Value isSet = arith::AndIOp::create(s.b, exponent, s.like(exponent, 1 << bit));
    result = s.select(s.equal(isSet, zero), result, s.mul(result, factor));
  }
  Value isUnit = arith::OrIOp::create(s.b, s.equal(x, s.like(x, 1)), s.equal(x, s.like(x, -1)));
  Value isOutside = arith::CmpIOp::create(s.b, arith::CmpIPredicate::ugt, exponent, s.like(exponent, 63));
  Value kept = s.select(isUnit, result, s.like(x, 0));
  return s.select(isOutside, kept, result);
}

LogicalResult lowerPow(onnx::PowOp op, OnnxLowering &state) {
  std::optional<double> exponent = onnx::getConstantScalar(op.getRhs());
  Type element = getElementTypeOrSelf(op.getOutput().getType());
  return lowerWith(op, state, [&](Scalar &s, ArrayRef<Value> in) -> Value {
    Value x = in[0];
    if (exponent == 1)
      return x;
    if (exponent == 2)
      return s.mul(x, x);
    if (exponent == 3)
      return s.mul(s.mul(x, x), x);
    if (exponent == 0.5 && Scalar::isFloat(x))
      return math::SqrtOp::create(s.b, x);
    if (!Scalar::isFloat(x) && !Scalar::isFloat(in[1]))
      return integerPower(s, x, in[1]);
    Type f64 = s.b.getF64Type();
    Value power = math::PowFOp::create(s.b, convert(s, x, f64), convert(s, in[1], f64));
    return convert(s, power,
                   x.getType() == f64        ? Type(f64)
                   : isa<FloatType>(element) ? Type(s.b.getF32Type())
                                             : element);
  });
}

/// fmod: the sign of the dividend; else the sign of the divisor.
LogicalResult lowerMod(onnx::ModOp op, OnnxLowering &state) {
  bool isFmod = op.getFmod() != 0;
  return lowerWith(op, state, [&](Scalar &s, ArrayRef<Value> in) -> Value {
    Value x = in[0], y = in[1], zero = s.like(x, 0), remainder;
    if (Scalar::isFloat(x)) {
      remainder = arith::RemFOp::create(s.b, x, y);
    } else {
      Value isUnsafe = arith::OrIOp::create(s.b, s.equal(y, zero), s.equal(y, s.like(y, -1)));
      Value safe = s.select(isUnsafe, s.like(y, 1), y);
      remainder = arith::RemSIOp::create(s.b, x, safe);
    }
    if (isFmod)
      return remainder;
    Value differs = arith::XOrIOp::create(s.b, s.less(remainder, zero), s.less(y, zero));
    Value isNonzero = arith::XOrIOp::create(s.b, s.equal(remainder, zero), s.number(s.b.getI1Type(), 1));
    return s.select(arith::AndIOp::create(s.b, differs, isNonzero), s.add(remainder, y), remainder);
  });
}

LogicalResult lowerIdentity(onnx::IdentityOp op, OnnxLowering &state) {
  state.setTensor(op.getOutput(), state.tensor(op.getInput()));
  return success();
}

} // namespace

void lowering::populateElementwise(Handlers &handlers) {
  using namespace onnx;
  handlers.add(&lowerExpression<AbsOp, abs>);
  handlers.add(&lowerExpression<CeilOp, floatOnly<math::CeilOp>>);
  handlers.add(&lowerExpression<CosOp, floatOnly<math::CosOp>>);
  handlers.add(&lowerExpression<ErfOp, floatOnly<math::ErfOp>>);
  handlers.add(&lowerExpression<ExpOp, floatOnly<math::ExpOp>>);
  handlers.add(&lowerExpression<FloorOp, floatOnly<math::FloorOp>>);
  handlers.add(&lowerExpression<IsInfOp, isInf>);
  handlers.add(&lowerExpression<IsNaNOp, isNaN>);
  handlers.add(&lowerExpression<LogOp, floatOnly<math::LogOp>>);
  handlers.add(&lowerExpression<NegOp, neg>);
  handlers.add(&lowerExpression<NotOp, logicalNot>);
  handlers.add(&lowerExpression<ReciprocalOp, reciprocal>);
  handlers.add(&lowerExpression<ReluOp, relu>);
  handlers.add(&lowerExpression<RoundOp, floatOnly<math::RoundEvenOp>>);
  handlers.add(&lowerExpression<SigmoidOp, sigmoid>);
  handlers.add(&lowerExpression<SignOp, sign>);
  handlers.add(&lowerExpression<SinOp, floatOnly<math::SinOp>>);
  handlers.add(&lowerExpression<SoftplusOp, softplus>);
  handlers.add(&lowerExpression<SqrtOp, floatOnly<math::SqrtOp>>);
  handlers.add(&lowerExpression<TanhOp, floatOnly<math::TanhOp>>);
  handlers.add(&lowerExpression<AddOp, add>);
  handlers.add(&lowerExpression<SubOp, sub>);
  handlers.add(&lowerExpression<MulOp, mul>);
  handlers.add(&lowerExpression<DivOp, div>);
  handlers.add(&lowerExpression<AndOp, logicalAnd>);
  handlers.add(&lowerExpression<OrOp, logicalOr>);
  handlers.add(&lowerExpression<XorOp, logicalXor>);
  handlers.add(&lowerExpression<EqualOp, equal>);
  handlers.add(&lowerExpression<LessOp, less>);
  handlers.add(&lowerExpression<LessOrEqualOp, lessOrEqual>);
  handlers.add(&lowerExpression<GreaterOp, greater>);
  handlers.add(&lowerExpression<GreaterOrEqualOp, greaterOrEqual>);
  handlers.add(&lowerExpression<MaxOp, foldAll<&Scalar::max>>);
  handlers.add(&lowerExpression<MinOp, foldAll<&Scalar::min>>);
  handlers.add(&lowerExpression<SumOp, foldAll<&Scalar::add>>);
  handlers.add(&lowerExpression<WhereOp, where>);
  handlers.add(&lowerCast);
  handlers.add(&lowerClip);
  handlers.add(&lowerGelu);
  handlers.add(&lowerIdentity);
  handlers.add(&lowerMod);
  handlers.add(&lowerPow);
  handlers.add(&lowerSwish);
}
