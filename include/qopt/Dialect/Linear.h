//===- Linear.h - A linear layer of the raised graph ----------------------===//
//
// y = onnx.MatMul(x, W), W a constant [K, N]; quantizers want it as [N, K]. A view of the
// operations, before and after the weights became codes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_LINEAR_H
#define QOPT_DIALECT_LINEAR_H

#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

namespace qopt {

/// An `onnx.MatMul` with a layer name whose second operand is a constant matrix, or the
/// cast of one of 16-bit floats to f32.
struct Linear {
  onnx::MatMulOp op;
  llvm::StringRef name;
  SchemeAttr scheme;          ///< null before qopt-assign-scheme
  mlir::ElementsAttr weights; ///< [K, N]
  int64_t outFeatures = 0, inFeatures = 0;

  /// What its scheme does; the float one's where there is no scheme.
  const SchemeVariant &variant() const;
  /// Whether codes follow from the weights alone.
  bool isQuantizedWithoutData() const {
    return variant().weights != WeightMethod::Float && variant().weightStatistics == StatisticSet::None;
  }
  /// Nothing when `op` is no linear.
  static std::optional<Linear> match(mlir::Operation *op);
};

/// The `qopt.dequantize` of codes [N, K] whose transpose `op` multiplies with, be it
/// with or without kept columns; null when its second operand is something else.
DequantizeOp getQuantizedWeights(onnx::MatMulOp op);

/// Whether these are int8 weights [N, K] with one scale per output; not where there are none.
bool isPerChannel(DequantizeOp weights);

/// The columns of these weights that were kept; null where there are none.
ReplaceColumnsOp getKeptColumns(onnx::MatMulOp op);

} // namespace qopt

#endif // QOPT_DIALECT_LINEAR_H
