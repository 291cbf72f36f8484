//===- HessianTokens.h - The tokens that a batch adds to a Hessian --------===//
//
// What products on the CPU and on a device begin with: rows that count, how far the
// float model is from them, and sums of the right size.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_HESSIANTOKENS_H
#define QOPT_LIB_NUMERICS_HESSIANTOKENS_H

#include "qopt/Numerics/Gptq.h"
#include <algorithm>

namespace qopt {

class HessianTokens {
public:
  /// Arguments as those of accumulateHessian(). Sums that `hessian` lacks become zeros, and
  /// the tokens are counted.
  HessianTokens(Hessian &hessian, MatrixRef<const float> x, MatrixRef<const float> xFloat,
                std::span<const uint8_t> mask, const ParallelFor &parallelFor, const LinearTarget &linear);

  int64_t count() const { return x.rows; }
  bool hasFloat() const { return isFloatGiven; }
  /// At most `count` tokens from `first` on: inputs, and what the float model's are ahead.
  MatrixRef<const float> inputs(int64_t first, int64_t count) const { return block(x, first, count); }
  MatrixRef<const float> ahead(int64_t first, int64_t count) const { return block(difference, first, count); }
  /// Adds to the linear's outputs from `first` on what it is to make up for.
  void addResidual(int64_t first, Matrix<float> &outputs) const;

private:
  static MatrixRef<const float> block(MatrixRef<const float> all, int64_t first, int64_t count) {
    return {all.row(first), std::min(count, all.rows - first), all.cols, all.stride};
  }

  MatrixRef<const float> x;
  MatrixRef<const float> residual;
  Matrix<float> selected, difference, selectedResidual;
  bool isFloatGiven;
};

/// to[i] += a[i] + b[i], or a[i] alone where there is no b.
void addFloats(int64_t count, const float *a, const float *b, double *to);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_HESSIANTOKENS_H
