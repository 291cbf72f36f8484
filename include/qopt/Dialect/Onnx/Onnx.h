//===- Onnx.h - The onnx dialect ------------------------------------------===//
//
// Operations, traits and interfaces of the ONNX operators that language models use;
// OnnxOps.td says what each accepts.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_ONNX_H
#define QOPT_DIALECT_ONNX_ONNX_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "qopt/Dialect/Attributes.h"
#include "qopt/Dialect/Onnx/ShapeMath.h"

namespace qopt::onnx {

/// Whether all operands from the first-th on have one element type; diagnosed.
mlir::LogicalResult verifySameElements(mlir::Operation *op, unsigned first);

// The traits of OnnxInterfaces.td.
template <typename ConcreteOp>
class Elementwise : public mlir::OpTrait::TraitBase<ConcreteOp, Elementwise> {};
template <typename ConcreteOp>
class Rearranges : public mlir::OpTrait::TraitBase<ConcreteOp, Rearranges> {};
template <typename ConcreteOp>
class MakesActivation : public mlir::OpTrait::TraitBase<ConcreteOp, MakesActivation> {};
template <unsigned first>
struct SameElementsFrom {
  template <typename ConcreteOp>
  class Impl : public mlir::OpTrait::TraitBase<ConcreteOp, SameElementsFrom<first>::template Impl> {
  public:
    static mlir::LogicalResult verifyTrait(mlir::Operation *op) { return verifySameElements(op, first); }
  };
};

} // namespace qopt::onnx

#include "qopt/Dialect/Onnx/OnnxInterfaces.h.inc"
#include "qopt/Dialect/Onnx/OnnxOpsDialect.h.inc"
#include "qopt/Dialect/Onnx/OnnxOpsEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "qopt/Dialect/Onnx/OnnxOpsAttributes.h.inc"
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
/// is not such a constant, or null.
std::optional<llvm::SmallVector<int64_t>> getConstantInts(mlir::Value value);

/// The one axis of constant `axes`, counted from the front; nothing where they are none, several or unknown.
std::optional<int64_t> getConstantAxis(mlir::Value axes, int64_t rank);

/// The value of a constant float or integer tensor whose elements are all equal.
std::optional<double> getConstantScalar(mlir::Value value);

/// The elements of small integers that an operation computes, where all are known now:
/// of the type of its only result. Null else.
mlir::DenseElementsAttr foldContents(mlir::Operation *op);

/// An operator that changes the type, the order or the shape of elements, not what they are:
/// casts and operators that rearrange.
bool keepsValues(mlir::Operation *op);

/// What a Slice takes along one axis of its input: `length` elements from `start` on.
struct SliceRange {
  int64_t axis, step;
  Extent start, length;
};
/// One for each axis that is cut. Axes and steps must be constants.
mlir::FailureOr<llvm::SmallVector<SliceRange>> sliceRanges(SliceOp::Adaptor op, ShapeMath &shapes);

} // namespace qopt::onnx

#endif // QOPT_DIALECT_ONNX_ONNX_H
