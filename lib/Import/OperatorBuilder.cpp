//===- OperatorBuilder.cpp - Several operators in place of a node ---------===//
//
// Each function makes one operator, or a few that always come together.
//
//===----------------------------------------------------------------------===//
#include "OperatorBuilder.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

SmallVector<Value> OperatorBuilder::makeAll(StringRef name, ArrayRef<Value> operands, ArrayRef<NamedAttribute> attrs) {
  if (failure)
    return {};
  Result<Operation *> op = node.create(name, operands, NamedAttrList(attrs));
  if (op)
    return SmallVector<Value>((*op)->getResults());
  failure = op.error();
  return {};
}

Value OperatorBuilder::make(StringRef name, ArrayRef<Value> operands, ArrayRef<NamedAttribute> attrs) {
  SmallVector<Value> results = makeAll(name, operands, attrs);
  return results.empty() ? Value() : results.front();
}

Status OperatorBuilder::finish(ArrayRef<Value> values) {
  if (failure)
    return *failure;
  node.results = SmallVector<Value>(values);
  return {};
}

//===----------------------------------------------------------------------===//
// Attributes and constants
//===----------------------------------------------------------------------===//

NamedAttribute OperatorBuilder::attribute(StringRef name, int64_t value) const {
  return b.getNamedAttr(name, b.getI64IntegerAttr(value));
}
NamedAttribute OperatorBuilder::attribute(StringRef name, float value) const {
  return b.getNamedAttr(name, b.getF32FloatAttr(value));
}
NamedAttribute OperatorBuilder::attribute(StringRef name, ArrayRef<int64_t> values) const {
  return b.getNamedAttr(name, b.getDenseI64ArrayAttr(values));
}
NamedAttribute OperatorBuilder::takeFloat(StringRef name, float fallback) {
  auto given = node.take<FloatAttr>(name);
  return attribute(name, given ? static_cast<float>(given.getValueAsDouble()) : fallback);
}

Value OperatorBuilder::scalar(int64_t value) {
  if (failure)
    return {};
  return node.constant(DenseElementsAttr::get(RankedTensorType::get({}, b.getI64Type()), value));
}

Value OperatorBuilder::constant(const APFloat &value, FloatType element) {
  return failure ? Value() : node.constant(DenseElementsAttr::get(RankedTensorType::get({}, element), value));
}

Value OperatorBuilder::floatLike(Value like, double value) {
  auto element = failure ? FloatType() : dyn_cast<FloatType>(typeOf(like).getElementType());
  if (!element && !failure)
    failure = Error{"requires float operands"};
  return failure ? Value() : constant(b.getFloatAttr(element, value).getValue(), element);
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

Value OperatorBuilder::dim(Value value, int64_t axis) {
  return make("Shape", value, {attribute("start", axis), attribute("end", axis + 1)});
}

Value OperatorBuilder::flatInts(Value value) {
  Value flat = failure || typeOf(value).getRank() == 1 ? value : reshape(value, -1);
  return cast(flat, b.getI64Type());
}

Value OperatorBuilder::count(int64_t first, Value limit) {
  return make("Range", {scalar(first), make("Squeeze", {limit, ints(0)}), scalar(1)});
}

Value OperatorBuilder::reshape(Value value, ArrayRef<int64_t> shape) { return make("Reshape", {value, ints(shape)}); }

Value OperatorBuilder::unsqueeze(Value value, ArrayRef<int64_t> axes) { return make("Unsqueeze", {value, ints(axes)}); }

Value OperatorBuilder::transpose(Value value, ArrayRef<int64_t> perm) {
  return make("Transpose", value, attribute("perm", perm));
}

Value OperatorBuilder::slice(Value value, int64_t axis, Value begin, Value end) {
  return make("Slice", {value, begin, end, ints(axis)});
}

Value OperatorBuilder::concat(ArrayRef<Value> values, int64_t axis) {
  return make("Concat", values, attribute("axis", axis));
}

Value OperatorBuilder::cast(Value value, Type element) {
  if (failure || typeOf(value).getElementType() == element)
    return value;
  return make("Cast", value, b.getNamedAttr("to", TypeAttr::get(element)));
}

SmallVector<Value> OperatorBuilder::split(Value value, ArrayRef<int64_t> sizes, int64_t axis) {
  SmallVector<Value> parts = makeAll("Split", {value, ints(sizes)}, attribute("axis", axis));
  parts.resize(sizes.size()); // null after a failure
  return parts;
}
