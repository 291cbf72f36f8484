//===- Onnx.h - The onnx dialect ------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_ONNX_H
#define QOPT_DIALECT_ONNX_ONNX_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "qopt/Dialect/Attributes.h"

#include "qopt/Dialect/Onnx/OnnxOpsDialect.h.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Onnx/OnnxOps.h.inc"

/// The attributes that the dialect declares, for getAttr() and the like (Attributes.h).
namespace qopt::onnx::attrs {
using Name = OnnxDialect::NameAttrHelper;
using Dims = OnnxDialect::DimsAttrHelper;
using Scope = OnnxDialect::ScopeAttrHelper;
} // namespace qopt::onnx::attrs

namespace qopt::onnx {

/// What replaces an operator comes from the same module of the exporter's model.
void copyScope(mlir::Operation *from, mlir::Operation *to);

/// The elements of a constant integer tensor of rank 0 or 1; nothing when `value`
/// is not such a constant.
std::optional<llvm::SmallVector<int64_t>> getConstantInts(mlir::Value value);

/// The value of a constant float or integer tensor whose elements are all equal.
std::optional<double> getConstantScalar(mlir::Value value);

} // namespace qopt::onnx

#endif // QOPT_DIALECT_ONNX_ONNX_H
