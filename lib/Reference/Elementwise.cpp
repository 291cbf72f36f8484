//===- Elementwise.cpp - Operators that work element by element -----------===//
//
// In double or in 64-bit integers, and rounded to the element type afterwards.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

static bool isUnsigned64(const Tensor &tensor) { return tensor.type.getElementType().isUnsignedInteger(64); }

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

static Outcome mapFloats(Operation *op, const Tensor &in, Tensor &out, llvm::function_ref<double(double)> function) {
  if (!in.isFloat())
    return fail(op, "requires a float operand");
  std::transform(in.floats.begin(), in.floats.end(), out.floats.begin(), function);
  return Outcome::Done;
}

static Outcome mapNumbers(const Tensor &in, Tensor &out, llvm::function_ref<double(double)> onFloats,
                          llvm::function_ref<int64_t(int64_t)> onInts) {
  std::transform(in.floats.begin(), in.floats.end(), out.floats.begin(), onFloats);
  std::transform(in.ints.begin(), in.ints.end(), out.ints.begin(), onInts);
  return Outcome::Done;
}

static Outcome mapPredicate(Operation *op, const Tensor &in, Tensor &out, llvm::function_ref<bool(double)> predicate) {
  if (!in.isFloat())
    return fail(op, "requires a float operand");
  std::transform(in.floats.begin(), in.floats.end(), out.ints.begin(), predicate);
  return Outcome::Done;
}

static double sigmoid(double x) {
  // exp never overflows in this form.
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
static double larger(double a, double b) { return std::isnan(a) || a > b ? a : b; }
static double smaller(double a, double b) { return std::isnan(a) || a < b ? a : b; }
static double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
static double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
static double geluTanh(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

static Outcome evaluateUnary(Operation *op, const Tensor &in, Tensor &out) {
  auto floats = [&](llvm::function_ref<double(double)> function) { return mapFloats(op, in, out, function); };
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::AbsOp) {
        return mapNumbers(
            in, out, [](double x) { return std::abs(x); },
            [](int64_t x) { return x < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(x)) : x; });
      })
      .Case([&](onnx::NegOp) {
        return mapNumbers(
            in, out, [](double x) { return -x; },
            [](int64_t x) { return static_cast<int64_t>(-static_cast<uint64_t>(x)); });
      })
      .Case([&](onnx::SignOp) {
        return mapNumbers(
            in, out, [](double x) { return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0)); },
            [](int64_t x) { return static_cast<int64_t>((x > 0) - (x < 0)); });
      })
      .Case([&](onnx::ReluOp) {
        return mapNumbers(
            in, out, [](double x) { return larger(x, 0.0); }, [](int64_t x) { return std::max<int64_t>(x, 0); });
      })
      .Case([&](onnx::IdentityOp) {
        return mapNumbers(in, out, [](double x) { return x; }, [](int64_t x) { return x; });
      })
      .Case([&](onnx::NotOp) {
        return mapNumbers(in, out, [](double x) { return x; }, [](int64_t x) { return x == 0; });
      })
      .Case([&](onnx::IsNaNOp) { return mapPredicate(op, in, out, [](double x) { return std::isnan(x); }); })
      .Case([&](onnx::IsInfOp) { return mapPredicate(op, in, out, [](double x) { return std::isinf(x); }); })
      .Case([&](onnx::CeilOp) { return floats([](double x) { return std::ceil(x); }); })
      .Case([&](onnx::CosOp) { return floats([](double x) { return std::cos(x); }); })
      .Case([&](onnx::ErfOp) { return floats([](double x) { return std::erf(x); }); })
      .Case([&](onnx::ExpOp) { return floats([](double x) { return std::exp(x); }); })
      .Case([&](onnx::FloorOp) { return floats([](double x) { return std::floor(x); }); })
      .Case([&](onnx::LogOp) { return floats([](double x) { return std::log(x); }); })
      .Case([&](onnx::ReciprocalOp) { return floats([](double x) { return 1 / x; }); })
      .Case([&](onnx::RoundOp) { return floats([](double x) { return std::nearbyint(x); }); })
      .Case([&](onnx::SigmoidOp) { return floats(sigmoid); })
      .Case([&](onnx::SinOp) { return floats([](double x) { return std::sin(x); }); })
      .Case([&](onnx::SoftplusOp) { return floats(softplus); })
      .Case([&](onnx::SqrtOp) { return floats([](double x) { return std::sqrt(x); }); })
      .Case([&](onnx::TanhOp) { return floats([](double x) { return std::tanh(x); }); })
      .Case([&](onnx::SwishOp swish) {
        double alpha = swish.getAlpha().convertToFloat();
        return floats([&](double x) { return x * sigmoid(alpha * x); });
      })
      .Case([&](onnx::GeluOp op) {
        return floats(op.getApproximate() == onnx::GeluApproximation::Tanh ? geluTanh : gelu);
      })
      .Default([](Operation *) { return Outcome::NotMine; });
}

//===----------------------------------------------------------------------===//
// Casts and clips
//===----------------------------------------------------------------------===//

static Outcome evaluateCast(const Tensor &in, Tensor &out) {
  Type to = out.type.getElementType();
  for (int64_t i = 0, n = in.numElements(); i < n; ++i) {
    if (out.isFloat()) {
      out.floats[i] = in.isFloat()       ? in.floats[i]
                      : isUnsigned64(in) ? static_cast<double>(static_cast<uint64_t>(in.ints[i]))
                                         : static_cast<double>(in.ints[i]);
    } else if (to.isInteger(1)) {
      out.ints[i] = in.isFloat() ? in.floats[i] != 0 : in.ints[i] != 0;
    } else if (in.isFloat()) {
      // Towards zero; what does not fit is undefined in ONNX, and bounded here.
      double value = std::isnan(in.floats[i]) ? 0 : std::trunc(in.floats[i]);
      if (isUnsigned64(out) && value >= 0x1p63)
        out.ints[i] = static_cast<int64_t>(static_cast<uint64_t>(std::min(value, 0x1.fffffffffffffp63)));
      else
        out.ints[i] = static_cast<int64_t>(std::clamp(value, -0x1p63, 0x1.fffffffffffffp62));
    } else {
      out.ints[i] = in.ints[i];
    }
  }
  return Outcome::Done;
}

static Outcome evaluateClip(onnx::ClipOp op, Operands in, Tensor &out) {
  const Tensor *min = op.getMin() ? in[1] : nullptr, *max = op.getMax() ? in.back() : nullptr;
  for (const Tensor *bound : {min, max})
    if (bound && (bound->numElements() != 1 || bound->isFloat() != in[0]->isFloat()))
      return fail(op, "requires bounds of one element of the input's type");
  return mapNumbers(
      *in[0], out,
      [&](double x) {
        x = min && x < min->floats[0] ? min->floats[0] : x;
        return max && x > max->floats[0] ? max->floats[0] : x;
      },
      [&](int64_t x) {
        x = min && x < min->ints[0] ? min->ints[0] : x;
        return max && x > max->ints[0] ? max->ints[0] : x;
      });
}

//===----------------------------------------------------------------------===//
// Two operands and more
//===----------------------------------------------------------------------===//

using FloatFunction = llvm::function_ref<double(double, double)>;
using IntFunction = llvm::function_ref<int64_t(int64_t, int64_t)>;

static Outcome zipNumbers(Operands in, Tensor &out, FloatFunction onFloats, IntFunction onInts) {
  int64_t rank = out.type.getRank();
  std::array<Dims, 2> strides = {broadcastStrides(shapeOf(*in[0]), rank), broadcastStrides(shapeOf(*in[1]), rank)};
  walk(shapeOf(out), strides, [&](int64_t i, const std::array<int64_t, 2> &from) {
    if (in[0]->isFloat())
      out.floats[i] = onFloats(in[0]->floats[from[0]], in[1]->floats[from[1]]);
    else
      out.ints[i] = onInts(in[0]->ints[from[0]], in[1]->ints[from[1]]);
  });
  return Outcome::Done;
}

static Outcome zipPredicate(Operands in, Tensor &out, llvm::function_ref<bool(double, double)> onFloats,
                            llvm::function_ref<bool(int64_t, int64_t)> onInts) {
  int64_t rank = out.type.getRank();
  bool flip = isUnsigned64(*in[0]);
  auto order = [&](int64_t x) {
    return flip ? static_cast<int64_t>(static_cast<uint64_t>(x) ^ (uint64_t(1) << 63)) : x;
  };
  std::array<Dims, 2> strides = {broadcastStrides(shapeOf(*in[0]), rank), broadcastStrides(shapeOf(*in[1]), rank)};
  walk(shapeOf(out), strides, [&](int64_t i, const std::array<int64_t, 2> &from) {
    out.ints[i] = in[0]->isFloat() ? onFloats(in[0]->floats[from[0]], in[1]->floats[from[1]])
                                   : onInts(order(in[0]->ints[from[0]]), order(in[1]->ints[from[1]]));
  });
  return Outcome::Done;
}

static int64_t add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
static int64_t sub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
static int64_t mul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

/// Division and remainder of integers; a divisor of 0 is refused before.
static int64_t divide(int64_t a, int64_t b) { return b == -1 ? sub(0, a) : a / b; }
static int64_t remainder(int64_t a, int64_t b, bool signOfDividend) {
  int64_t result = b == -1 ? 0 : a % b;
  return !signOfDividend && result != 0 && (result < 0) != (b < 0) ? result + b : result;
}

static Outcome evaluateDivision(Operation *op, Operands in, Tensor &out) {
  if (llvm::is_contained(in[1]->ints, 0) && out.numElements() > 0)
    return fail(op, "cannot divide by 0");
  bool isUnsigned = isUnsigned64(*in[0]);
  if (auto mod = dyn_cast<onnx::ModOp>(op)) {
    bool fmod = mod.getFmod() != 0;
    return zipNumbers(
        in, out, [&](double a, double b) { return fmod ? std::fmod(a, b) : a - std::floor(a / b) * b; },
        [&](int64_t a, int64_t b) {
          return isUnsigned ? static_cast<int64_t>(static_cast<uint64_t>(a) % static_cast<uint64_t>(b))
                            : remainder(a, b, fmod);
        });
  }
  return zipNumbers(
      in, out, [](double a, double b) { return a / b; },
      [&](int64_t a, int64_t b) {
        return isUnsigned ? static_cast<int64_t>(static_cast<uint64_t>(a) / static_cast<uint64_t>(b)) : divide(a, b);
      });
}

static int64_t power(int64_t base, int64_t exponent) {
  if (exponent < 0)
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  int64_t result = 1;
  for (; exponent; exponent >>= 1, base = mul(base, base))
    if (exponent & 1)
      result = mul(result, base);
  return result;
}

static Outcome evaluatePower(Operands in, Tensor &out) {
  int64_t rank = out.type.getRank();
  std::array<Dims, 2> strides = {broadcastStrides(shapeOf(*in[0]), rank), broadcastStrides(shapeOf(*in[1]), rank)};
  walk(shapeOf(out), strides, [&](int64_t i, const std::array<int64_t, 2> &from) {
    if (out.isFloat())
      out.floats[i] = std::pow(in[0]->floats[from[0]], numberAt(*in[1], from[1]));
    else if (!in[1]->isFloat())
      out.ints[i] = power(in[0]->ints[from[0]], in[1]->ints[from[1]]);
    else
      out.ints[i] = static_cast<int64_t>(
          std::clamp(std::pow(static_cast<double>(in[0]->ints[from[0]]), in[1]->floats[from[1]]), -0x1p62, 0x1p62));
  });
  return Outcome::Done;
}

/// Max, Min and Sum: operand after operand into the result.
static Outcome evaluateVariadic(Operands in, Tensor &out, FloatFunction onFloats, IntFunction onInts) {
  int64_t rank = out.type.getRank();
  for (auto [n, operand] : llvm::enumerate(in)) {
    std::array<Dims, 1> strides = {broadcastStrides(shapeOf(*operand), rank)};
    bool first = n == 0;
    walk(shapeOf(out), strides, [&, operand = operand](int64_t i, const std::array<int64_t, 1> &from) {
      if (out.isFloat())
        out.floats[i] = first ? operand->floats[from[0]] : onFloats(out.floats[i], operand->floats[from[0]]);
      else
        out.ints[i] = first ? operand->ints[from[0]] : onInts(out.ints[i], operand->ints[from[0]]);
    });
  }
  return Outcome::Done;
}

static Outcome evaluateWhere(Operands in, Tensor &out) {
  int64_t rank = out.type.getRank();
  std::array<Dims, 3> strides = {broadcastStrides(shapeOf(*in[0]), rank), broadcastStrides(shapeOf(*in[1]), rank),
                                 broadcastStrides(shapeOf(*in[2]), rank)};
  walk(shapeOf(out), strides, [&](int64_t i, const std::array<int64_t, 3> &from) {
    bool holds = in[0]->ints[from[0]] != 0;
    copyElement(out, i, *in[holds ? 1 : 2], from[holds ? 1 : 2]);
  });
  return Outcome::Done;
}

Outcome reference::evaluateElementwise(Operation *op, Operands in, Results out) {
  if (!isa_and_present<onnx::OnnxDialect>(op->getDialect()) || out.size() != 1)
    return Outcome::NotMine;
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::CastOp) { return evaluateCast(*in[0], out[0]); })
      .Case([&](onnx::ClipOp clip) { return evaluateClip(clip, in, out[0]); })
      .Case([&](onnx::AddOp) { return zipNumbers(in, out[0], [](double a, double b) { return a + b; }, add); })
      .Case([&](onnx::SubOp) { return zipNumbers(in, out[0], [](double a, double b) { return a - b; }, sub); })
      .Case([&](onnx::MulOp) { return zipNumbers(in, out[0], [](double a, double b) { return a * b; }, mul); })
      .Case<onnx::DivOp, onnx::ModOp>([&](Operation *) { return evaluateDivision(op, in, out[0]); })
      .Case([&](onnx::PowOp) { return evaluatePower(in, out[0]); })
      .Case([&](onnx::AndOp) {
        return zipNumbers(in, out[0], [](double a, double) { return a; }, [](int64_t a, int64_t b) { return a & b; });
      })
      .Case([&](onnx::OrOp) {
        return zipNumbers(in, out[0], [](double a, double) { return a; }, [](int64_t a, int64_t b) { return a | b; });
      })
      .Case([&](onnx::XorOp) {
        return zipNumbers(in, out[0], [](double a, double) { return a; }, [](int64_t a, int64_t b) { return a ^ b; });
      })
      .Case([&](onnx::EqualOp) { return zipPredicate(in, out[0], std::equal_to<double>(), std::equal_to<int64_t>()); })
      .Case([&](onnx::LessOp) { return zipPredicate(in, out[0], std::less<double>(), std::less<int64_t>()); })
      .Case([&](onnx::LessOrEqualOp) {
        return zipPredicate(in, out[0], std::less_equal<double>(), std::less_equal<int64_t>());
      })
      .Case([&](onnx::GreaterOp) { return zipPredicate(in, out[0], std::greater<double>(), std::greater<int64_t>()); })
      .Case([&](onnx::GreaterOrEqualOp) {
        return zipPredicate(in, out[0], std::greater_equal<double>(), std::greater_equal<int64_t>());
      })
      .Case([&](onnx::MaxOp) {
        return evaluateVariadic(in, out[0], larger, [](int64_t a, int64_t b) { return std::max(a, b); });
      })
      .Case([&](onnx::MinOp) {
        return evaluateVariadic(in, out[0], smaller, [](int64_t a, int64_t b) { return std::min(a, b); });
      })
      .Case([&](onnx::SumOp) { return evaluateVariadic(in, out[0], [](double a, double b) { return a + b; }, add); })
      .Case([&](onnx::WhereOp) { return evaluateWhere(in, out[0]); })
      .Default([&](Operation *) { return in.size() == 1 ? evaluateUnary(op, *in[0], out[0]) : Outcome::NotMine; });
}
