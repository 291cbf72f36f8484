//===- ControlFlow.cpp - Graphs inside of nodes, and calls ----------------===//
//
// What is imported has no control flow. A function of the model is imported where it is
// called. Of an If the branch that a constant chooses; where only the run time knows, both,
// and their results are chosen from. A Loop or a Scan as often as its constant trip count
// says. What this cannot express is refused by name.
//
//===----------------------------------------------------------------------===//
#include "GraphOrder.h"
#include "Importer.h"
#include "Operators.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Support/Utf8.h"

using namespace mlir;
using namespace qopt;

/// Graphs in graphs and functions that call functions; a function may call itself.
static constexpr int kMaxDepth = 64;
static const pb::GraphProto *graphOf(const pb::NodeProto &node, StringRef name) {
  for (const pb::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name && attribute.has_g())
      return &attribute.g();
  return nullptr;
}

static Error refuse(const pb::NodeProto &node, const std::string &reason) {
  return {nodeName(node) + " (" + printable(node.op_type()) + "): " + reason};
}

Value Importer::integer(int64_t value, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, builder.getI64Type());
  return onnx::ConstantOp::create(builder, builder.getUnknownLoc(), type, DenseElementsAttr::get(type, value));
}

Result<Value> Importer::makeOne(const pb::NodeProto &node, StringRef name, ArrayRef<Value> operands,
                                ArrayRef<NamedAttribute> attributes) {
  NodeImport import(node, file.opset, builder, location(nodeName(node)), tensors);
  Result<Value> value = import.createOne(name, operands, attributes);
  return value ? value : Result<Value>(refuse(node, value.error().message));
}

Result<Importer::Values> Importer::importInner(const pb::GraphProto &inner, ArrayRef<Value> operands) {
  if (inner.input_size() > static_cast<int>(operands.size()))
    return Error{"its graph has " + std::to_string(inner.input_size()) + " inputs for " +
                 std::to_string(operands.size()) + " values"};
  if (depth >= kMaxDepth)
    return Error{"more than " + std::to_string(kMaxDepth) + " graphs and calls in each other"};
  ++depth;
  llvm::StringMap<Value> around = values;
  for (auto [input, operand] : llvm::zip(inner.input(), operands))
    values[input.name()] = operand;
  Status status = importInitializers(inner);
  if (status)
    status = importNodes(inner);
  Values results;
  for (const pb::ValueInfoProto &output : inner.output()) {
    results.push_back(values.lookup(output.name()));
    if (status && !results.back())
      status = errorAt(output.name(), "is a graph output that nothing computes");
  }
  values = std::move(around);
  --depth;
  if (!status)
    return status.error();
  return results;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// Gives the attributes that nodes take from the call their values; those without one are left out.
static void bindAttributes(pb::NodeProto &node, const llvm::StringMap<const pb::AttributeProto *> &given) {
  pb::NodeProto unbound;
  unbound.mutable_attribute()->Swap(node.mutable_attribute());
  for (pb::AttributeProto &attribute : *unbound.mutable_attribute()) {
    if (!attribute.ref_attr_name().empty()) {
      if (const pb::AttributeProto *value = given.lookup(attribute.ref_attr_name())) {
        pb::AttributeProto *bound = node.add_attribute();
        *bound = *value;
        bound->set_name(attribute.name());
      }
      continue;
    }
    if (attribute.has_g())
      for (pb::NodeProto &inner : *attribute.mutable_g()->mutable_node())
        bindAttributes(inner, given);
    node.add_attribute()->Swap(&attribute);
  }
}

Status Importer::importCall(const pb::NodeProto &node, const pb::FunctionProto &function, ArrayRef<Value> operands) {
  if (operands.size() > static_cast<size_t>(function.input_size()) || node.output_size() > function.output_size())
    return refuse(node, "gives " + std::to_string(operands.size()) + " inputs and takes " +
                            std::to_string(node.output_size()) + " outputs of a function that has " +
                            std::to_string(function.input_size()) + " and " + std::to_string(function.output_size()));
  llvm::StringMap<const pb::AttributeProto *> given;
  for (const pb::AttributeProto &attribute : function.attribute_proto())
    given[attribute.name()] = &attribute;
  for (const pb::AttributeProto &attribute : node.attribute())
    given[attribute.name()] = &attribute;
  // As a graph, which sees nothing around it.
  pb::GraphProto body;
  *body.mutable_node() = function.node();
  for (pb::NodeProto &inner : *body.mutable_node()) {
    bindAttributes(inner, given);
    // An input that the call leaves out is left out by its readers.
    for (std::string &name : *inner.mutable_input())
      for (int i = 0; i < function.input_size(); ++i)
        if (name == function.input(i) && (i >= static_cast<int>(operands.size()) || !operands[i]))
          name.clear();
  }
  Values present;
  for (int i = 0; i < function.input_size() && i < static_cast<int>(operands.size()); ++i)
    if (operands[i]) {
      body.add_input()->set_name(function.input(i));
      present.push_back(operands[i]);
    }
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      body.add_output()->set_name(function.output(i));

  llvm::StringMap<Value> around;
  std::swap(values, around);
  const OperatorSets *outerSets = std::exchange(operatorSets, &function.opset_import());
  std::string outerPrefix = std::exchange(prefix, prefix + nodeName(node) + "/");
  Result<Values> results = importInner(body, present);
  prefix = outerPrefix;
  operatorSets = outerSets;
  std::swap(values, around);
  if (!results)
    return Error{prefix + nodeName(node) + ", in function " + printable(function.name()) + ": " +
                 results.error().message};
  size_t next = 0;
  for (const std::string &output : node.output())
    if (!output.empty())
      values[output] = (*results)[next++];
  return {};
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// Whether all readers of a value look rows of it up, so that more rows do no harm.
bool Importer::isTable(const std::string &name) const {
  if (depth > 0)
    return false;
  for (const pb::NodeProto &node : graph.node())
    for (int i = 0; i < node.input_size(); ++i) {
      if (node.input(i) != name)
        continue;
      bool isContrib = node.domain() == "com.microsoft";
      bool isRotary = node.op_type() == "RotaryEmbedding" && (isContrib ? i == 2 || i == 3 : i == 1 || i == 2);
      bool isAttention = node.op_type() == "GroupQueryAttention" && isContrib && (i == 7 || i == 8);
      if (!isRotary && !isAttention)
        return false;
    }
  return llvm::none_of(graph.output(), [&](const pb::ValueInfoProto &output) { return output.name() == name; });
}

/// One of two results, by a condition that only the run time knows.
Result<Value> Importer::choose(const pb::NodeProto &node, int output, Value condition, Value yes, Value no) {
  if (yes == no)
    return yes;
  RankedTensorType a = qopt::typeOf(yes), b = qopt::typeOf(no);
  std::string types;
  llvm::raw_string_ostream(types) << a << " and " << b;
  Error different = refuse(node, "which branch is taken is only known at run time, and their results are " + types +
                                     ", which may differ in shape: not supported");
  if (a.getElementType() != b.getElementType() || !a.hasStaticShape() || !b.hasStaticShape())
    return different;
  if (a != b) {
    // Tables of rotary embeddings: the shorter one gets rows that are not read.
    bool areTables = a.getRank() == 2 && b.getRank() == 2 && a.getDimSize(1) == b.getDimSize(1) &&
                     isTable(node.output(output)) && isa<FloatType>(a.getElementType());
    if (!areTables)
      return different;
    int64_t lacking = a.getDimSize(0) - b.getDimSize(0);
    Value &shorter = lacking > 0 ? no : yes;
    auto type = RankedTensorType::get({std::abs(lacking), a.getDimSize(1)}, a.getElementType());
    auto zeros = DenseElementsAttr::get(type, builder.getZeroAttr(a.getElementType()));
    Value rows = onnx::ConstantOp::create(builder, location(nodeName(node)), type, zeros);
    Result<Value> longer =
        makeOne(node, "Concat", {shorter, rows}, builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)));
    if (!longer)
      return longer;
    shorter = *longer;
  }
  return makeOne(node, "Where", {condition, yes, no});
}

Status Importer::importIf(const pb::NodeProto &node, ArrayRef<Value> operands) {
  const pb::GraphProto *branches[] = {graphOf(node, "then_branch"), graphOf(node, "else_branch")};
  if (operands.size() != 1 || !operands[0] || !branches[0] || !branches[1])
    return refuse(node, "requires a condition and two branches");
  RankedTensorType type = qopt::typeOf(operands[0]);
  if (!type.getElementType().isInteger(1) || !type.hasStaticShape() || type.getNumElements() != 1)
    return refuse(node, "requires a condition of one boolean");
  std::optional<SmallVector<int64_t>> known = onnx::getConstantInts(operands[0]);
  Values results[2];
  for (int i : {0, 1}) {
    if (known && (known->front() != 0) != (i == 0))
      continue;
    Result<Values> values = importInner(*branches[i], {});
    if (!values)
      return refuse(node, values.error().message);
    if (values->size() < static_cast<size_t>(node.output_size()))
      return refuse(node, "a branch has " + std::to_string(values->size()) + " results for " +
                              std::to_string(node.output_size()) + " outputs");
    results[i] = *values;
  }
  if (known) {
    define(node, results[known->front() != 0 ? 0 : 1]);
    return {};
  }
  Value condition = operands[0];
  if (type.getRank() > 0) {
    Result<Value> scalar = makeOne(node, "Reshape", {condition, integer(0, {0})});
    if (!scalar)
      return scalar.error();
    condition = *scalar;
  }
  Values chosen;
  for (int i = 0; i < node.output_size(); ++i) {
    Result<Value> value = choose(node, i, condition, results[0][i], results[1][i]);
    if (!value)
      return value.error();
    chosen.push_back(*value);
  }
  define(node, chosen);
  return {};
}
