//===- Observers.h - Running statistics of activations --------------------===//
//
// What calibration needs to know of a value seen many times, without keeping any
// of it: its range, a moving average of it, the range per column, and where to clip
// it: by the error of rounding, a percentile or entropy. x is [T, K]; rows whose `mask` is 0 do
// not count (mask empty: all do). NaNs and infinities do not enter a range but are
// counted. Results do not depend on how the rows are split over calls, except for
// EmaScale, whose definition does.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_OBSERVERS_H
#define QOPT_NUMERICS_OBSERVERS_H

#include "qopt/Numerics/Matrix.h"
#include <span>
#include <vector>

namespace qopt {

/// Smallest, largest and largest magnitude of all values seen; 0 before any.
class RangeObserver {
public:
  void observe(MatrixRef<const float> x, std::span<const uint8_t> mask = {});

  float min() const { return smallest; }
  float max() const { return largest; }
  float absMax() const;
  /// absMax / 127: the static int8 scale. Positive and finite; 1 when all was zero.
  float int8Scale() const;
  int64_t rows() const { return rowCount; }
  /// As if it had seen what `other` has.
  void merge(const RangeObserver &other);
  /// Hands all that it knows to `archive`, to be written or read; so do the others below.
  template <typename Archive>
  void archive(Archive &archive) {
    archive(seen, smallest, largest, rowCount, nonFiniteCount);
  }
  int64_t nonFinite() const { return nonFiniteCount; }

private:
  bool seen = false;
  float smallest = 0, largest = 0;
  int64_t rowCount = 0, nonFiniteCount = 0;
};

/// The input scale of optimum-quanto's Calibration [calibrate.py]: per call
/// new = absmax(x) / 127 over the whole batch, padding included, then
/// scale = scale == 1 ? new : momentum * scale + (1 - momentum) * new, in float32.
/// 1 marks "nothing yet", so a scale that happens to be 1 starts over, as there.
class EmaScale {
public:
  /// `absMax` of one batch; `momentum` is .9 for inputs whatever the user asks of quanto, .99 in ONNX Runtime
  /// and llm-compressor.
  void update(float absMax, double momentum = 0.9);
  /// Positive and finite; 1 before any update or where everything was zero.
  float scale() const;
  template <typename Archive>
  void archive(Archive &archive) {
    archive(value);
  }

private:
  float value = 1;
};

/// The largest magnitude of each column: which features are outliers.
class ColumnAbsMaxObserver {
public:
  void observe(MatrixRef<const float> x, std::span<const uint8_t> mask = {});
  std::span<const float> absMax() const { return columns; }
  /// The columns with a magnitude of at least `threshold`, ascending.
  std::vector<int64_t> outliers(float threshold) const;
  /// Both have seen values of one width, or none.
  void merge(const ColumnAbsMaxObserver &other);
  template <typename Archive>
  void archive(Archive &archive) {
    archive(columns);
  }

private:
  std::vector<float> columns;
};

/// How the clipping point of least error is looked for.
struct ErrorSearch {
  double norm = 2;     ///< of |x - Q(x)|
  double shrink = 0.8; ///< p = 1, .99 ... above 1 - shrink of the largest magnitude
  int patience = 0;    ///< steps without a gain that end the search; 0: all are tried
};

/// Where to clip, from a histogram whose range doubles when a value falls outside: exact counts, fixed
/// memory. Clipping pays where few values are far larger than the rest.
class HistogramObserver {
public:
  HistogramObserver() : negative(kBins), positive(kBins) {}
  void observe(MatrixRef<const float> x, std::span<const uint8_t> mask = {});
  /// As if it had seen what `other` has.
  void merge(const HistogramObserver &other);

  template <typename Archive>
  void archive(Archive &archive) {
    range.archive(archive);
    archive(limit, negative, positive);
  }

  float absMax() const { return range.absMax(); }
  /// Best of absmax / 127 * p. Positive and finite; 1 when all was zero.
  float int8Scale(const ErrorSearch &search = {}) const;
  /// The magnitude that `percent` of all values do not exceed; the largest at 100.
  float percentile(double percent) const;
  /// Where the distribution, clipped and in `levels` levels, diverges least from itself in `bins` equal bins from
  /// -absmax to absmax [onnxruntime/quantization/calibrate.py get_entropy_threshold].
  float entropyThreshold(int bins, int levels) const;

private:
  static constexpr int64_t kBins = 8192;
  void widen(float value);
  void doubleLimit();
  int64_t count(int64_t bin) const { return negative[bin] + positive[bin]; }
  double valueOf(int64_t bin) const { return (double(bin) + 0.5) * double(limit) / double(kBins); }

  RangeObserver range;
  float limit = 0; ///< a power of two above every magnitude; bin i covers [i, i + 1) * limit / kBins
  std::vector<int64_t> negative, positive;
};

} // namespace qopt

#endif // QOPT_NUMERICS_OBSERVERS_H
