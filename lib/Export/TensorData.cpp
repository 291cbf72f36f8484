//===- TensorData.cpp - Attributes to ONNX tensors ------------------------===//
//
// All elements are written as raw data: little-endian, in row-major order.
//
//===----------------------------------------------------------------------===//
#include "TensorData.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

int32_t qopt::dataTypeOf(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    switch (integer.getWidth()) {
    case 1:
      return 9;
    case 8:
      return integer.isUnsigned() ? 2 : 3;
    case 16:
      return integer.isUnsigned() ? 4 : 5;
    case 32:
      return integer.isUnsigned() ? 12 : 6;
    case 64:
      return integer.isUnsigned() ? 13 : 7;
    }
    return 0;
  }
  return type.isF32() ? 1 : type.isF16() ? 10 : type.isF64() ? 11 : type.isBF16() ? 16 : 0;
}

Status qopt::fillTensor(ElementsAttr value, pb::TensorProto &tensor) {
  ShapedType type = value.getShapedType();
  bool hasType = tensor.has_data_type();
  if (!hasType)
    tensor.set_data_type(dataTypeOf(type.getElementType()));
  if (!tensor.data_type()) {
    std::string text;
    llvm::raw_string_ostream(text) << "ONNX has no elements of type " << type.getElementType();
    return Error{text};
  }
  for (int64_t size : type.getShape())
    if (!hasType)
      tensor.add_dims(size);
  ConstantView view = viewConstant(value);
  if (!view.isComplete())
    return Error{"its data are missing: was this file printed without its weights?"};
  std::vector<char> bytes = view.expanded();
  tensor.set_raw_data(bytes.data(), bytes.size());
  return {};
}

Status qopt::fillAttribute(NamedAttribute attribute, pb::AttributeProto &out) {
  out.set_name(attribute.getName().str());
  auto set = [&](AttributeType type) {
    out.set_type(type);
    return Status();
  };
  return llvm::TypeSwitch<Attribute, Status>(attribute.getValue())
      .Case([&](IntegerAttr value) {
        out.set_i(value.getInt());
        return set(IsInt);
      })
      .Case([&](FloatAttr value) {
        out.set_f(static_cast<float>(value.getValueAsDouble()));
        return set(IsFloat);
      })
      .Case([&](TypeAttr value) {
        out.set_i(dataTypeOf(value.getValue()));
        return set(IsInt);
      })
      .Case([&](onnx::GeluApproximationAttr value) {
        out.set_s(onnx::stringifyGeluApproximation(value.getValue()).str());
        return set(IsString);
      })
      .Case([&](DenseI64ArrayAttr value) {
        for (int64_t number : value.asArrayRef())
          out.add_ints(number);
        return set(IsInts);
      })
      .Case([&](ElementsAttr value) {
        out.set_type(IsTensor);
        return fillTensor(value, *out.mutable_t());
      })
      .Default([&](Attribute) { return Error{"attribute " + out.name() + " has no form in ONNX"}; });
}
