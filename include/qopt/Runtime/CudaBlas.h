//===- CudaBlas.h - Products of matrices on an NVIDIA GPU -----------------===//
//
// cuBLAS, opened where it is installed; nothing of CUDA is linked. For work beside a
// module: calibration's Hessians.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CUDABLAS_H
#define QOPT_RUNTIME_CUDABLAS_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <memory>

namespace qrt {

/// A row-major float32 matrix in memory of the host, or the transpose of one.
struct BlasOperand {
  const float *data;
  int64_t rows, cols; ///< as stored
  int64_t stride;     ///< elements from one row to the next
  bool isTransposed;
};

/// One thread at a time.
class CudaBlas {
public:
  virtual ~CudaBlas() = default;
  /// Opens CUDA device number `index` and libcublas.so.13, .12 or .11, whichever is found
  /// first. Errors: no driver, device or library, or one that does not start.
  static qopt::Result<std::unique_ptr<CudaBlas>> open(int index);
  /// result [m, n] = op(a) op(b), in float32 throughout (no TF32). Sizes fit together and are
  /// at least 1; rows of `result` follow each other. Errors: not enough memory on the
  /// device for the three matrices, or a failure of it.
  virtual qopt::Status multiply(const BlasOperand &a, const BlasOperand &b, float *result) = 0;
};

} // namespace qrt

#endif // QOPT_RUNTIME_CUDABLAS_H
