//===- Parallel.cpp - Threads from the caller, BLAS on one each -----------===//
//
// OpenBLAS would start threads of its own beside those of the caller.
//
//===----------------------------------------------------------------------===//
#include "Parallel.h"
#include <cblas.h>

void qopt::useOneBlasThread() {
  static const bool done = (openblas_set_num_threads(1), true);
  (void)done;
}
