//===- Weights.h - The weights of a linear layer as numbers ---------------===//
//
// From the IR to a matrix, and what quantizers make of it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_WEIGHTS_H
#define QOPT_CALIBRATION_WEIGHTS_H

#include "qopt/Dialect/Linear.h"
#include "qopt/Numerics/Quantizers.h"
#include "qopt/Numerics/SmallFloats.h"
#include "qopt/Numerics/Transpose.h"
#include <variant>

namespace qopt {

/// What a quantizer made of one W.
using WeightCodes = std::variant<ChannelCodes, SplitCodes, GroupCodes, AffineCodes, TableCodes, Float8Codes>;

/// How codes of groups are kept: those of up to four bits two in a byte, moved so that the middle
/// one is 8; those of eight bits as int8.
struct StoredGroups {
  explicit StoredGroups(const GroupCodes &groups);
  /// Whether codes of so many bits are bytes, and what is added to them.
  static bool areBytes(int bits) { return bits > 4; }
  static int offset(int bits) { return (areBytes(bits) ? 0 : 8) - (1 << (bits - 1)); }

  Matrix<uint8_t> codes;
  std::vector<int8_t> zeros;
  bool hasZeros = false; ///< whether any zero point is not in the middle
};

/// W [K, N] where it lies, else in `storage`. Emits an error as readWeights() does.
mlir::FailureOr<StoredMatrix> viewWeights(const Linear &linear, std::vector<char> &storage);

/// An error that names the layer unless `rows`, its outputs from `first` on, are finite.
Status checkFinite(llvm::StringRef layer, const Matrix<float> &rows, int64_t first);
/// An error that names the layer unless the scales of `codes` are positive and finite.
Status checkScales(llvm::StringRef layer, const WeightCodes &codes);

/// W as [N, K]. Emits an error that names the layer for weights that are not read as
/// float32, not finite, or a resource that is missing or of the wrong size.
mlir::FailureOr<Matrix<float>> readWeights(const Linear &linear);

/// Outputs and inputs.
std::pair<int64_t, int64_t> codesShape(const WeightCodes &codes);

/// The weights that `codes` stand for, [N, K].
Matrix<float> dequantize(const WeightCodes &codes);

/// Bytes of codes, scales and zero points as a module keeps them.
int64_t storedBytes(const WeightCodes &codes);

/// 10 log10(sum w^2 / sum (w - q)^2); nothing when all are equal.
std::optional<double> sqnrDb(const ErrorSums &sums);

} // namespace qopt

#endif // QOPT_CALIBRATION_WEIGHTS_H
