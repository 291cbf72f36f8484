//===- Attributes.h - Our attributes on operations and functions ----------===//
//
// ODS makes a helper class of every attribute that a dialect declares
// (`discardableAttrs`). With these functions it is `getAttr<attrs::Layer>(op)`: the name
// and the type stand in the .td file and nowhere else.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ATTRIBUTES_H
#define QOPT_DIALECT_ATTRIBUTES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include <type_traits>

namespace qopt {

template <typename Helper>
using AttrType = decltype(std::declval<Helper &>().getAttr(static_cast<mlir::Operation *>(nullptr)));

/// The attribute of `op`; null where it has none.
template <typename Helper>
AttrType<Helper> getAttr(mlir::Operation *op) {
  return op->getAttrOfType<AttrType<Helper>>(Helper::getNameStr());
}

template <typename Helper>
bool hasAttr(mlir::Operation *op) {
  return op->hasAttr(Helper::getNameStr());
}

template <typename Helper>
void setAttr(mlir::Operation *op, AttrType<Helper> attribute) {
  op->setAttr(Helper::getNameStr(), attribute);
}

/// Sets an attribute that has no value.
template <typename Helper>
void setFlag(mlir::Operation *op) {
  setAttr<Helper>(op, mlir::UnitAttr::get(op->getContext()));
}

/// The attribute of an argument or of a result; null where it has none.
template <typename Helper>
AttrType<Helper> getArgAttr(mlir::FunctionOpInterface function, unsigned index) {
  return function.getArgAttrOfType<AttrType<Helper>>(index, Helper::getNameStr());
}

template <typename Helper>
AttrType<Helper> getResultAttr(mlir::FunctionOpInterface function, unsigned index) {
  return function.getResultAttrOfType<AttrType<Helper>>(index, Helper::getNameStr());
}

template <typename Helper>
void setArgAttr(mlir::FunctionOpInterface function, unsigned index, AttrType<Helper> attribute) {
  function.setArgAttr(index, Helper::getNameStr(), attribute);
}

template <typename Helper>
void setResultAttr(mlir::FunctionOpInterface function, unsigned index, AttrType<Helper> attribute) {
  function.setResultAttr(index, Helper::getNameStr(), attribute);
}

/// For dictionaries of attributes.
template <typename Helper>
mlir::NamedAttribute namedAttr(mlir::MLIRContext *context, AttrType<Helper> attribute) {
  return mlir::NamedAttribute(mlir::StringAttr::get(context, Helper::getNameStr()), attribute);
}

/// One attribute that a dialect declares, and what its verifier says of it.
struct AttributeRule {
  llvm::StringRef name;             ///< with the dialect's
  bool (*hasType)(mlir::Attribute); ///< whether a value will do
  llvm::StringRef type;             ///< "a string"
  bool (*fits)(mlir::Operation *);  ///< whether it may stand there
  llvm::StringRef place;            ///< "an onnx operation"
};

/// Emits an error where `attribute` of `op` is none of `rules`, or breaks its rule. `where`
/// is the operation itself, or "argument 0 of the function".
mlir::LogicalResult verifyAttribute(mlir::Operation *op, mlir::NamedAttribute attribute,
                                    llvm::ArrayRef<AttributeRule> rules, const llvm::Twine &where);

} // namespace qopt

#endif // QOPT_DIALECT_ATTRIBUTES_H
