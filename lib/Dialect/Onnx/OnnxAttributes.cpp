//===- OnnxAttributes.cpp - The attributes that the dialect declares ------===//
//
// What the importer keeps of a file beside its operators.
//
//===----------------------------------------------------------------------===//
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Dialect/Onnx/Onnx.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

static bool isString(Attribute value) { return isa<StringAttr>(value); }

static bool areStrings(Attribute value) {
  auto list = dyn_cast<ArrayAttr>(value);
  return list && llvm::all_of(list, isString);
}

static bool isFunction(Operation *op) { return isa<FunctionOpInterface>(op); }
/// Operators keep it when they become operations of other dialects.
static bool isInside(Operation *op) { return !isa<FunctionOpInterface, ModuleOp>(op); }

constexpr StringLiteral kPlace = "an argument or result of a function";

static constexpr AttributeRule kOperationRules[] = {
    {attrs::Scope::getNameStr(), isString, "a string", isInside, "an operation in a function"},
};

static constexpr AttributeRule kValueRules[] = {
    {attrs::Name::getNameStr(), isString, "a string", isFunction, kPlace},
    {attrs::Dims::getNameStr(), areStrings, "a list of strings", isFunction, kPlace},
};

LogicalResult OnnxDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  return verifyAttribute(op, attribute, kOperationRules, "'" + op->getName().getStringRef() + "'");
}

LogicalResult OnnxDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned index, NamedAttribute attribute) {
  return verifyAttribute(op, attribute, kValueRules, "argument " + Twine(index));
}

LogicalResult OnnxDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned index,
                                                       NamedAttribute attribute) {
  return verifyAttribute(op, attribute, kValueRules, "result " + Twine(index));
}

void onnx::copyScope(Operation *from, Operation *to) {
  if (StringAttr scope = getAttr<attrs::Scope>(from))
    setAttr<attrs::Scope>(to, scope);
}
