//===- RmsNorm.cpp - x / sqrt(mean(x^2) + epsilon) * weight ----------------===//
//
// One row per iteration. The squares are summed in 64 partial sums (four vectors of
// 16), which are added in halves: the rounding error grows with K / 64, and the
// order is the same at every code level.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace qopt::kernels {

void emit(Kernel &k, kernel::RmsNormOp op) {
  int64_t width = op.width();
  Value x = op.getX(), weight = op.getWeight(), y = op.getY();
  float epsilon = op.getEpsilon().convertToFloat();

  k.parallel(k.dim(x, 0), grainOfRows(width * 4), [&](Value row) {
    constexpr int64_t kSums = 4, kStep = kSums * kLanes;
    auto square = [&](Value sum, Value column, int64_t valid) {
      Value v = k.loadVector(x, {row, column}, valid);
      return k.fma(v, v, sum);
    };
    Values sums(kSums, k.splat(0.0f));
    int64_t stepped = width / kStep * kStep;
    if (stepped)
      sums = k.forLoop(k.index(0), k.index(stepped), kStep, sums, [&](Value i, ValueRange partial) {
        Values next;
        for (int64_t j = 0; j < kSums; ++j)
          next.push_back(square(partial[j], k.add(i, k.index(j * kLanes)), kLanes));
        return next;
      });
    for (int64_t i = stepped, j = 0; i < width; i += kLanes, ++j)
      sums[j] = square(sums[j], k.index(i), width - i);
    Value sum = k.sumLanes(k.add(k.add(sums[0], sums[2]), k.add(sums[1], sums[3])));
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
