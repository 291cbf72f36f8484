//===- Weights.h - The weights of a linear layer as numbers ---------------===//
//
// From the IR to a matrix, and what quantizers make of it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_WEIGHTS_H
#define QOPT_CALIBRATION_WEIGHTS_H

#include "qopt/Dialect/Linear.h"
#include "qopt/Numerics/Quantizers.h"
#include <variant>

namespace qopt {

/// W as [N, K]. Emits an error that names the layer for weights that are not read as
/// float32, not finite, or a resource that is missing or of the wrong size.
mlir::FailureOr<Matrix<float>> readWeights(const Linear &linear);

/// What a quantizer made of one W.
using WeightCodes = std::variant<ChannelCodes, SplitCodes, GroupCodes>;

/// Quantizes by the schemes that need no data: int8-*, llm-int8 but with static outliers, rtn-int4.
/// `weights` is [N, K].
WeightCodes quantizeWithoutData(const Linear &linear, const Matrix<float> &weights, const GroupOptions &groups,
                                const ParallelFor &parallelFor);

/// `options` with the group size and the symmetry of `scheme`.
GroupOptions groupOptions(SchemeAttr scheme, int64_t inFeatures, GroupOptions options);

/// How int4 scales are chosen: by `grid`, "search" or "minmax"; nothing for another
/// word. `exactReference`: in float32 and as the reference's find_params.
std::optional<GroupOptions> parseGroupOptions(llvm::StringRef grid, bool exactReference);

/// The weights that `codes` stand for, [N, K].
Matrix<float> dequantize(const WeightCodes &codes);

/// 10 log10(sum w^2 / sum (w - q)^2); nothing when all are equal.
std::optional<double> sqnrDb(const Matrix<float> &weights, const Matrix<float> &quantized);

} // namespace qopt

#endif // QOPT_CALIBRATION_WEIGHTS_H
