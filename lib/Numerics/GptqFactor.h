//===- GptqFactor.h - Order, damping and factor of H ----------------------===//
//
// GPTQ needs of the Hessian only the order of columns and one triangular factor.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_GPTQFACTOR_H
#define QOPT_LIB_NUMERICS_GPTQFACTOR_H

#include "qopt/Numerics/Gptq.h"

namespace qopt {

/// What belongs to R with H = R R^T, R upper triangular, H with damping and in the order in
/// which columns are quantized. This R is the inverse of the reference's factor of H^-1,
/// so nothing is ever inverted.
struct GptqFactor {
  std::vector<int64_t> order;   ///< column of W at each position
  std::vector<double> diagonal; ///< of H without damping, per column of W
  std::vector<double> added;    ///< what the diagonal got, per column of W
  double dampFraction = 0;      ///< damping as a fraction of the diagonal's mean
};

/// Factors H (whose dead columns have got a diagonal) or says that it cannot be
/// done: dampings up to 1 first, then growing floors under the diagonal. Takes no second
/// matrix: above its diagonal `h` still holds H, on and below it R with rows and columns
/// reversed. Where it cannot be done `h` is as it was.
std::optional<GptqFactor> factorHessian(Matrix<double> &h, const GptqOptions &options, const ParallelFor &parallelFor);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_GPTQFACTOR_H
