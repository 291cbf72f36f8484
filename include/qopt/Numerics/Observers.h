//===- Observers.h - Running statistics of activations --------------------===//
//
// What calibration needs to know of a value seen many times, without keeping any
// of it: its range, quanto's moving average of it, the range per column, and the
// clipping point of least squared error. x is [T, K]; rows whose `mask` is 0 do
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
  /// `absMax` of one batch; `momentum` is .9 for inputs whatever the user asks of quanto.
  void update(float absMax, double momentum = 0.9);
  /// Positive and finite; 1 before any update or where everything was zero.
  float scale() const;

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

private:
  std::vector<float> columns;
};

/// The static int8 scale of least expected squared error, from a histogram of
/// magnitudes whose range doubles when a value falls outside: exact counts, fixed
/// memory. Clipping pays where few values are far larger than the rest.
class MseObserver {
public:
  MseObserver() : counts(kBins) {}
  void observe(MatrixRef<const float> x, std::span<const uint8_t> mask = {});
  /// Best of absmax / 127 * p, p = 1, .99 ... .21. Positive and finite; 1 when all was zero.
  float int8Scale() const;

private:
  static constexpr int64_t kBins = 8192;
  void widen(float value);

  RangeObserver range;
  float limit = 0; ///< a power of two above every value; bin i covers [i, i + 1) * limit / kBins
  std::vector<int64_t> counts;
};

} // namespace qopt

#endif // QOPT_NUMERICS_OBSERVERS_H
