//===- ErrorSums.cpp - What quantization changed --------------------------===//
//
// Sixteen sums per row, added up in one order: the result depends neither on the width of
// vectors nor on who computes which rows.
//
//===----------------------------------------------------------------------===//
#include "Vectorize.h"
#include "qopt/Numerics/Quantizers.h"

using namespace qopt;

/// Adds the sums of a row to `sums`: of w^2 and of (w - q)^2.
QOPT_CPU_CLONES static void addRow(const float *__restrict weights, const float *__restrict quantized, int64_t count,
                                   double *__restrict sums) {
  constexpr int64_t kLanes = 16;
  double signal[kLanes] = {}, noise[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      double w = weights[k + lane], error = w - double(quantized[k + lane]);
      signal[lane] += w * w;
      noise[lane] += error * error;
    }
  double signals = 0, noises = 0;
  for (; k < count; ++k) {
    double w = weights[k], error = w - double(quantized[k]);
    signals += w * w;
    noises += error * error;
  }
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    signals += signal[lane];
    noises += noise[lane];
  }
  sums[0] += signals;
  sums[1] += noises;
}

ErrorSums qopt::quantizationError(MatrixRef<const float> weights, MatrixRef<const float> quantized) {
  double sums[2] = {};
  for (int64_t n = 0; n < weights.rows; ++n)
    addRow(weights.row(n), quantized.row(n), weights.cols, sums);
  return {sums[0], sums[1]};
}
