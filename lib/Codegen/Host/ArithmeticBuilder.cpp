//===- ArithmeticBuilder.cpp - Functions of f32 for all targets ------------===//
//
// Polynomials and bits instead of a library, for the host and for GPUs.
//
//===----------------------------------------------------------------------===//
#include "qopt/Codegen/Host/ArithmeticBuilder.h"

using namespace mlir;

namespace qopt {

namespace {

/// Constants and bits for values of one type, f32 or a vector of it.
struct Floats {
  Floats(ArithmeticBuilder &b, Value x) : b(b), type(x.getType()), bits(b.getI32Type()) {
    if (auto vectorType = dyn_cast<VectorType>(type))
      bits = vectorType.clone(bits);
  }

  ArithmeticBuilder &b;
  Type type, bits;

  Value operator()(float value) const { return constant(type, b.getF32FloatAttr(value)); }
  Value integer(int64_t value) const { return constant(bits, b.getI32IntegerAttr(static_cast<int32_t>(value))); }
  Value toBits(Value x) const { return arith::BitcastOp::create(b, bits, x); }
  Value fromBits(Value x) const { return arith::BitcastOp::create(b, type, x); }

private:
  Value constant(Type of, TypedAttr scalar) const {
    if (auto vectorType = dyn_cast<VectorType>(of))
      return arith::ConstantOp::create(b, DenseElementsAttr::get(vectorType, Attribute(scalar)));
    return arith::ConstantOp::create(b, scalar);
  }
};

} // namespace

// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by its minimax polynomial of degree 6, 2^n
// by writing the exponent. ln 2 is split so that n times its first part is exact.
// (Cephes expf, the usual constants.)
Value ArithmeticBuilder::exp(Value x) {
  Floats f(*this, x);
  Value clamped = max(min(x, f(88.0f)), f(-87.0f));
  // Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits.
  Value magic = f(12582912.0f);
  Value shifted = fma(clamped, f(1.44269504088896341f), magic);
  Value n = sub(shifted, magic);
  Value r = fma(n, f(-0.693359375f), clamped);
  r = fma(n, f(2.12194440e-4f), r);
  Value p = f(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = fma(p, r, f(c));
  Value result = add(fma(p, mul(r, r), r), f(1.0f));
  Value exponent = arith::ShLIOp::create(*this, f.toBits(shifted), f.integer(23));
  result = f.fromBits(add(f.toBits(result), exponent));
  return select(less(x, f(-87.0f)), f(0.0f), result);
}

// Odd polynomial near zero, where the exponential would cancel. (Cephes tanhf.)
Value ArithmeticBuilder::tanh(Value x) {
  Floats f(*this, x);
  Value magnitude = f.fromBits(arith::AndIOp::create(*this, f.toBits(x), f.integer(0x7fffffff)));
  Value z = mul(x, x);
  Value p = f(-5.70498872745e-3f);
  for (float c : {2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f, -3.33332819422e-1f})
    p = fma(p, z, f(c));
  Value near = fma(mul(p, z), x, x);
  Value e = exp(mul(magnitude, f(-2.0f)));
  Value far = arith::DivFOp::create(*this, sub(f(1.0f), e), add(f(1.0f), e));
  Value sign = arith::AndIOp::create(*this, f.toBits(x), f.integer(INT32_MIN));
  far = f.fromBits(arith::OrIOp::create(*this, f.toBits(far), sign));
  return select(less(magnitude, f(0.625f)), near, far);
}

} // namespace qopt
