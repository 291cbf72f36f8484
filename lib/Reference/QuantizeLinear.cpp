//===- QuantizeLinear.cpp - QuantizeLinear and DequantizeLinear -------------===//
//
// In float, as ONNX computes them: x / scale is rounded to nearest even, then the zero
// point is added and the sum saturates.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

namespace {
/// Which scale an element has.
class ScaleIndex {
public:
  ScaleIndex(const Tensor &x, const Tensor &scale, int64_t axis, int64_t blockSize)
      : isSingle(scale.numElements() == 1) {
    if (isSingle)
      return;
    axis = frontAxis(axis, x.type.getRank());
    block = std::max<int64_t>(blockSize, 1);
    size = shapeOf(x)[axis];
    inner = product(shapeOf(x).drop_front(axis + 1));
    blocks = (size + block - 1) / block;
    isVector = blockSize == 0;
  }
  int64_t operator()(int64_t i) const {
    if (isSingle)
      return 0;
    int64_t at = i / inner % size;
    return isVector ? at : (i / inner / size * blocks + at / block) * inner + i % inner;
  }

private:
  bool isSingle, isVector = false;
  int64_t block = 1, size = 1, inner = 1, blocks = 1;
};
} // namespace

static Outcome evaluateDequantize(onnx::DequantizeLinearOp op, Operands in, Tensor &out) {
  ScaleIndex indexOf(*in[0], *in[1], op.getAxis(), op.getBlockSize());
  for (int64_t i = 0, n = out.numElements(); i < n; ++i) {
    int64_t at = indexOf(i);
    double zero = op.getXZeroPoint() ? numberAt(*in[2], in[2]->numElements() == 1 ? 0 : at) : 0;
    out.floats[i] = static_cast<float>(numberAt(*in[0], i) - zero) * in[1]->floats[at];
  }
  return Outcome::Done;
}

static Outcome evaluateQuantize(onnx::QuantizeLinearOp op, Operands in, Tensor &out) {
  ScaleIndex indexOf(*in[0], *in[1], op.getAxis(), op.getBlockSize());
  Type to = op.getTo();
  double low = 0, high = 0;
  if (auto type = dyn_cast<IntegerType>(to)) {
    low = type.isUnsigned() ? 0 : -std::ldexp(1.0, type.getWidth() - 1);
    high = std::ldexp(1.0, type.getWidth() - !type.isUnsigned()) - 1;
  } else {
    high = llvm::APFloat::getLargest(cast<FloatType>(to).getFloatSemantics()).convertToDouble();
    low = -high;
  }
  for (int64_t i = 0, n = out.numElements(); i < n; ++i) {
    int64_t at = indexOf(i);
    double zero = op.getYZeroPoint() ? numberAt(*in[2], in[2]->numElements() == 1 ? 0 : at) : 0;
    float scaled = static_cast<float>(numberAt(*in[0], i)) / static_cast<float>(in[1]->floats[at]);
    if (out.isFloat())
      out.floats[i] = std::isnan(scaled) ? scaled : std::clamp<double>(scaled, low, high);
    else
      out.ints[i] = std::isnan(scaled) ? 0 : static_cast<int64_t>(std::clamp(std::nearbyint(scaled) + zero, low, high));
  }
  return Outcome::Done;
}

Outcome reference::evaluateQuantizeLinear(Operation *op, Operands in, Results out) {
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::DequantizeLinearOp dequantize) { return evaluateDequantize(dequantize, in, out[0]); })
      .Case([&](onnx::QuantizeLinearOp quantize) { return evaluateQuantize(quantize, in, out[0]); })
      .Default([](Operation *) { return Outcome::NotMine; });
}
