//===- Blas.h - Products of row-major matrices, float32 or double ---------===//
//
// BLAS names its routines by type; what is written once for both wants one name.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_BLAS_H
#define QOPT_LIB_NUMERICS_BLAS_H

#include <cblas.h>
#include <cstdint>

namespace qopt {

/// c [m, n] = alpha op(a) op(b) + beta c, where op(a) is [m, k].
inline void gemm(CBLAS_TRANSPOSE opA, CBLAS_TRANSPOSE opB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                 int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
  cblas_sgemm(CblasRowMajor, opA, opB, int(m), int(n), int(k), alpha, a, int(lda), b, int(ldb), beta, c, int(ldc));
}
inline void gemm(CBLAS_TRANSPOSE opA, CBLAS_TRANSPOSE opB, int64_t m, int64_t n, int64_t k, double alpha,
                 const double *a, int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc) {
  cblas_dgemm(CblasRowMajor, opA, opB, int(m), int(n), int(k), alpha, a, int(lda), b, int(ldb), beta, c, int(ldc));
}

/// b [m, n] = op(a)^-1 b, `a` upper triangular.
inline void solveUpper(CBLAS_TRANSPOSE opA, int64_t m, int64_t n, const float *a, int64_t lda, float *b, int64_t ldb) {
  cblas_strsm(CblasRowMajor, CblasLeft, CblasUpper, opA, CblasNonUnit, int(m), int(n), 1.0f, a, int(lda), b, int(ldb));
}
inline void solveUpper(CBLAS_TRANSPOSE opA, int64_t m, int64_t n, const double *a, int64_t lda, double *b,
                       int64_t ldb) {
  cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, opA, CblasNonUnit, int(m), int(n), 1.0, a, int(lda), b, int(ldb));
}

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_BLAS_H
