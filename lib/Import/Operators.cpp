//===- Operators.cpp - The operators and their older forms ----------------===//
//
// One rule per operator that changed between operator sets 7 and 26. What older
// sets give as attributes becomes constant operands; defaults that depend on the
// operand are spelled out. Changes of ONNX: docs/Changelog.md of the onnx project.
//
//===----------------------------------------------------------------------===//
#include "OperatorTable.h"
#include "qopt/Dialect/Onnx/Onnx.h"

using namespace mlir;
using namespace qopt;

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

/// At inference Dropout passes its operand through; without the mask.
static Status importDropout(NodeImport &node) {
  node.attributes.erase("ratio");
  node.attributes.erase("seed");
  if (node.inputs.size() > 2 && node.inputs[2]) {
    auto training = onnx::getConstantInts(node.inputs[2]);
    if (!training || llvm::any_of(*training, [](int64_t value) { return value != 0; }))
      return Error{"training mode is not supported"};
  }
  return importIdentity(node);
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
static Status importSqueeze(NodeImport &node) { return node.opset < 13 ? node.attributeToOperand("axes") : Status(); }

static Status importUnsqueeze(NodeImport &node) {
  if (Status status = importSqueeze(node); !status)
    return status;
  if (node.inputs.size() < 2 || !node.inputs[1])
    return Error{"requires axes"};
  return {};
}

/// `starts`, `ends` and `axes` are operands since operator set 10.
static Status importSlice(NodeImport &node) {
  if (node.opset < 10)
    for (StringRef name : {"starts", "ends", "axes"})
      if (Status status = node.attributeToOperand(name); !status)
        return status;
  if (node.inputs.size() < 3 || !node.inputs[1] || !node.inputs[2])
    return Error{"requires starts and ends"};
  return {};
}

/// `split` is an operand since operator set 13, `num_outputs` said so since 18.
static Status importSplit(NodeImport &node) {
  if (node.opset < 13)
    if (Status status = node.attributeToOperand("split"); !status)
      return status;
  bool hasSizes = node.inputs.size() > 1 && node.inputs[1];
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
  return node.opset < since ? node.attributeToOperand("axes") : Status();
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

//===----------------------------------------------------------------------===//
// The parts of a decoder layer
//===----------------------------------------------------------------------===//

/// Without the last operand (nonpad_kv_seqlen) and result (qk_matmul_output) of ONNX.
static Status importAttention(NodeImport &node) {
  if ((node.hasOutput(1) || node.hasOutput(2)) && (node.inputs.size() < 6 || !node.inputs[4] || !node.inputs[5]))
    return Error{"present_key and present_value without past_key and past_value are not supported"};
  // What the first says is of qk_matmul_output; the second is at least f32 here anyway.
  node.attributes.erase("qk_matmul_output_mode");
  node.attributes.erase("softmax_precision");
  return {};
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static constexpr int kAny = OperatorInfo::kAny;

/// In alphabetical order.
static const OperatorInfo operators[] = {
    {"Abs", 6, 1, 1},
    {"Add", 7, 2, 2},
    {"And", 7, 2, 2},
    {"Attention", 23, 3, 6, 3, importAttention},
    {"Cast", 6, 1, 1, 1, importCast},
    {"CastLike", 15, 2, 2, 1, importCastLike},
    {"Ceil", 6, 1, 1},
    {"Clip", 6, 1, 3, 1, importClip},
    {"Concat", 4, 1, kAny, 1, nullptr, "axis"},
    {"Constant", 1, 0, 0, 1, importConstant},
    {"ConstantOfShape", 9, 1, 1, 1, importConstantOfShape},
    {"Cos", 7, 1, 1},
    {"CumSum", 11, 2, 2},
    {"Div", 7, 2, 2},
    {"Dropout", 7, 1, 3, 2, importDropout},
    {"Equal", 7, 2, 2},
    {"Erf", 9, 1, 1},
    {"Exp", 6, 1, 1},
    {"Expand", 8, 2, 2},
    {"Flatten", 1, 1, 1},
    {"Floor", 6, 1, 1},
    {"Gather", 1, 2, 2},
    {"GatherElements", 11, 2, 2},
    {"GatherND", 11, 2, 2},
    {"Gelu", 20, 1, 1},
    {"Gemm", 7, 2, 3},
    {"Greater", 7, 2, 2},
    {"GreaterOrEqual", 12, 2, 2},
    {"Identity", 1, 1, 1, 1, importIdentity},
    {"IsInf", 10, 1, 1, 1, importIsInf},
    {"IsNaN", 9, 1, 1},
    {"Less", 7, 2, 2},
    {"LessOrEqual", 12, 2, 2},
    {"Log", 6, 1, 1},
    {"MatMul", 1, 2, 2},
    {"Max", 6, 1, kAny},
    {"Min", 6, 1, kAny},
    {"Mod", 10, 2, 2},
    {"Mul", 7, 2, 2},
    {"Neg", 6, 1, 1},
    {"Not", 1, 1, 1},
    {"Or", 7, 2, 2},
    {"Pow", 7, 2, 2},
    {"RMSNormalization", 23, 2, 2},
    {"Range", 11, 3, 3},
    {"Reciprocal", 6, 1, 1},
    {"ReduceMax", 1, 1, 2, 1, importReduce},
    {"ReduceMean", 1, 1, 2, 1, importReduce},
    {"ReduceMin", 1, 1, 2, 1, importReduce},
    {"ReduceProd", 1, 1, 2, 1, importReduce},
    {"ReduceSum", 1, 1, 2, 1, importReduce},
    {"Relu", 6, 1, 1},
    {"Reshape", 5, 2, 2},
    {"RotaryEmbedding", 23, 3, 4},
    {"Round", 11, 1, 1},
    {"ScatterND", 11, 3, 3},
    {"Shape", 1, 1, 1},
    {"Sigmoid", 6, 1, 1},
    {"Sign", 9, 1, 1},
    {"Sin", 7, 1, 1},
    {"Slice", 1, 1, 5, 1, importSlice},
    {"Softmax", 1, 1, 1, 1, importSoftmax},
    {"Softplus", 1, 1, 1},
    {"Split", 2, 1, 2, kAny, importSplit},
    {"Sqrt", 6, 1, 1},
    {"Squeeze", 1, 1, 2, 1, importSqueeze},
    {"Sub", 7, 2, 2},
    {"Sum", 6, 1, kAny},
    {"Swish", 24, 1, 1},
    {"Tanh", 6, 1, 1},
    {"Tile", 6, 2, 2},
    {"Transpose", 1, 1, 1, 1, importTranspose},
    {"Trilu", 14, 1, 2},
    {"Unsqueeze", 1, 1, 2, 1, importUnsqueeze},
    {"Where", 9, 3, 3},
    {"Xor", 7, 2, 2},
};

const OperatorInfo *qopt::lookupOperator(StringRef name) {
  const OperatorInfo *found = llvm::lower_bound(
      operators, name, [](const OperatorInfo &info, StringRef key) { return StringRef(info.name) < key; });
  return found != std::end(operators) && name == found->name ? found : nullptr;
}

const OperatorInfo *qopt::lookupOperator(const pb::NodeProto &node) {
  StringRef domain = node.domain();
  domain = domain == "ai.onnx" ? "" : domain;
  const OperatorInfo *info = domain.empty() ? lookupOperator(node.op_type()) : nullptr;
  return info ? info : lookupContribOperator(domain, node.op_type());
}
