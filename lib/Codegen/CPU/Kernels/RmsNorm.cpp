//===- RmsNorm.cpp - x / sqrt(mean(x^2) + epsilon) * weight ----------------===//
//
// One row per iteration; RowSum.h says how it is summed.
//
//===----------------------------------------------------------------------===//
#include "RowSum.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace qopt::kernels {

void emit(Kernel &k, kernel::RmsNormOp op) {
  int64_t width = op.width();
  Value x = op.getX(), weight = op.getWeight(), y = op.getY();
  float epsilon = op.getEpsilon().convertToFloat();

  k.parallel(k.dim(x, 0), grainOfRows(width * 4), [&](Value row) {
    Value sum = sumRow(k, width, [&](Value sum, Value column, int64_t valid) {
      Value v = k.loadVector(x, {row, column}, valid);
      return k.fma(v, v, sum);
    });
    Value mean = arith::DivFOp::create(k, sum, k.f32(static_cast<float>(width)));
    Value root = math::SqrtOp::create(k, k.add(mean, k.f32(epsilon)));
    Value factor = k.broadcast(arith::DivFOp::create(k, k.f32(1.0f), root));
    k.chunks(width, [&](Value column, int64_t valid) {
      Value v = k.mul(k.loadVector(x, {row, column}, valid), factor);
      k.storeVector(k.mul(v, k.loadVector(weight, {column}, valid)), y, {row, column}, valid);
    });
  });
}

} // namespace qopt::kernels
