//===- ScaledValues.h - Values whose scale can move into weights ----------===//
//
// What linear layers read, and the constants in front that divide it by a factor per feature.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_QUANTIZE_SCALEDVALUES_H
#define QOPT_PASSES_QUANTIZE_SCALEDVALUES_H

#include "Transforming.h"

namespace qopt::transform {

struct ScaledValue {
  /// Constants whose last dimension is the features; none where the value cannot be scaled.
  llvm::SmallVector<mlir::OpOperand *> divided;
  llvm::SmallVector<onnx::MatMulOp> linears; ///< that read it
  /// The result of the one product that all these lead to; null where there is none, or several.
  mlir::Value judged;

  mlir::Value input() const {
    onnx::MatMulOp first = linears.front();
    return first.getA();
  }
  int64_t features() const;
};

/// The inputs of all linear layers of `function` but the head, in order. Why a normalization cannot give its scale
/// away goes to `onMissed`.
std::vector<ScaledValue> findScaledValues(mlir::func::FuncOp function,
                                          llvm::function_ref<void(mlir::Operation *, const llvm::Twine &)> onMissed);

/// Whether attention compares what `op` makes: queries and keys.
bool feedsScores(onnx::MatMulOp op);

} // namespace qopt::transform

#endif // QOPT_PASSES_QUANTIZE_SCALEDVALUES_H
