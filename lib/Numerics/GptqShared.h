//===- GptqShared.h - What all linears of a group share -------------------===//
//
// Everything that follows from the statistics alone, in the precision in which the
// tiles of W work with it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_GPTQSHARED_H
#define QOPT_LIB_NUMERICS_GPTQSHARED_H

#include "GptqFactor.h"
#include "GroupScales.h"

namespace qopt {

struct GptqShared {
  GptqOptions options;
  double unit = 1; ///< all sums were divided by it
  std::vector<bool> dead;
  int64_t deadColumns = 0;
  std::vector<float> importance;    ///< for the search of scales
  std::optional<GptqFactor> factor; ///< nothing where H could not be factored
  Matrix<double> exactUpper;        ///< R, if codes are exact; below the diagonal is anything
  std::vector<double> floats;       ///< the memory of the sums, now that of upper() and damped()
  Matrix<float> difference;         ///< C - H, by column of W; for the float target only
  Matrix<float> product;            ///< W (C - H) of the one W, instead
  Matrix<double> undamped;          ///< H; only where it could not be factored

  /// R in float32; below the diagonal is anything.
  MatrixRef<const float> upper() const { return {floatData() + size() * size(), size(), size()}; }
  /// H with damping, by column of W.
  MatrixRef<const float> damped() const { return {floatData(), size(), size()}; }
  bool hasFloatTarget() const { return difference.rows != 0 || product.rows != 0; }
  int64_t size() const { return int64_t(dead.size()); }
  /// Whether every code has to be that of the reference, which takes double throughout.
  bool isExact() const { return options.groups.referenceMinMax; }

private:
  const float *floatData() const { return reinterpret_cast<const float *>(floats.data()); }
};

GptqShared shareStatistics(Hessian hessian, const GptqOptions &options, const ParallelFor &parallelFor);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_GPTQSHARED_H
