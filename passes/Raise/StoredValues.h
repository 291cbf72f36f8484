//===- StoredValues.h - Numbers around the codes of a file -----------------===//
//
// Scales and zero points as f32, and rows of a table of codes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_STOREDVALUES_H
#define QOPT_PASSES_RAISE_STOREDVALUES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Dialect/StoredWeights.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Reference/Evaluator.h"

namespace qopt::raise {

/// The name of what a constant was in the file.
std::string nameOf(mlir::Value codes);

inline bool isSingle(mlir::Value value) {
  return typeOf(value).hasStaticShape() && typeOf(value).getNumElements() == 1;
}

mlir::Value scalarConstant(mlir::OpBuilder &b, mlir::Location loc, float value);
mlir::Value castTo(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, mlir::Type element);
/// The only element of a scale, as an f32 of rank 0.
mlir::Value toScalar(mlir::OpBuilder &b, mlir::Location loc, mlir::Value scale);
/// A zero point less `middle`, as an f32 of rank 0. One that was just rounded to an integer
/// is read before that.
mlir::Value zeroAsFloat(mlir::OpBuilder &b, mlir::Location loc, mlir::Value zero, double middle);

/// The first result of an operator of constants. Fails where an operand is none, or the evaluator does not know
/// the operator.
mlir::FailureOr<reference::Tensor> evaluateConstants(mlir::Operation *op);

/// What rearranges values that are rounded with one scale, or their codes, does so before that: products look
/// for codes right in front of them.
void rearrangeFirst(mlir::func::FuncOp function);

/// Computes codes that are constants in another layout, or are made of constant floats.
void foldCodes(mlir::func::FuncOp function);

/// Rows of `table`, the float matrix of int8 codes with a scale per row and perhaps an offset
/// of each row.
mlir::Value gatherTable(mlir::OpBuilder &b, onnx::GatherOp gather, mlir::Value table);
/// Rows of codes in groups: their codes, scales and zero points are looked up. Null, and why,
/// where rows are no whole groups.
mlir::Value gatherGroups(mlir::OpBuilder &b, onnx::GatherOp gather, const StoredWeights &stored, llvm::StringRef name,
                         std::string &why);

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_STOREDVALUES_H
