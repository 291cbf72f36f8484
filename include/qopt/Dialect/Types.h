//===- Types.h - Types of values ------------------------------------------===//
//
// Operands and results of the onnx and qopt dialects are tensors of a known rank, which
// their definitions say; MLIR's values do not.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_TYPES_H
#define QOPT_DIALECT_TYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace qopt {

/// The type of a value that is a ranked tensor.
inline mlir::RankedTensorType typeOf(mlir::Value value) { return llvm::cast<mlir::RankedTensorType>(value.getType()); }

} // namespace qopt

#endif // QOPT_DIALECT_TYPES_H
