//===- ActivationAware.h - Scales that protect weights of large inputs ----===//
//
// AWQ (Lin et al., arXiv 2306.00978): which inputs matter shows in the mean magnitude of
// their activations. Scales that are a power of it are tried one after the other.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_ACTIVATIONAWARE_H
#define QOPT_NUMERICS_ACTIVATIONAWARE_H

#include "qopt/Numerics/Matrix.h"
#include "qopt/Numerics/Quantizers.h"
#include <span>
#include <vector>

namespace qopt {

/// The mean magnitude of each column, and what inputs have to do with each other within groups of
/// columns: sums over rows whose `mask` is not 0 (empty: all).
class InputMoments {
public:
  InputMoments(int64_t columns, int64_t groupSize);
  void observe(MatrixRef<const float> x, std::span<const uint8_t> mask, const ParallelFor &parallelFor);

  int64_t rows() const { return count; }
  int64_t groupSize() const { return size; }
  std::vector<float> meanMagnitudes() const;
  /// The mean square of x . d over the rows for a row `d` of weights in group `group`.
  double meanSquare(int64_t group, std::span<const float> d) const;
  /// As if x had been divided by `scales`.
  void divide(std::span<const float> scales);

private:
  int64_t columns, size, count = 0;
  std::vector<double> magnitudes;
  std::vector<std::vector<double>> products; ///< of a group: [columns, columns]
};

/// The sum of squares of x W^T over rows whose `mask` is not 0; W [N, K].
double squaredProduct(MatrixRef<const float> x, std::span<const uint8_t> mask, MatrixRef<const float> weights,
                      const ParallelFor &parallelFor);

/// Mean over all outputs of |w| / (the largest of its group + 1e-6), per input. [AutoAWQ quantize/quantizer.py]
std::vector<float> relativeMagnitudes(std::span<const Matrix<float>> weights, int64_t groupSize);

/// inputs^ratio, with `weights` (may be empty: none) divided by weights^(1 - ratio) + 1e-4; at least 1e-4; and all
/// of them divided by the geometric mean of the smallest and the largest. [llm-awq auto_scale.py, AutoAWQ]
std::vector<float> activationScales(std::span<const float> inputs, std::span<const float> weights, double ratio);

} // namespace qopt

#endif // QOPT_NUMERICS_ACTIVATIONAWARE_H
