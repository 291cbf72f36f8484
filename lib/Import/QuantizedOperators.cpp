//===- QuantizedOperators.cpp - Operators on codes ------------------------===//
//
// What a file has quantized already, in one form: DequantizeLinear in front of float
// operators and QuantizeLinear behind them. A product of integers is exact in that form,
// as long as its sums are; raising makes integers of it again. Definitions:
// docs/Operators.md of onnx, docs/ContribOperators.md of onnxruntime.
//
//===----------------------------------------------------------------------===//
#include "QuantizedOperators.h"
#include "StandardRules.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::quantized;

//===----------------------------------------------------------------------===//
// What the rules share
//===----------------------------------------------------------------------===//

static Type byteType(NodeImport &node) { return node.builder.getIntegerType(8, /*isSigned=*/false); }

/// The type of codes with this zero point, which may be left out.
static Type codeTypeOf(NodeImport &node, Value zero) { return zero ? typeOf(zero).getElementType() : byteType(node); }

NamedAttribute CodeBuilder::type(Type to) const { return node.builder.getNamedAttr("to", TypeAttr::get(to)); }

Value CodeBuilder::number(float value) { return constant(APFloat(value), node.builder.getF32Type()); }

Value CodeBuilder::flat(Value value) {
  if (!value || typeOf(value).getRank() < 2 || !typeOf(value).hasStaticShape())
    return value;
  return reshape(value, typeOf(value).getNumElements());
}

Value CodeBuilder::dequantize(Value x, Value scale, Value zero, int64_t axis) {
  if (hasFailed())
    return {};
  NamedAttribute attributes[] = {attribute("axis", axis), type(typeOf(scale).getElementType())};
  return make("DequantizeLinear", {x, flat(scale), flat(zero)}, attributes);
}

Value CodeBuilder::quantize(Value x, Value scale, Value zero) {
  return make("QuantizeLinear", {x, scale, zero}, type(codeTypeOf(node, zero)));
}

Value CodeBuilder::addBias(Value value, Value bias) { return bias ? make("Add", {value, bias}) : value; }

Status quantized::requireInputs(const NodeImport &node, ArrayRef<size_t> indices) {
  for (size_t index : indices)
    if (!node.input(index))
      return Error{"input " + std::to_string(index) + " is left out"};
  return {};
}

//===----------------------------------------------------------------------===//
// QuantizeLinear and DequantizeLinear
//===----------------------------------------------------------------------===//

static Result<Type> takeElementType(NodeImport &node, StringRef attribute, Type fallback) {
  int64_t given = node.takeInt(attribute, 0);
  return given ? elementType(node.builder.getContext(), static_cast<int32_t>(given)) : Result<Type>(fallback);
}

Status quantized::importDequantizeLinear(NodeImport &node) {
  Result<Type> to = takeElementType(node, "output_dtype", typeOf(node.inputs[1]).getElementType());
  if (!to)
    return to.error();
  node.attributes.set("to", TypeAttr::get(*to));
  return {};
}

Status quantized::importQuantizeLinear(NodeImport &node) {
  Result<Type> to = takeElementType(node, "output_dtype", codeTypeOf(node, node.input(2)));
  if (!to)
    return to.error();
  if (node.takeInt("saturate", 1) != 1)
    return Error{"saturate = 0 is not supported"};
  node.attributes.erase("precision"); // f32, as always here
  node.attributes.set("to", TypeAttr::get(*to));
  return {};
}

/// The same in the domain of onnxruntime, which had more types before ONNX did.
static Status importAs(NodeImport &node, Status (*rule)(NodeImport &)) {
  if (Status status = rule(node); !status)
    return status;
  NamedAttrList attributes = node.attributes;
  node.attributes = {};
  return node.finish(node.createOne(node.node.op_type(), node.inputs, attributes.getAttrs()));
}
Status quantized::importContribDequantizeLinear(NodeImport &node) { return importAs(node, importDequantizeLinear); }
Status quantized::importContribQuantizeLinear(NodeImport &node) { return importAs(node, importQuantizeLinear); }

//===----------------------------------------------------------------------===//
// Activations quantized at run time
//===----------------------------------------------------------------------===//

namespace {
struct DynamicCodes {
  Value codes, scale, zero;
};
} // namespace

/// ui8 codes over the range of `x` and 0, as the function in ONNX's definition computes them.
static DynamicCodes quantizeDynamically(CodeBuilder &b, Value x, Type ui8) {
  NamedAttribute all = b.attribute("keepdims", int64_t(0));
  Value zero = b.number(0), most = b.number(255);
  Value low = b.make("Min", {b.make("ReduceMin", x, all), zero});
  Value high = b.make("Max", {b.make("ReduceMax", x, all), zero});
  Value range = b.make("Div", {b.make("Sub", {high, low}), most});
  // All zeros: any scale will do.
  Value scale = b.make("Where", {b.make("Equal", {range, zero}), b.number(1), range});
  Value start = b.make("Neg", b.make("Div", {low, scale}));
  Value zeroPoint = b.make("Clip", {b.make("Round", start), zero, most});
  if (b.hasFailed())
    return {};
  Value narrow = b.cast(zeroPoint, ui8);
  return {b.quantize(x, scale, narrow), scale, narrow};
}

Status quantized::importDynamicQuantizeLinear(NodeImport &node) {
  CodeBuilder b(node);
  DynamicCodes dynamic = quantizeDynamically(b, node.inputs[0], byteType(node));
  return b.finish({dynamic.codes, dynamic.scale, dynamic.zero});
}

Status quantized::importDynamicQuantizeMatMul(NodeImport &node) {
  CodeBuilder b(node);
  DynamicCodes dynamic = quantizeDynamically(b, node.input(0), byteType(node));
  Value left = b.dequantize(dynamic.codes, dynamic.scale, dynamic.zero);
  Value right = b.dequantize(node.input(1), node.input(2), node.input(3));
  return b.finish(b.addBias(b.make("MatMul", {left, right}), node.input(4)));
}

//===----------------------------------------------------------------------===//
// Products of integers
//===----------------------------------------------------------------------===//

/// Where the rows of A are, whose scale or zero point may be a vector.
static int64_t rowAxis(Value a) { return typeOf(a).getRank() < 2 ? -1 : -2; }

Status quantized::importMatMulInteger(NodeImport &node) {
  CodeBuilder b(node);
  for (Value zero : {node.input(2), node.input(3)})
    if (zero && !typeOf(zero).hasStaticShape())
      return Error{"expected zero points of known size"};
  auto units = [&](Value x, Value zero, int64_t axis) {
    if (!zero || typeOf(zero).getNumElements() == 1)
      return b.dequantize(x, b.number(1), zero, axis);
    auto type = RankedTensorType::get({typeOf(zero).getNumElements()}, node.builder.getF32Type());
    return b.dequantize(x, node.constant(DenseElementsAttr::get(type, 1.0f)), zero, axis);
  };
  Value left = units(node.input(0), node.input(2), rowAxis(node.input(0)));
  Value product = b.make("MatMul", {left, units(node.input(1), node.input(3), -1)});
  // Offsets that leave the sum of integers may leave it beside one.
  return b.finish(b.cast(b.make("Round", product), node.builder.getI32Type()));
}

Status quantized::importMatMulIntegerToFloat(NodeImport &node) {
  CodeBuilder b(node);
  Value left = b.dequantize(node.input(0), node.input(2), node.input(4));
  Value right = b.dequantize(node.input(1), node.input(3), node.input(5));
  return b.finish(b.addBias(b.make("MatMul", {left, right}), node.input(6)));
}

Status quantized::importQLinearMatMul(NodeImport &node) {
  CodeBuilder b(node);
  Value left = b.dequantize(node.input(0), node.input(1), node.input(2), rowAxis(node.input(0)));
  Value right = b.dequantize(node.input(3), node.input(4), node.input(5));
  return b.finish(b.quantize(b.make("MatMul", {left, right}), node.input(6), node.input(7)));
}

/// C counts in units of alpha * scale of A * scale of B.
Status quantized::importQGemm(NodeImport &node) {
  CodeBuilder b(node);
  if (Status status = requireInputs(node, {0, 1, 3, 4}); !status)
    return status;
  int64_t transA = node.takeInt("transA", 0), transB = node.takeInt("transB", 0);
  NamedAttribute alpha = b.takeFloat("alpha", 1);
  Value left = b.dequantize(node.input(0), node.input(1), node.input(2));
  Value right = b.dequantize(node.input(3), node.input(4), node.input(5), transB ? 0 : 1);
  Value y = b.make("Gemm", {left, right}, {b.attribute("transA", transA), b.attribute("transB", transB), alpha});
  if (Value c = node.input(6)) {
    Value unit = b.make("Mul", {node.input(1), node.input(4)});
    unit = b.make("Mul", {unit, b.number(static_cast<float>(cast<FloatAttr>(alpha.getValue()).getValueAsDouble()))});
    y = b.make("Add", {y, b.make("Mul", {b.cast(c, node.builder.getF32Type()), unit})});
  }
  return b.finish(node.input(7) ? b.quantize(y, node.input(7), node.input(8)) : y);
}

//===----------------------------------------------------------------------===//
// Convolutions of integers
//===----------------------------------------------------------------------===//

Status quantized::importConvInteger(NodeImport &node) {
  CodeBuilder b(node);
  Value x = b.dequantize(node.input(0), b.number(1), node.input(2)), zero = b.flat(node.input(3));
  Value scale = b.number(1);
  if (zero && !typeOf(zero).hasStaticShape())
    return Error{"expected zero points of known size"};
  if (zero && typeOf(zero).getRank() == 1)
    scale = node.constant(DenseElementsAttr::get(typeOf(zero).clone(node.builder.getF32Type()), 1.0f));
  Result<Value> y = standard::convolve(node, x, node.input(1), /*bias=*/Value(),
                                       [&](Value codes) { return b.dequantize(codes, scale, zero, /*axis=*/0); });
  if (!y)
    return y.error();
  return b.finish(b.cast(b.make("Round", *y), node.builder.getI32Type()));
}

/// The bias counts in units of the scales of x and of the weight.
Status quantized::importQLinearConv(NodeImport &node) {
  CodeBuilder b(node);
  Value x = b.dequantize(node.input(0), node.input(1), node.input(2)), bias;
  if (Value codes = node.input(8)) {
    Value unit = b.make("Mul", {b.flat(node.input(1)), b.flat(node.input(4))});
    bias = b.make("Mul", {b.cast(codes, node.builder.getF32Type()), unit});
  }
  Result<Value> y = standard::convolve(node, x, node.input(3), bias, [&](Value codes) {
    return b.dequantize(codes, node.input(4), node.input(5), /*axis=*/0);
  });
  if (!y)
    return y.error();
  return b.finish(b.quantize(*y, node.input(6), node.input(7)));
}

//===----------------------------------------------------------------------===//
// Elementwise operators on codes
//===----------------------------------------------------------------------===//

/// QLinearAdd is Add, and so on.
static StringRef innerOperator(const NodeImport &node) {
  return StringRef(node.node.op_type()).drop_front(StringRef("QLinear").size());
}

Status quantized::importQLinearBinary(NodeImport &node) {
  CodeBuilder b(node);
  if (Status status = requireInputs(node, {0, 1, 3, 4, 6}); !status)
    return status;
  Value left = b.dequantize(node.input(0), node.input(1), node.input(2));
  Value right = b.dequantize(node.input(3), node.input(4), node.input(5));
  return b.finish(b.quantize(b.make(innerOperator(node), {left, right}), node.input(6), node.input(7)));
}

Status quantized::importQLinearUnary(NodeImport &node) {
  CodeBuilder b(node);
  if (Status status = requireInputs(node, {0, 1, 3}); !status)
    return status;
  SmallVector<NamedAttribute> attributes;
  if (auto alpha = node.take<FloatAttr>("alpha"))
    attributes.push_back(node.builder.getNamedAttr("alpha", alpha));
  Value y = b.make(innerOperator(node), b.dequantize(node.input(0), node.input(1), node.input(2)), attributes);
  return b.finish(b.quantize(y, node.input(3), node.input(4)));
}

Status quantized::importQLinearSoftmax(NodeImport &node) {
  CodeBuilder b(node);
  if (Status status = requireInputs(node, {0, 1, 3}); !status)
    return status;
  int64_t rank = typeOf(node.input(0)).getRank(), opset = node.takeInt("opset", 13);
  int64_t axis = node.takeInt("axis", opset < 13 ? 1 : -1);
  if (opset < 13 && axis != -1 && axis != rank - 1)
    return Error{"expected the last axis of " + std::to_string(rank) + " but got " + std::to_string(axis)};
  Value x = b.dequantize(node.input(0), node.input(1), node.input(2));
  return b.finish(b.quantize(b.make("Softmax", x, b.attribute("axis", axis)), node.input(3), node.input(4)));
}

Status quantized::importQLinearConcat(NodeImport &node) {
  CodeBuilder b(node);
  if (node.inputs.size() % 3 != 2)
    return Error{"expected a scale and a zero point for each of the operands but got " +
                 std::to_string(node.inputs.size()) + " inputs"};
  SmallVector<Value> parts;
  for (size_t i = 2; i < node.inputs.size(); i += 3) {
    if (Status status = requireInputs(node, {i, i + 1}); !status)
      return status;
    parts.push_back(b.dequantize(node.input(i), node.input(i + 1), node.input(i + 2)));
  }
  return b.finish(b.quantize(b.concat(parts, node.takeInt("axis", 0)), node.input(0), node.input(1)));
}
