//===- Linear.h - A linear layer of the raised graph ----------------------===//
//
// y = onnx.MatMul(x, W), W a constant [K, N]; quantizers want it as [N, K].
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_LINEAR_H
#define QOPT_CALIBRATION_LINEAR_H

#include "mlir/IR/Builders.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Numerics/Quantizers.h"
#include <variant>

namespace qopt {

/// An `onnx.MatMul` with a layer name whose second operand is a constant matrix, or the
/// cast of one of 16-bit floats to f32.
struct Linear {
  onnx::MatMulOp op;
  llvm::StringRef name;
  SchemeAttr scheme;          ///< null before qopt-assign-scheme
  mlir::ElementsAttr weights; ///< [K, N]
  int64_t outFeatures = 0, inFeatures = 0;

  SchemeKind kind() const { return scheme ? scheme.getKind() : SchemeKind::Float; }
  /// llm-int8 whose outlier columns are found by calibration.
  bool hasStaticOutliers() const {
    return kind() == SchemeKind::LlmInt8 && scheme.getOutliers() == OutlierColumns::Static;
  }
  /// Whether quantizeWithoutData() takes it: not float, and codes follow from the weights alone.
  bool needsNoData() const {
    return kind() != SchemeKind::Float && kind() != SchemeKind::GptqInt4 && !hasStaticOutliers();
  }
  /// Nothing when `op` is no linear.
  static std::optional<Linear> match(mlir::Operation *op);
};

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

/// Replaces the weight operand by Transpose(dequantize(parameters...)), parameters
/// named "<layer>.weight.codes", ".scale" and ".zeros" (int4 with another zero
/// point than 8). int4 scales are stored in float16 where that changes none. Between
/// the two stands replace_columns with "<layer>.weight.outliers" where columns were kept,
/// in float16 where that changes none.
/// Emits an error when a scale is not positive and finite.
mlir::LogicalResult replaceWeights(const Linear &linear, const WeightCodes &codes);

/// The `qopt.dequantize` of codes [N, K] whose transpose `op` multiplies with, be it
/// with or without kept columns; null when its second operand is something else.
DequantizeOp getQuantizedWeights(onnx::MatMulOp op);

/// The columns of these weights that were kept; null where there are none.
ReplaceColumnsOp getKeptColumns(onnx::MatMulOp op);

} // namespace qopt

#endif // QOPT_CALIBRATION_LINEAR_H
