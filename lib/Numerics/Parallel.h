//===- Parallel.h - Threads from the caller, BLAS on one each -------------===//
//
// The library starts no threads. Who calls it says how a range is shared out.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_PARALLEL_H
#define QOPT_LIB_NUMERICS_PARALLEL_H

#include "qopt/Numerics/Quantizers.h"
#include <algorithm>

namespace qopt {

/// parallelFor, or a plain loop where the caller has none.
inline void runParallel(const ParallelFor &parallelFor, int64_t count,
                        const std::function<void(int64_t, int64_t)> &body) {
  if (count <= 0)
    return;
  if (parallelFor)
    parallelFor(count, body);
  else
    body(0, count);
}

/// body(row, group, first column, columns) for each group of consecutive columns of each row of a
/// matrix, the last of which may be short; rows are shared out.
template <typename Body>
void runParallelByGroups(const ParallelFor &parallelFor, int64_t rows, int64_t cols, int64_t groupSize, Body body) {
  runParallel(parallelFor, rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t first = 0; first < cols; first += groupSize)
        body(row, first / groupSize, first, std::min(groupSize, cols - first));
  });
}

/// Keeps BLAS from splitting work by the number of threads: a product is always
/// computed by the thread that asks for it, in blocks of fixed size, so a sum has
/// one order. Chooses its kernels where it could not. Call before any BLAS or LAPACK routine.
void prepareBlas();

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_PARALLEL_H
