//===- Gptq.h - Second-order weight quantization --------------------------===//
//
// GPTQ (Frantar et al., arXiv 2210.17323): quantize W column by column so that
// tr((W - Q) H (W - Q)^T) stays small, H = X^T X over the calibration inputs.
// qopt's default adds a float target, a searched scale grid, polishing and a
// refit of the scales; docs/Quantization.md says what each is worth.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_GPTQ_H
#define QOPT_NUMERICS_GPTQ_H

#include "qopt/Numerics/DeviceProducts.h"
#include "qopt/Numerics/Quantizers.h"

namespace qopt {

struct GptqOptions {
  GroupOptions groups;
  double dampPercent = 0.01;   ///< of mean(diag(H)), added to the diagonal
  double dampIncrement = 0.01; ///< added when the factorisation fails, up to 1
  bool actOrder = true;        ///< columns by falling diag(H)
  bool actGroupAware = false;  ///< groups by falling max(diag(H)), their columns by falling diag(H); not with actOrder
  bool staticGroups = true;    ///< scales from the weights before any update; false only without actOrder
  int polishPasses = 4;        ///< at most, of coordinate descent after GPTQ; 0: none
  double polishGain = 0.002;   ///< the pass that lowers the objective by no larger share is the last
  bool refitScales = true;     ///< least-squares scales before each polishing pass
  double refitGain = 0.01;     ///< the refit that gains no larger share is the last: it costs as much as ten passes
  double floatTarget = 0.75;   ///< alpha of the asymmetric target; 0: none
  int64_t blockSize = 128;     ///< changes codes only with groups that are not static (as in the reference)
};

/// What the log shows.
struct GptqReport {
  double loss = 0;         ///< tr((W-Q) H (W-Q)^T) / N, without damping; W with the float target
  double damping = 0;      ///< the fraction finally used
  int64_t deadColumns = 0; ///< diag(H) == 0: weight set to 0
  bool fellBack = false;   ///< H could not be factored: round to nearest
};

/// The statistics of one group of linears that read the same value. Sums over
/// tokens, in double; the scale does not matter for the result.
struct Hessian {
  Matrix<double> h; ///< X^T X [K, K], symmetric
  Matrix<double> c; ///< Xf^T X [K, K] with Xf the float model's inputs; empty without float target
  /// (W (Xf - X)^T + (Rf - R)^T) X [N, K] for the one linear that reads the value, instead of c, R
  /// being what its output is added to: the output is to make up for that, too. Without R it is
  /// less work and memory where N is small beside K.
  Matrix<double> product;
  int64_t tokens = 0;
};

/// Whether `product` costs less than C.
inline bool wantsProduct(int64_t outFeatures, int64_t inFeatures) { return 2 * outFeatures <= inFeatures; }

/// Bytes of the statistics of K inputs and of the solver made of them, at their peak.
/// `outFeatures`: of the linear that `product` is for; 0: C is summed.
int64_t gptqBytes(int64_t inFeatures, int64_t outFeatures, const GptqOptions &options);

/// What all linears of a group share: the order, H and its factor in the memory that H had,
/// and with a float target C - H; quantize() needs about 5 K floats per row of W that is being
/// worked on, 256 rows per thread, and K^2 floats with more than K rows and a float target.
/// Large products are float32, sums over them double; with GroupOptions::referenceMinMax
/// codes are those of the reference, and H is factored and errors are propagated in double.
class GptqSolver {
public:
  /// Errors: NaN or infinity in H, C or the product, sizes that do not fit, options out of range
  /// (bits 2..8, damping 0..1; act-order with groups requires static groups, and is not
  /// group-aware). A
  /// matrix that cannot be factored after all damping and a floor under its diagonal
  /// is not an error, nor is H = 0: quantize() then rounds to nearest and says so.
  static Result<std::unique_ptr<GptqSolver>> create(Hessian hessian, const GptqOptions &options,
                                                    const ParallelFor &parallelFor);
  virtual ~GptqSolver() = default;
  /// weights [N, K] of some linears, whose rows are shared out to the threads all at once;
  /// `reports` has one element for each. May be called from several threads. Errors: K is
  /// not that of H, N not that of the product.
  virtual Result<std::vector<GroupCodes>> quantizeAll(std::span<const MatrixRef<const float>> weights,
                                                      std::span<GptqReport> reports,
                                                      const ParallelFor &parallelFor) const = 0;
  /// Of one linear.
  Result<GroupCodes> quantize(MatrixRef<const float> weights, GptqReport &report, const ParallelFor &parallelFor) const;
};

/// The one linear that reads a value, where more is known of it than its inputs.
struct LinearTarget {
  MatrixRef<const float> weights; ///< [N, K]
  /// [T, N], by how much the float model is ahead in what the output is added to; or nothing.
  MatrixRef<const float> residual;
};

/// hessian.h += x^T x and, where `xFloat` is given, hessian.c += xFloat^T x or, where
/// weights of `linear` are given too, hessian.product += (weights (xFloat - x)^T + residual^T) x.
/// x [T, K]; rows whose `mask` is 0 weigh nothing (mask empty: all count). The
/// result does not depend on the number of threads.
void accumulateHessian(Hessian &hessian, MatrixRef<const float> x, MatrixRef<const float> xFloat,
                       std::span<const uint8_t> mask, const ParallelFor &parallelFor, const LinearTarget &linear = {});

/// The same with products by `device`, within its float32 rounding. The result is that of
/// the device, for any number of threads. Errors: of the device; sums are then of no use.
Status accumulateHessian(Hessian &hessian, MatrixRef<const float> x, MatrixRef<const float> xFloat,
                         std::span<const uint8_t> mask, const ParallelFor &parallelFor, const LinearTarget &linear,
                         DeviceProducts &device);

} // namespace qopt

#endif // QOPT_NUMERICS_GPTQ_H
