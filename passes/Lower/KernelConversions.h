//===- KernelConversions.h - From operators to calls of kernels -----------===//
//
// One function per operator, by family in Call*.cpp. Each replaces its operator, or
// fails and changes nothing: then no kernel fits and the operator is lowered as
// others are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_KERNELCONVERSIONS_H
#define QOPT_PASSES_LOWER_KERNELCONVERSIONS_H

#include "KernelCalls.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

namespace qopt::lowering {

// Matrix products (CallMatMuls.cpp).
mlir::LogicalResult convertToCall(onnx::MatMulOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(MatmulW8A16Op op, KernelCalls &c);
mlir::LogicalResult convertToCall(MatmulW4A16Op op, KernelCalls &c);
mlir::LogicalResult convertToCall(MatmulW8A8Op op, KernelCalls &c);

// Quantization of activations (CallQuantization.cpp).
mlir::LogicalResult convertToCall(QuantizeOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(DynamicQuantizeOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(SplitColumnsOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(SplitColumnsAtOp op, KernelCalls &c);

// The other parts of a decoder (CallDecoder.cpp).
mlir::LogicalResult convertToCall(onnx::GatherOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(onnx::RMSNormalizationOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(onnx::RotaryEmbeddingOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(onnx::AttentionOp op, KernelCalls &c);
mlir::LogicalResult convertToCall(CachedAttentionOp op, KernelCalls &c);

constexpr int64_t kUnknown = mlir::ShapedType::kDynamic;

inline mlir::RankedTensorType typeOf(mlir::Value tensor) {
  return llvm::cast<mlir::RankedTensorType>(tensor.getType());
}

inline bool isFloatTensor(mlir::Value tensor) { return typeOf(tensor).getElementType().isF32(); }

/// The size of the last dimension; 0 where it is unknown or there is none.
inline int64_t widthOf(mlir::Value tensor) {
  mlir::RankedTensorType type = typeOf(tensor);
  return type.getRank() == 0 || mlir::ShapedType::isDynamic(type.getShape().back()) ? 0 : type.getShape().back();
}

/// The constant weight [K, N] as packFloatWeights has it. Products and gathers with one
/// weight share it.
mlir::Value packedFloatWeight(KernelCalls &c, const KernelCalls::Constant &weight);

/// Replaces `op` with `values`.
inline mlir::LogicalResult replace(mlir::Operation *op, mlir::ValueRange values) {
  op->replaceAllUsesWith(values);
  op->erase();
  return mlir::success();
}

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_KERNELCONVERSIONS_H
