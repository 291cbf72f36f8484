//===- FakeCublas.cpp - A libcublas.so.13 for machines without a GPU ------===//
//
// The few functions that the runtime calls, in plain loops over what FakeCuda takes for
// memory of a device. FAKE_CUDA_LOG=FILE gets a line for each product, and
// FAKE_CUBLAS_FAIL=NAME=CODE makes a function fail.
//
//===----------------------------------------------------------------------===//
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct Handle {
  void *stream = nullptr;
  int mathMode = 0;
};

/// The code that `name` is to fail with, or 0.
int failing(const std::string &name) {
  const char *text = std::getenv("FAKE_CUBLAS_FAIL");
  std::string setting = text ? text : "";
  return setting.starts_with(name + "=") ? std::stoi(setting.substr(name.size() + 1)) : 0;
}

} // namespace

EXPORT int cublasCreate_v2(Handle **handle) {
  if (int code = failing("cublasCreate"))
    return code;
  *handle = new Handle;
  return 0;
}
EXPORT int cublasDestroy_v2(Handle *handle) {
  delete handle;
  return 0;
}
EXPORT int cublasSetStream_v2(Handle *handle, void *stream) {
  handle->stream = stream;
  return 0;
}
EXPORT int cublasSetMathMode(Handle *handle, int mode) {
  handle->mathMode = mode;
  return 0;
}

/// c = op(a) op(b), all stored by columns.
EXPORT int cublasSgemm_v2(Handle *handle, int opA, int opB, int m, int n, int k, const float *alpha, const float *a,
                          int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
  if (int code = failing("cublasSgemm"))
    return code;
  // What our caller must never do: another stream than the copies', rounding to TF32, a
  // leading dimension that is too small.
  bool isRight = handle->stream && handle->mathMode == 2 && *alpha == 1 && *beta == 0 && lda >= (opA ? k : m) &&
                 ldb >= (opB ? n : k) && ldc >= m;
  if (!isRight)
    return 7; // CUBLAS_STATUS_INVALID_VALUE
  for (long j = 0; j < n; ++j)
    for (long i = 0; i < m; ++i) {
      double sum = 0;
      for (long l = 0; l < k; ++l)
        sum += double(opA ? a[l + i * lda] : a[i + l * lda]) * (opB ? b[j + l * ldb] : b[l + j * ldb]);
      c[i + j * ldc] = static_cast<float>(sum);
    }
  if (const char *path = std::getenv("FAKE_CUDA_LOG"))
    std::ofstream(path, std::ios::app) << "sgemm " << m << "x" << n << "x" << k << "\n";
  return 0;
}
