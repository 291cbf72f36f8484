//===- Qopt.h - The qopt dialect ------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_QOPT_H
#define QOPT_DIALECT_QOPT_QOPT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "qopt/Dialect/Qopt/QoptOpsDialect.h.inc"
#include "qopt/Dialect/Qopt/QoptOpsEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "qopt/Dialect/Qopt/QoptOpsAttributes.h.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Qopt/QoptOps.h.inc"

namespace qopt {

/// The attribute on an `onnx.MatMul`, and on what it becomes, that holds the
/// layer's recovered name (StringAttr), e.g. "model.layers.0.self_attn.q_proj".
inline constexpr llvm::StringLiteral kLayerAttr = "qopt.layer";
/// The attribute that names the array a transposed weight was copied from.
inline constexpr llvm::StringLiteral kTiedAttr = "qopt.tied";
/// The attribute that holds what becomes of the layer (#qopt.scheme).
inline constexpr llvm::StringLiteral kSchemeAttr = "qopt.scheme";

} // namespace qopt

#endif // QOPT_DIALECT_QOPT_QOPT_H
