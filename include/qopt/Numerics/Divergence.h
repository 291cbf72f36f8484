//===- Divergence.h - How far two predictions are apart -------------------===//
//
// In nats, computed in double from rows of logits.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_DIVERGENCE_H
#define QOPT_NUMERICS_DIVERGENCE_H

#include "qopt/Numerics/Quantizers.h"

namespace qopt {

/// Sum of KL(p || q) over rows whose `mask` is not 0 (empty: all), whose number is added to `count`. Does not
/// depend on the number of threads.
double sumDivergences(MatrixRef<const float> p, MatrixRef<const float> q, std::span<const uint8_t> mask,
                      const ParallelFor &parallelFor, int64_t &count);

} // namespace qopt

#endif // QOPT_NUMERICS_DIVERGENCE_H
