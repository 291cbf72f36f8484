//===- Statistics.cpp - What one observer gathers -------------------------===//
//
// Which statistics an observer asks for decides what a batch costs: nothing is summed
// that nobody reads.
//
//===----------------------------------------------------------------------===//
#include "Statistics.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;

bool qopt::observes(ObserveOp observe, StatisticSet statistic) {
  return bitEnumContainsAny(observe.getStatistics(), statistic);
}

/// Whether `x` has one row of columns for each position.
static Status checkRows(const qrt::Tensor &x, const SampleBatch &batch) {
  if (x.type() != ElementType::F32 || x.dims().empty() || x.dims().back() < 1)
    return Error{"expected float32 activations of rank 1 or more"};
  int64_t rows = x.numElements() / x.dims().back();
  if (!batch.mask.empty() && rows != batch.positions)
    return Error{"expected one row per token, " + std::to_string(batch.positions) + ", but got " +
                 std::to_string(rows) + ": which rows are padding is not known"};
  return {};
}

/// Leaves the range of the rows that count in `seen`.
static Status checkFinite(MatrixRef<const float> x, const SampleBatch &batch, RangeObserver &seen) {
  seen.observe(x, batch.mask);
  if (seen.nonFinite() > 0)
    return Error{std::to_string(seen.nonFinite()) + " activations are infinite or not a number"};
  return {};
}

Status qopt::checkActivations(const qrt::Tensor &x, const SampleBatch &batch) {
  if (Status status = checkRows(x, batch); !status)
    return status;
  RangeObserver seen;
  return checkFinite({x.data<float>(), x.numElements() / x.dims().back(), x.dims().back()}, batch, seen);
}

Statistics::Statistics(ObserveOp observe, RangeRule rule)
    : wantsRange(observes(observe, StatisticSet::AbsMax)), wantsColumns(observes(observe, StatisticSet::ColumnAbsMax)),
      wantsHessian(observes(observe, StatisticSet::Hessian)), rule(rule) {}

Status Statistics::add(const qrt::Tensor &x, const qrt::Tensor &xFloat, const SampleBatch &batch,
                       const ParallelFor &parallelFor, MatrixRef<const float> weights, DeviceProducts *device) {
  if (Status status = checkRows(x, batch); !status)
    return status;
  int64_t columns = x.dims().back(), rows = x.numElements() / columns;
  if (xFloat.data<float>() && xFloat.dims() != x.dims())
    return Error{"the quantized model's activations have another shape than the float model's"};
  MatrixRef<const float> values(x.data<float>(), rows, columns);
  if (wantsRange || wantsColumns) {
    RangeObserver seen;
    if (Status status = checkFinite(values, batch, seen); !status)
      return status;
    range.observe(values, batch.mask);
    if (wantsRange && rule == RangeRule::LeastSquares)
      errors.observe(values, batch.mask);
    if (wantsRange && rule == RangeRule::MovingAverage) {
      average.update(seen.absMax());
      scales.push_back(average.scale());
    }
  }
  if (wantsColumns)
    columnRanges.observe(values, batch.mask);
  if (wantsHessian) {
    MatrixRef<const float> target;
    if (xFloat.data<float>())
      target = {xFloat.data<float>(), rows, columns};
    if (device)
      return accumulateHessian(sums, values, target, batch.mask, parallelFor, weights, *device);
    accumulateHessian(sums, values, target, batch.mask, parallelFor, weights);
  }
  return {};
}

float Statistics::absMax() const {
  if (rule == RangeRule::Largest || range.absMax() == 0)
    return range.absMax();
  return (rule == RangeRule::LeastSquares ? errors.int8Scale() : average.scale()) * 127;
}

float Statistics::scale(size_t index) const {
  switch (rule) {
  case RangeRule::LeastSquares:
    return errors.int8Scale();
  case RangeRule::Largest:
    return range.int8Scale();
  case RangeRule::MovingAverage:
    return scales[index];
  }
  llvm_unreachable("a rule without a scale");
}

qrt::Tensor qopt::roundTo(const qrt::Tensor &x, float scale, const ParallelFor &parallelFor) {
  qrt::Tensor result(ElementType::F32, x.dims());
  constexpr int64_t kBlock = 4096;
  int64_t count = x.numElements();
  parallelFor((count + kBlock - 1) / kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kBlock; i < std::min(count, end * kBlock); ++i)
      result.data<float>()[i] = std::clamp(std::nearbyint(x.data<float>()[i] / scale), -128.0f, 127.0f) * scale;
  });
  return result;
}
