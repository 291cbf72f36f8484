//===- Parallel.cpp - Threads from the caller, BLAS on one each -----------===//
//
// OpenBLAS would start threads of its own beside those of the caller, and on a processor
// that is newer than itself it would use the kernels of the oldest.
//
//===----------------------------------------------------------------------===//
#include "Parallel.h"
#include <cblas.h>
#include <cstdlib>
#include <cstring>

// What OpenBLAS does when it is loaded; there where it has kernels to choose from.
extern "C" {
[[gnu::weak]] void gotoblas_dynamic_init();
[[gnu::weak]] void gotoblas_dynamic_quit();
}

/// Kernels that fit what the processor can do, where OpenBLAS knows neither its family nor
/// its model and fell back to SSE3, at a fourth of the rate or less.
static void chooseBlasKernels() {
#ifdef __x86_64__
  constexpr const char *variable = "OPENBLAS_CORETYPE"; // what the user says there holds
  if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit || std::getenv(variable) ||
      std::strcmp(openblas_get_corename(), "Prescott") != 0)
    return;
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return;
  bool hasAvx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512cd");
  setenv(variable, hasAvx512 ? "SkylakeX" : "Haswell", /*overwrite=*/1);
  gotoblas_dynamic_quit();
  gotoblas_dynamic_init();
  unsetenv(variable);
#endif
}

void qopt::prepareBlas() {
  static const bool done = (chooseBlasKernels(), openblas_set_num_threads(1), true);
  (void)done;
}
