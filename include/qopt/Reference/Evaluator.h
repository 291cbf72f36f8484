//===- Evaluator.h - What an operator computes, in plain C++ --------------===//
//
// The truth in tests, the constant folder, and the way graphs are recognised by
// what they compute instead of how they are written. Slow and simple.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_REFERENCE_EVALUATOR_H
#define QOPT_REFERENCE_EVALUATOR_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include <vector>

namespace qopt::reference {

/// A dense row-major tensor of static shape. Float elements are in `floats`, each
/// rounded to the element type; integers and booleans in `ints`.
struct Tensor {
  mlir::RankedTensorType type;
  std::vector<double> floats;
  std::vector<int64_t> ints;

  /// Asked for every element: a FloatType is an interface, whose look-up takes longer.
  bool isFloat() const { return !llvm::isa<mlir::IntegerType>(type.getElementType()); }
  int64_t numElements() const { return type.getNumElements(); }
};

/// Reads any constant attribute (dense, splat, resource). Fails on element types
/// that are neither integers nor floats and on resources of the wrong size.
mlir::FailureOr<Tensor> fromAttribute(mlir::ElementsAttr attribute);
mlir::ElementsAttr toAttribute(const Tensor &tensor);

/// The value of a constant operand; fails when it is none.
mlir::FailureOr<Tensor> getConstant(mlir::Value value);

/// Runs one operator of the onnx or qopt dialect; sums in double. Result types
/// follow from the operands, so `?` in the op's own types does not matter.
/// Emits a diagnostic on the op on failure (unsupported operator, index out of
/// range ...).
mlir::FailureOr<std::vector<Tensor>> evaluate(mlir::Operation *op, llvm::ArrayRef<Tensor> operands);

/// Runs a function of one block.
mlir::FailureOr<std::vector<Tensor>> evaluate(mlir::func::FuncOp function, llvm::ArrayRef<Tensor> inputs);

} // namespace qopt::reference

#endif // QOPT_REFERENCE_EVALUATOR_H
