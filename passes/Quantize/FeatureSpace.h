//===- FeatureSpace.h - Values that must be rotated together --------------===//
//
// A rotation of features cancels where every value that meets another is rotated alike: the
// residual stream of a decoder, from its embedding to its head. Which values these are is
// found by data flow, forwards and backwards.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_QUANTIZE_FEATURESPACE_H
#define QOPT_PASSES_QUANTIZE_FEATURESPACE_H

#include "Transforming.h"
#include "qopt/Numerics/Rotation.h"
#include "llvm/ADT/SetVector.h"

namespace qopt::transform {

/// Values whose last dimension holds the same features.
class FeatureSpace {
public:
  /// All values that have to follow `seed`.
  explicit FeatureSpace(mlir::Value seed);

  int64_t size() const { return features; }
  bool contains(mlir::Value value) const { return values.contains(value); }
  /// Why it cannot be rotated, and at which operation; null where it can.
  mlir::Operation *obstacle() const { return stoppedAt; }
  llvm::StringRef reason() const { return stoppedBy; }
  /// Some product that reads it; null where none does.
  onnx::MatMulOp firstReader() const { return readers.empty() ? onnx::MatMulOp() : readers.front(); }

  /// Every value of it becomes x Q: what writes and reads it is changed.
  void rotate(const Rotation &rotation, const ParallelFor &parallelFor);

private:
  void stop(mlir::Operation *op, const llvm::Twine &why);
  /// `value` belongs to it, if it has the features in its last dimension.
  void include(mlir::Value value, mlir::Operation *user);
  /// What `value` is computed of.
  void visitDefinition(mlir::Value value);
  void visitSum(mlir::Operation *op);
  void visitGather(mlir::Value value, mlir::Operation *op);
  void visitUse(mlir::OpOperand &use);

  int64_t features;
  llvm::SetVector<mlir::Value> values;
  llvm::SetVector<mlir::Operation *> written; ///< products whose result belongs to it
  llvm::SmallVector<onnx::MatMulOp> readers;
  llvm::SmallVector<mlir::OpOperand *> tables; ///< constants whose last dimension belongs to it
  mlir::Operation *stoppedAt = nullptr;
  std::string stoppedBy;
};

/// The values of attention: a rotation within each head, from the product that makes them to the
/// one that reads what attention makes of them.
struct ValueHeads {
  /// Fails, with the reason in `why`, where something else sees them.
  static std::optional<ValueHeads> match(onnx::AttentionOp attention, std::string &why);
  void rotate(const Rotation &rotation, const ParallelFor &parallelFor) const;

  onnx::MatMulOp writer;
  llvm::SmallVector<mlir::OpOperand *> biases; ///< constants that are added to the values
  llvm::SmallVector<onnx::MatMulOp> readers;
  int64_t headSize = 0;
};

} // namespace qopt::transform

#endif // QOPT_PASSES_QUANTIZE_FEATURESPACE_H
