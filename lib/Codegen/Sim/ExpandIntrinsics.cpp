//===- ExpandIntrinsics.cpp - Device intrinsics as arithmetic -------------===//
//
// Approximations are computed in f64 and rounded: at least as exact as a device.
//
//===----------------------------------------------------------------------===//
#include "SimCodegen.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace {

constexpr double ln2 = 0.69314718055994530942;

struct Arithmetic : ImplicitLocOpBuilder {
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  Value number(double value) { return arith::ConstantOp::create(*this, getF64FloatAttr(value)); }
  Value i32(int64_t value) { return arith::ConstantOp::create(*this, getI32IntegerAttr(value)); }
  Value add(Value l, Value r) { return arith::AddIOp::create(*this, l, r); }
  Value bitAnd(Value l, Value r) { return arith::AndIOp::create(*this, l, r); }
  Value shiftRight(Value l, Value r) { return arith::ShRUIOp::create(*this, l, r); }
  Value shiftLeft(Value l, Value r) { return arith::ShLIOp::create(*this, l, r); }
};

/// prmt.b32 without a mode: nibble i of `selector` names the byte that becomes byte
/// i; its top bit stands for the sign of that byte instead.
Value permuteBytes(Arithmetic &b, Value low, Value high, Value selector) {
  Type i64 = b.getI64Type();
  auto wide = [&](Value v) -> Value { return arith::ExtUIOp::create(b, i64, v); };
  Value thirtyTwo = arith::ConstantOp::create(b, b.getI64IntegerAttr(32));
  Value pool = arith::OrIOp::create(b, wide(low), b.shiftLeft(wide(high), thirtyTwo));
  Value result = b.i32(0);
  for (int i = 0; i < 4; ++i) {
    Value nibble = b.shiftRight(selector, b.i32(4 * i));
    Value bits = b.shiftLeft(b.bitAnd(nibble, b.i32(7)), b.i32(3));
    Value byte = arith::TruncIOp::create(b, b.getI8Type(), b.shiftRight(pool, wide(bits)));
    Value seven = arith::ConstantOp::create(b, b.getI8IntegerAttr(7));
    Value sign = arith::ShRSIOp::create(b, byte, seven);
    Value isSign = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, b.bitAnd(nibble, b.i32(8)), b.i32(0));
    Value chosen =
        arith::ExtUIOp::create(b, b.getI32Type(), arith::SelectOp::create(b, isSign, sign, byte).getResult());
    result = arith::OrIOp::create(b, result, b.shiftLeft(chosen, b.i32(8 * i)));
  }
  return result;
}

/// f32 to i32, clamped as cvt.*.s32.f32 does; NaN gives 0.
Value toInteger(Arithmetic &b, Value rounded) {
  Value wide = arith::ExtFOp::create(b, b.getF64Type(), rounded);
  wide = arith::MaximumFOp::create(b, wide, b.number(-2147483648.0));
  wide = arith::MinimumFOp::create(b, wide, b.number(2147483647.0));
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, rounded, rounded);
  wide = arith::SelectOp::create(b, isNan, b.number(0), wide);
  return arith::FPToSIOp::create(b, b.getI32Type(), wide);
}

} // namespace

std::optional<Value> qopt::sim::expandIntrinsic(LLVM::CallIntrinsicOp call) {
  StringRef name = call.getIntrin();
  if (!name.consume_front("llvm.nvvm.")) {
    if (name != "llvm.exp2" && !name.starts_with("llvm.exp2."))
      return std::nullopt;
    name = "ex2.approx.f";
  }
  Arithmetic b(call.getLoc(), OpBuilder(call));
  OperandRange in = call.getArgs();
  Type type = call.getNumResults() ? call.getResult(0).getType() : Type();
  // What rounds to nearest with a few spellings: "ex2.approx.ftz.f32" and so on.
  auto is = [&](StringRef operation, StringRef rounding) {
    StringRef rest = name;
    return rest.consume_front(operation) && rest.consume_front(rounding) &&
           (rest.consume_front(".ftz"), rest == ".f" || rest == ".f32" || rest == ".d" || rest.empty());
  };
  if (!type)
    return std::nullopt;
  if (type.isF32() && in.size() == 1 && in[0].getType().isF32()) {
    Value x = arith::ExtFOp::create(b, b.getF64Type(), in[0]), y;
    if (is("ex2", ".approx"))
      y = math::ExpOp::create(b, arith::MulFOp::create(b, x, b.number(ln2)));
    else if (is("lg2", ".approx"))
      y = arith::MulFOp::create(b, math::LogOp::create(b, x), b.number(1 / ln2));
    else if (is("rcp", ".approx") || is("rcp", ".rn"))
      y = arith::DivFOp::create(b, b.number(1), x);
    else if (is("rsqrt", ".approx"))
      y = arith::DivFOp::create(b, b.number(1), math::SqrtOp::create(b, x));
    else if (is("sqrt", ".approx") || is("sqrt", ".rn") || is("sqrt", ""))
      return math::SqrtOp::create(b, in[0]);
    else if (is("sin", ".approx"))
      y = math::SinOp::create(b, x);
    else if (is("cos", ".approx"))
      y = math::CosOp::create(b, x);
    else if (is("tanh", ".approx"))
      y = math::TanhOp::create(b, x);
    else if (is("fabs", ""))
      return math::AbsFOp::create(b, in[0]);
    else
      return std::nullopt;
    return arith::TruncFOp::create(b, type, y);
  }
  if (isa<FloatType>(type) && in.size() == 2) {
    if (is("div", ".approx") || is("div", ".rn") || is("div", ".full"))
      return arith::DivFOp::create(b, in[0], in[1]);
    if (is("mul", ".rn"))
      return arith::MulFOp::create(b, in[0], in[1]);
    if (is("add", ".rn"))
      return arith::AddFOp::create(b, in[0], in[1]);
    if (is("fmax", ""))
      return arith::MaxNumFOp::create(b, in[0], in[1]);
    if (is("fmin", ""))
      return arith::MinNumFOp::create(b, in[0], in[1]);
  }
  if (in.size() == 3 && is("fma", ".rn"))
    return math::FmaOp::create(b, in[0], in[1], in[2]);
  if (type.isInteger(32) && in.size() == 3 && name == "prmt")
    return permuteBytes(b, in[0], in[1], in[2]);
  if (type.isInteger(32) && in.size() == 1 && (name == "f2i.rn" || name == "f2i.rn.ftz"))
    return toInteger(b, math::RoundEvenOp::create(b, in[0]));
  if (type.isInteger(32) && in.size() == 1 && (name == "f2i.rz" || name == "f2i.rz.ftz"))
    return toInteger(b, math::TruncOp::create(b, in[0]));
  return std::nullopt;
}
