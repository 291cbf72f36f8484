//===- Operators.cpp - The operators and their older forms ----------------===//
//
// One rule per operator that changed between operator sets 7 and 26. What older
// sets give as attributes becomes constant operands; defaults that depend on the
// operand are spelled out. Changes of ONNX: docs/Changelog.md of the onnx project.
//
//===----------------------------------------------------------------------===//
#include "OperatorTable.h"
#include "QuantizedOperators.h"
#include "StandardRules.h"
#include "qopt/Dialect/Onnx/Onnx.h"

using namespace mlir;
using namespace qopt;
using onnx::OperatorForm;

static int64_t rankOf(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static Status importConstant(NodeImport &node) {
  OpBuilder &builder = node.builder;
  if (node.attributes.getAttrs().size() != 1)
    return Error{"expected exactly one value but got " + std::to_string(node.attributes.getAttrs().size())};
  StringRef name = node.attributes.begin()->getName();
  Attribute value = node.attributes.begin()->getValue();
  ElementsAttr elements;
  if (name == "value")
    elements = dyn_cast<ElementsAttr>(value);
  else if (auto number = dyn_cast<IntegerAttr>(value); number && name == "value_int")
    elements = DenseElementsAttr::get(RankedTensorType::get({}, builder.getI64Type()), number.getInt());
  else if (auto number = dyn_cast<FloatAttr>(value); number && name == "value_float")
    elements = DenseElementsAttr::get(RankedTensorType::get({}, builder.getF32Type()), value);
  else if (auto ints = dyn_cast<DenseI64ArrayAttr>(value); ints && name == "value_ints")
    elements = DenseElementsAttr::get(RankedTensorType::get(ints.size(), builder.getI64Type()), ints.asArrayRef());
  else if (auto floats = dyn_cast<DenseF32ArrayAttr>(value); floats && name == "value_floats")
    elements = DenseElementsAttr::get(RankedTensorType::get(floats.size(), builder.getF32Type()), floats.asArrayRef());
  if (!elements)
    return Error{"attribute " + name.str() + " is not supported"};
  node.attributes = {};
  return node.finish(node.constant(elements));
}

static Status importConstantOfShape(NodeImport &node) {
  auto value = dyn_cast_or_null<ElementsAttr>(node.attributes.get("value"));
  if (!value) {
    auto type = RankedTensorType::get(1, node.builder.getF32Type());
    node.attributes.set("value", DenseElementsAttr::get(type, 0.0f));
  } else if (value.getNumElements() != 1) {
    return Error{"expected a value of one element but got " + std::to_string(value.getNumElements())};
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

static Status importCast(NodeImport &node) {
  auto to = node.take<IntegerAttr>("to");
  if (!to)
    return Error{"requires the attribute to"};
  // Both matter to 8 bit floats only; onnx.Cast saturates and rounds to even.
  if (node.takeInt("saturate", 1) != 1)
    return Error{"saturate = 0 is not supported"};
  node.attributes.erase("round_mode");
  if (to.getInt() < 0 || to.getInt() > std::numeric_limits<int32_t>::max())
    return Error{"unknown element type " + std::to_string(to.getInt())};
  Result<Type> type = elementType(node.builder.getContext(), static_cast<int32_t>(to.getInt()));
  if (!type)
    return type.error();
  node.attributes.set("to", TypeAttr::get(*type));
  return {};
}

static Status importCastLike(NodeImport &node) {
  Type element = cast<RankedTensorType>(node.inputs[1].getType()).getElementType();
  if (node.takeInt("saturate", 1) != 1)
    return Error{"saturate = 0 is not supported"};
  node.attributes.erase("round_mode");
  NamedAttribute to = node.builder.getNamedAttr("to", TypeAttr::get(element));
  return node.finish(node.createOne("Cast", node.inputs[0], to));
}

/// Before operator set 11 the limits are attributes.
static Status importClip(NodeImport &node) {
  if (node.opset >= 11)
    return {};
  Type element = cast<RankedTensorType>(node.inputs[0].getType()).getElementType();
  if (!isa<FloatType>(element))
    return Error{"requires a float operand"};
  for (StringRef limit : {"min", "max"}) {
    auto value = node.take<FloatAttr>(limit);
    if (!value) {
      node.inputs.push_back(Value());
      continue;
    }
    auto attribute = FloatAttr::get(element, value.getValueAsDouble());
    node.inputs.push_back(node.constant(DenseElementsAttr::get(RankedTensorType::get({}, element), attribute)));
  }
  return {};
}

static Status importIdentity(NodeImport &node) { return node.finish(node.inputs[0]); }

static Status importGelu(NodeImport &node) {
  auto given = node.take<StringAttr>("approximate");
  auto kind = given ? onnx::symbolizeGeluApproximation(given.getValue()) : onnx::GeluApproximation::None;
  if (!kind)
    return Error{"expected approximate to be none or tanh but got \"" + given.str() + "\""};
  node.attributes.set("approximate", onnx::GeluApproximationAttr::get(node.builder.getContext(), *kind));
  return {};
}

/// At inference Dropout passes its operand through.
static Status importDropout(NodeImport &node) {
  node.attributes.erase("ratio");
  node.attributes.erase("seed");
  if (node.input(2)) {
    auto training = onnx::getConstantInts(node.inputs[2]);
    if (!training || llvm::any_of(*training, [](int64_t value) { return value != 0; }))
      return Error{"training mode is not supported"};
  }
  OperatorBuilder b(node);
  SmallVector<Value> values = {node.inputs[0]};
  if (node.node.output_size() > 1) // nothing is dropped
    values.push_back(b.make("Expand", {b.cast(b.scalar(1), node.builder.getI1Type()), b.make("Shape", values[0])}));
  return b.finish(values);
}

static Status importIsInf(NodeImport &node) {
  if (node.takeInt("detect_negative", 1) != 1 || node.takeInt("detect_positive", 1) != 1)
    return Error{"detection of one sign only is not supported"};
  return {};
}

//===----------------------------------------------------------------------===//
// Shapes and data movement
//===----------------------------------------------------------------------===//

static Status importTranspose(NodeImport &node) {
  if (node.attributes.get("perm"))
    return {};
  SmallVector<int64_t> perm;
  for (int64_t i = rankOf(node.inputs[0]); i-- > 0;)
    perm.push_back(i);
  node.attributes.set("perm", node.builder.getDenseI64ArrayAttr(perm));
  return {};
}

/// `axes` is an operand since operator set 13.
static Status importSqueeze(NodeImport &node) {
  if (node.opset < 13)
    return node.attributeToOperand("axes");
  return standard::areRunTimeAxes(node.input(1)) ? standard::squeezeAtRunTime(node) : Status();
}

static Status importUnsqueeze(NodeImport &node) {
  if (node.opset < 13)
    if (Status status = node.attributeToOperand("axes"); !status)
      return status;
  if (!node.input(1))
    return Error{"requires axes"};
  return standard::areRunTimeAxes(node.input(1)) ? standard::unsqueezeAtRunTime(node) : Status();
}

/// `starts`, `ends` and `axes` are operands since operator set 10.
static Status importSlice(NodeImport &node) {
  if (node.opset < 10)
    for (StringRef name : {"starts", "ends", "axes"})
      if (Status status = node.attributeToOperand(name); !status)
        return status;
  if (!node.input(1) || !node.input(2))
    return Error{"requires starts and ends"};
  bool isUnknown = standard::areRunTimeAxes(node.input(3)) || standard::areRunTimeAxes(node.input(4));
  return isUnknown ? standard::sliceAtRunTime(node) : Status();
}

/// `split` is an operand since operator set 13, `num_outputs` said so since 18.
static Status importSplit(NodeImport &node) {
  if (node.opset < 13)
    if (Status status = node.attributeToOperand("split"); !status)
      return status;
  bool hasSizes = static_cast<bool>(node.input(1));
  auto count = node.take<IntegerAttr>("num_outputs");
  if (count && (hasSizes || count.getInt() != node.node.output_size()))
    return Error{"num_outputs is " + std::to_string(count.getInt()) + " but the node has " +
                 std::to_string(node.node.output_size()) + " outputs"};
  if (!hasSizes)
    node.attributes.set("num_outputs", node.builder.getI64IntegerAttr(node.node.output_size()));
  return {};
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// `axes` is an operand since operator set 18, of ReduceSum since 13.
static Status importReduce(NodeImport &node) {
  int64_t since = node.node.op_type() == "ReduceSum" ? 13 : 18;
  if (node.opset < since)
    return node.attributeToOperand("axes");
  if (!standard::areRunTimeAxes(node.input(1)))
    return {};
  OperatorBuilder b(node);
  Result<Value> result = standard::reduce(node, b, node.node.op_type());
  return result ? b.finish(*result) : result.error();
}

static Status importCumSum(NodeImport &node) {
  return standard::areRunTimeAxes(node.inputs[1]) ? standard::cumSumAtRunTime(node) : Status();
}

/// Before operator set 13: over all dimensions from `axis` (default 1) on at once.
static Status importSoftmax(NodeImport &node) {
  if (node.opset >= 13)
    return {};
  Value input = node.inputs[0];
  int64_t rank = rankOf(input), axis = node.takeInt("axis", 1);
  if (axis < -rank || axis >= rank)
    return Error{"expected an axis in [" + std::to_string(-rank) + ", " + std::to_string(rank - 1) + "] but got " +
                 std::to_string(axis)};
  if (axis == -1 || axis == rank - 1) {
    node.attributes.set("axis", node.builder.getI64IntegerAttr(-1));
    return {};
  }
  NamedAttribute flattenAxis = node.builder.getNamedAttr("axis", node.builder.getI64IntegerAttr(axis));
  Result<Value> matrix = node.createOne("Flatten", input, flattenAxis);
  Result<Value> softmax = matrix ? node.createOne("Softmax", *matrix) : matrix;
  Result<Value> shape = softmax ? node.createOne("Shape", input) : softmax;
  return node.finish(shape ? node.createOne("Reshape", {*softmax, *shape}) : shape);
}

static Status importScatterND(NodeImport &node) {
  auto reduction = node.take<StringAttr>("reduction");
  if (!reduction || reduction.getValue() == "none")
    return {};
  OperatorBuilder b(node);
  Result<Value> result =
      standard::scatterAndReduce(b, node.inputs[0], node.inputs[1], node.inputs[2], reduction.getValue());
  return result ? b.finish(*result) : result.error();
}

static Status importSize(NodeImport &node) {
  OperatorBuilder b(node);
  return b.finish(b.make("ReduceProd", b.make("Shape", node.inputs[0]), b.attribute("keepdims", int64_t(0))));
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {
/// What the newest form of an operator does not say of older ones.
struct Rule {
  const char *name;
  Status (*apply)(NodeImport &);
  /// Inputs that nodes of all operator sets have, where the newest form has more.
  int minInputs = OperatorForm::kAny;
  /// Inputs and outputs that the rule takes beyond those of the operation.
  int moreInputs = 0, moreOutputs = 0;
};
} // namespace

static const Rule rules[] = {
    {"Attention", standard::importAttention, 3, 1, 1},
    {"Cast", importCast},
    {"Clip", importClip},
    {"Constant", importConstant},
    {"ConstantOfShape", importConstantOfShape},
    {"CumSum", importCumSum},
    {"DequantizeLinear", quantized::importDequantizeLinear},
    {"Gelu", importGelu},
    {"Identity", importIdentity},
    {"IsInf", importIsInf},
    {"QuantizeLinear", quantized::importQuantizeLinear},
    {"ReduceMax", importReduce},
    {"ReduceMean", importReduce},
    {"ReduceMin", importReduce},
    {"ReduceProd", importReduce},
    {"ReduceSum", importReduce},
    {"ScatterND", importScatterND},
    {"Slice", importSlice, 1},
    {"Softmax", importSoftmax},
    {"Split", importSplit},
    {"Squeeze", importSqueeze},
    {"Transpose", importTranspose},
    {"Unsqueeze", importUnsqueeze, 1},
};

/// Operators of ONNX that others of the dialect stand for.
static const std::pair<const char *, OperatorInfo> replaced[] = {
    {"ArgMax", {{1, 1, 1, 1}, standard::importArgMax}},
    {"CastLike", {{15, 2, 2, 1}, importCastLike}},
    {"Conv", {{1, 2, 3, 1}, standard::importConv}},
    {"ConvInteger", {{10, 2, 4, 1}, quantized::importConvInteger}},
    {"Dropout", {{7, 1, 3, 2}, importDropout}},
    {"DynamicQuantizeLinear", {{11, 1, 1, 3}, quantized::importDynamicQuantizeLinear}},
    {"Einsum", {{12, 1, OperatorForm::kAny, 1}, standard::importEinsum}},
    {"MatMulInteger", {{10, 2, 4, 1}, quantized::importMatMulInteger}},
    {"NonZero", {{9, 1, 1, 1}, standard::importNonZero}},
    {"OneHot", {{9, 3, 3, 1}, standard::importOneHot}},
    {"Pad", {{2, 1, 4, 1}, standard::importPad}},
    {"QLinearConv", {{10, 8, 9, 1}, quantized::importQLinearConv}},
    {"QLinearMatMul", {{10, 8, 8, 1}, quantized::importQLinearMatMul}},
    {"ReduceL2", {{1, 1, 2, 1}, standard::importReduceL2}},
    {"Scatter", {{9, 3, 3, 1}, standard::importScatterElements}},
    {"ScatterElements", {{11, 3, 3, 1}, standard::importScatterElements}},
    {"Size", {{1, 1, 1, 1}, importSize}},
    {"TensorScatter", {{24, 2, 3, 1}, standard::importTensorScatter}},
    {"TopK", {{1, 1, 2, 2}, standard::importTopK}},
};

std::optional<OperatorInfo> qopt::lookupOperator(const pb::NodeProto &node, MLIRContext *context) {
  StringRef domain = node.domain(), name = node.op_type();
  if (!domain.empty() && domain != "ai.onnx")
    return lookupContribOperator(domain, name);
  for (const auto &[other, info] : replaced)
    if (name == other)
      return info;
  onnx::OperatorInterface::Concept *known = lookupOperation(name, context);
  if (!known)
    return lookupContribOperator("", name);
  OperatorInfo info{known->getForm()};
  for (const Rule &rule : rules)
    if (name == rule.name) {
      info.rule = rule.apply;
      info.form.minInputs = rule.minInputs == OperatorForm::kAny ? info.form.minInputs : rule.minInputs;
      info.form.maxInputs += rule.moreInputs;
      info.form.maxOutputs += rule.moreOutputs;
    }
  return info;
}
