//===- LayerNorm.cpp - (x - mean) / deviation * weight + bias --------------===//
//
// A row is read three times, from the nearest cache: for its mean, for the mean square of
// the distances from it (which loses nothing where the mean is large, as the difference of
// two means would), and to be written.
//
//===----------------------------------------------------------------------===//
#include "RowSum.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace qopt::kernels {

/// 1 for the lanes of columns that there are, else 0: what is not there has no distance.
static Value validLanes(Kernel &k, int64_t valid) {
  SmallVector<float> lanes(kLanes, 0.0f);
  std::fill_n(lanes.begin(), valid, 1.0f);
  return arith::ConstantOp::create(k, DenseElementsAttr::get(k.vector(k.getF32Type()), ArrayRef<float>(lanes)));
}

void emit(Kernel &k, kernel::LayerNormOp op) {
  int64_t width = op.width();
  Value x = op.getX();
  k.parallel(k.dim(x, 0), grainOfRows(width * 4), [&](Value row) {
    Value count = k.f32(static_cast<float>(width));
    auto load = [&](Value column, int64_t valid) { return k.loadVector(x, {row, column}, valid); };
    Value sum =
        sumRow(k, width, [&](Value sum, Value column, int64_t valid) { return k.add(sum, load(column, valid)); });
    Value mean = k.broadcast(arith::DivFOp::create(k, sum, count));
    Value squares = sumRow(k, width, [&](Value sum, Value column, int64_t valid) {
      Value distance = k.sub(load(column, valid), mean);
      if (valid < kLanes)
        distance = k.mul(distance, validLanes(k, valid));
      return k.fma(distance, distance, sum);
    });
    Value variance = arith::DivFOp::create(k, squares, count);
    Value root = math::SqrtOp::create(k, k.add(variance, k.f32(op.getEpsilon().convertToFloat())));
    Value factor = k.broadcast(arith::DivFOp::create(k, k.f32(1.0f), root));
    k.chunks(width, [&](Value column, int64_t valid) {
      Value v = k.mul(k.sub(load(column, valid), mean), factor);
      v = k.mul(v, k.loadVector(op.getWeight(), {column}, valid));
      if (op.getBias())
        v = k.add(v, k.loadVector(op.getBias(), {column}, valid));
      k.storeVector(v, op.getY(), {row, column}, valid);
    });
  });
}

} // namespace qopt::kernels
