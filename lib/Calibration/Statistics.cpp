//===- Statistics.cpp - What one observer gathers -------------------------===//
//
// Which statistics an observer asks for decides what a batch costs: nothing is summed
// that nobody reads.
//
//===----------------------------------------------------------------------===//
#include "Statistics.h"
#include <algorithm>
#include <cfloat>
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

Statistics::Statistics(ObserveOp observe, const RangeOptions &options)
    : wantsRange(observes(observe, StatisticSet::AbsMax)), wantsColumns(observes(observe, StatisticSet::ColumnAbsMax)),
      wantsHessian(observes(observe, StatisticSet::Hessian)), options(options) {}

Status Statistics::add(const qrt::Tensor &x, const qrt::Tensor &xFloat, const SampleBatch &batch,
                       const ParallelFor &parallelFor, const LinearTarget &linear, DeviceProducts *device) {
  if (Status status = checkRows(x, batch); !status)
    return status;
  int64_t columns = x.dims().back(), rows = x.numElements() / columns;
  if (xFloat.data<float>() && xFloat.dims() != x.dims())
    return Error{"the quantized model's activations have another shape than the float model's"};
  MatrixRef<const float> values(x.data<float>(), rows, columns);
  if (wantsRange || wantsColumns || options.isSaved) {
    RangeObserver seen;
    if (Status status = checkFinite(values, batch, seen); !status)
      return status;
    range.observe(values, batch.mask);
    bool isOfBatches = options.rule == RangeRule::Largest || options.rule == RangeRule::MovingAverage;
    if ((wantsRange && !isOfBatches) || options.isSaved)
      histogram.observe(values, batch.mask);
    if ((wantsRange && options.rule == RangeRule::MovingAverage) || options.isSaved) {
      average.update(seen.absMax(), options.momentum);
      scales.push_back(average.scale());
    }
  }
  if (wantsColumns || options.isSaved)
    columnRanges.observe(values, batch.mask);
  if (wantsHessian) {
    MatrixRef<const float> target;
    if (xFloat.data<float>())
      target = {xFloat.data<float>(), rows, columns};
    if (device)
      return accumulateHessian(sums, values, target, batch.mask, parallelFor, linear, *device);
    accumulateHessian(sums, values, target, batch.mask, parallelFor, linear);
  }
  return {};
}

Statistics Statistics::emptyCopy() const {
  Statistics result;
  result.wantsRange = wantsRange;
  result.wantsColumns = wantsColumns;
  result.wantsHessian = wantsHessian;
  result.options = options;
  return result;
}

/// Adds sums of one shape, or takes them where there are none.
static bool addSums(Matrix<double> &to, const Matrix<double> &other, bool isFirst) {
  if (isFirst)
    to = other;
  bool fit = to.rows == other.rows && to.cols == other.cols;
  for (size_t i = 0; fit && !isFirst && i < to.values.size(); ++i)
    to.values[i] += other.values[i];
  return fit;
}

Status Statistics::merge(const Statistics &other) {
  bool isFirst = range.rows() == 0;
  if (wantsHessian && other.sums.h.values.empty())
    return Error{"it has no Hessian, which the scheme needs: save it with a gptq scheme"};
  if (!isFirst && wantsRange && options.rule == RangeRule::MovingAverage)
    return Error{"moving averages of several files cannot be taken together; give one file, or another observer"};
  range.merge(other.range);
  columnRanges.merge(other.columnRanges);
  histogram.merge(other.histogram);
  if (isFirst) {
    average = other.average;
    scales = other.scales;
  }
  sums.tokens += other.sums.tokens;
  if (wantsHessian && !(addSums(sums.h, other.sums.h, isFirst) && addSums(sums.c, other.sums.c, isFirst) &&
                        addSums(sums.product, other.sums.product, isFirst)))
    return Error{"its Hessian has another shape than that of the file before"};
  return {};
}

float Statistics::absMax() const {
  if (range.absMax() == 0)
    return 0;
  switch (options.rule) {
  case RangeRule::LeastSquares:
    return histogram.int8Scale(options.search) * 127;
  case RangeRule::Largest:
    return range.absMax();
  case RangeRule::MovingAverage:
    return average.scale() * 127;
  case RangeRule::Percentile:
    return histogram.percentile(options.percentile);
  case RangeRule::Entropy:
    return histogram.entropyThreshold(options.entropyBins, /*levels=*/128);
  }
  llvm_unreachable("a rule without a range");
}

float Statistics::scale(size_t index) const {
  switch (options.rule) {
  case RangeRule::MovingAverage:
    return scales[index];
  case RangeRule::LeastSquares:
    return histogram.int8Scale(options.search);
  case RangeRule::Largest:
    return range.int8Scale();
  case RangeRule::Percentile:
  case RangeRule::Entropy: {
    float largest = absMax();
    return largest > 0 ? std::max(largest / 127, FLT_MIN) : 1;
  }
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
