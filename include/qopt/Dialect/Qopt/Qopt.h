//===- Qopt.h - The qopt dialect ------------------------------------------===//
//
// Its operations and attributes are defined in QoptOps.td.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_QOPT_H
#define QOPT_DIALECT_QOPT_QOPT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "qopt/Dialect/Attributes.h"
#include "qopt/Dialect/Qopt/Scheme.h"
#include "qopt/Support/Roles.h"

namespace qopt {

/// Reads the name of a role; an error lists those there are.
mlir::FailureOr<Role> parseRole(mlir::AsmParser &parser);

} // namespace qopt

#include "qopt/Dialect/Qopt/QoptOpsEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "qopt/Dialect/Qopt/QoptOpsAttributes.h.inc"
// The dialect declares attributes of these classes.
#include "qopt/Dialect/Qopt/QoptInterfaces.h.inc"
#include "qopt/Dialect/Qopt/QoptOpsDialect.h.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Qopt/QoptOps.h.inc"

/// The attributes that the dialect declares, for getAttr() and the like (Attributes.h).
namespace qopt::attrs {
using Layer = QoptDialect::LayerAttrHelper;
using Tied = QoptDialect::TiedAttrHelper;
using Scheme = QoptDialect::SchemeAttrHelper;
using Role = QoptDialect::RoleAttrHelper;
using ContextLength = QoptDialect::ContextLengthAttrHelper;
using Value = QoptDialect::ValueAttrHelper;
using Name = QoptDialect::NameAttrHelper;
using Output = QoptDialect::OutputAttrHelper;
using Grain = QoptDialect::GrainAttrHelper;
using Entry = QoptDialect::EntryAttrHelper;
using Arch = QoptDialect::ArchAttrHelper;
using SharedBytes = QoptDialect::SharedBytesAttrHelper;
using TensorMap = QoptDialect::TensorMapAttrHelper;
using TensorMaps = QoptDialect::TensorMapsAttrHelper;
using Frame = QoptDialect::FrameAttrHelper;
using Site = QoptDialect::SiteAttrHelper;
using SimOwn = QoptDialect::SimOwnAttrHelper;
} // namespace qopt::attrs

namespace qopt {

/// Whether activations that share a scale by `inputs` inputs can be multiplied with weights
/// that do by `weights`.
bool areActivationGroups(int64_t inputs, int64_t weights);
/// Which sizes can be: "128 inputs, or a multiple of 8 that divides 128".
std::string describeActivationGroups(int64_t weights);

/// What an input or output of the model is; `Other` where nothing says it.
Role getArgRole(mlir::FunctionOpInterface function, unsigned index);
Role getResultRole(mlir::FunctionOpInterface function, unsigned index);

} // namespace qopt

#endif // QOPT_DIALECT_QOPT_QOPT_H
