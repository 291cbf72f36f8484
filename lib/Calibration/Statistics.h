//===- Statistics.h - What one observer gathers ---------------------------===//
//
// A statistic sees each batch once, in the order of the samples.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_STATISTICS_H
#define QOPT_LIB_CALIBRATION_STATISTICS_H

#include "qopt/Calibration/Calibrator.h"
#include "qopt/Calibration/Samples.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Numerics/Gptq.h"
#include "qopt/Numerics/Observers.h"

namespace qopt {

/// Whether `observe` gathers `statistic`.
bool observes(ObserveOp observe, StatisticSet statistic);

/// Errors: not float32 with a row for each position of the batch where some are masked; infinities or NaNs.
Status checkActivations(const qrt::Tensor &x, const SampleBatch &batch);

/// How a range comes from what was seen.
struct RangeOptions {
  RangeRule rule = RangeRule::LeastSquares;
  ErrorSearch search;
  double momentum = 0.9, percentile = 100;
  int entropyBins = 2048;
  bool isSaved = false; ///< all that is cheap is measured, whoever asks for it
};

/// Running statistics over batches; nothing of a batch is kept but, for a moving
/// average, its scale.
class Statistics {
public:
  Statistics(ObserveOp observe, const RangeOptions &options);

  /// x [..., K] with the batch's positions as rows; `xFloat` the float model's,
  /// without data where both are equal, which must be so for all batches or for none. Errors: infinities or NaNs;
  /// another number of rows than positions where some of them are masked.
  /// `linear` is the only one that reads the value, where more is to be summed of it;
  /// `device`, where given, multiplies for the Hessian.
  Status add(const qrt::Tensor &x, const qrt::Tensor &xFloat, const SampleBatch &batch, const ParallelFor &parallelFor,
             const LinearTarget &linear = {}, DeviceProducts *device = nullptr);

  /// As if it had seen what `other` has as well. Errors: `other` lacks what is wanted, or has another shape; two
  /// moving averages.
  Status merge(const Statistics &other);
  /// One that has seen nothing.
  Statistics emptyCopy() const;
  /// Hands all that it knows to `archive`, to be written or read.
  template <typename Archive>
  void archive(Archive &archive) {
    range.archive(archive);
    columnRanges.archive(archive);
    histogram.archive(archive);
    average.archive(archive);
    archive(scales, sums.tokens, sums.h, sums.c, sums.product);
  }

  bool hasRange() const { return wantsRange; }
  bool hasColumns() const { return wantsColumns; }
  bool hasHessian() const { return wantsHessian; }
  /// The magnitude that gets the largest code.
  float absMax() const;
  /// The scale that quantizes the activations of batch `index`: with a moving
  /// average the one known by then, as in quanto, else the final one.
  float scale(size_t index) const;
  /// Columns with a magnitude of at least `threshold`, and the tokens they were looked for in.
  std::vector<int64_t> outliers(float threshold) const { return columnRanges.outliers(threshold); }
  int64_t tokens() const { return range.rows(); }
  const Hessian &hessian() const { return sums; }
  Hessian takeHessian() { return std::move(sums); }

private:
  Statistics() = default;

  bool wantsRange, wantsColumns, wantsHessian;
  RangeOptions options;
  RangeObserver range;
  ColumnAbsMaxObserver columnRanges;
  HistogramObserver histogram;
  EmaScale average;
  std::vector<float> scales; ///< after each batch, of the moving average
  Hessian sums;
};

/// clamp(rne(x / scale), -128, 127) * scale
qrt::Tensor roundTo(const qrt::Tensor &x, float scale, const ParallelFor &parallelFor);

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_STATISTICS_H
