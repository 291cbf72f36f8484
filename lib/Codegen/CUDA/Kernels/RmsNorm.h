//===- RmsNorm.h - The normalization of one row by a block -----------------===//
//
// The kernel rms_norm runs it, and so do launches that quantize what it makes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_RMSNORM_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_RMSNORM_H

#include "Kernel.h"

namespace qopt::cuda {

/// Partial sums of squares.
inline constexpr int64_t kNormSums = 64;

/// The mean over `width` elements in the order of the CPU's kernels: `add` gives a sum with
/// what element i adds to it. Every thread gets it; `sums`: kNormSums floats of shared
/// memory, which others may write after the next barrier.
Value meanOfRow(Emitter &t, int64_t width, Value sums, llvm::function_ref<Value(Value sum, Value i)> add);

struct RowNorm {
  RowNorm(kernel::RmsNormOp op, int64_t threads)
      : width(op.width()), threads(threads), epsilon(op.getEpsilon().convertToFloat()) {}

  int64_t width;
  int64_t threads; ///< of the block, at least kNormSums
  float epsilon;

  /// x / sqrt(mean(x^2) + epsilon) * weight to y, which may be x. The row x is visible
  /// to all threads; `sums`: kNormSums floats of shared memory. A thread writes the
  /// pieces of y that forEachPiece gives it.
  void run(Emitter &t, Value x, Value weight, Value y, Value sums) const;
  /// Copies the row; visible to others after the next barrier.
  void copy(Emitter &t, Value from, Value to) const;

private:
  int64_t lanes() const { return Emitter::lanesOf(width, 4); }
  void forEachPiece(Emitter &t, llvm::function_ref<void(Value)> body) const;
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_RMSNORM_H
