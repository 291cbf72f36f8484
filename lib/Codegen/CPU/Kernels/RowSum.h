//===- RowSum.h - Sums over a row ------------------------------------------===//
//
// A row is summed in 64 partial sums (four vectors of 16), which are added in halves: the
// rounding error grows with K / 64, and the order is the same at every code level. Norms
// on CUDA have this order, too.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CPU_KERNELS_ROWSUM_H
#define QOPT_LIB_CODEGEN_CPU_KERNELS_ROWSUM_H

#include "Kernel.h"

namespace qopt::kernels {

/// `add` gives a vector of sums with what `valid` columns from `column` on add to it.
Value sumRow(Kernel &k, int64_t width, llvm::function_ref<Value(Value sum, Value column, int64_t valid)> add);

} // namespace qopt::kernels

#endif // QOPT_LIB_CODEGEN_CPU_KERNELS_ROWSUM_H
