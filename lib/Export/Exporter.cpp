//===- Exporter.cpp - A function to an ONNX graph -------------------------===//
//
// One node per operation. The dialect has the form of the newest operator sets, so nothing has
// to be converted but names and attributes; what stands at the top of the function as a
// constant is an initializer.
//
//===----------------------------------------------------------------------===//
#include "QuantizedNodes.h"
#include "TensorData.h"
#include "WriteModel.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Export/Export.h"
#include "qopt/Support/Utf8.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;

namespace {

/// The oldest set in which all operators have the form that the dialect has.
constexpr int64_t kLeastOpset = 18;

/// The version of the file format that came with an operator set.
int64_t irVersionOf(int64_t opset) {
  return opset <= 18 ? 8 : opset <= 20 ? 9 : opset <= 22 ? 10 : opset <= 23 ? 11 : 12;
}

class Exporter {
public:
  Exporter(func::FuncOp function, const std::string &path, const ExportOptions &options)
      : function(function), path(path), options(options), graph(*model.mutable_graph()),
        quantized(
            graph, [this](Value value) { return nameOf(value).str(); },
            [this](StringRef wanted) { return uniqueName(wanted); },
            [this](const std::string &name, ElementsAttr bytes, int32_t type, ArrayRef<int64_t> shape) {
              pb::TensorProto &tensor = *graph.add_initializer();
              tensor.set_data_type(type);
              for (int64_t size : shape)
                tensor.add_dims(size);
              return addInitializer(name, bytes, tensor);
            }) {}

  Status run();

private:
  Status nameValues();
  Status addBoundary(Value value, DictionaryAttr attributes, StringRef fallback, pb::ValueInfoProto &info);
  Status addNode(Operation *op);
  Status addInitializer(const std::string &name, ElementsAttr value, pb::TensorProto &tensor);
  Status addConstant(onnx::ConstantOp op);

  std::string uniqueName(StringRef wanted);
  StringRef nameOf(Value value) { return names.find(value)->second; }

  func::FuncOp function;
  const std::string &path;
  const ExportOptions &options;
  pb::ModelProto model;
  pb::GraphProto &graph;
  int64_t opset = kLeastOpset;
  llvm::DenseMap<Value, std::string> names;
  llvm::StringSet<> taken;
  /// Tensors whose elements are in the other file, in its order.
  ExternalTensors external;
  bool isExternal = false;
  QuantizedNodes quantized;
};

/// The elements of a constant of the model; null for other operations.
ElementsAttr constantIn(Operation &op) {
  if (auto parameter = dyn_cast<ParameterOp>(op))
    return parameter.getValue();
  auto constant = dyn_cast<onnx::ConstantOp>(op);
  return constant ? constant.getValue() : ElementsAttr();
}

/// The name that the importer has put into the location of an operation; may be empty.
StringRef nameIn(Location location) {
  auto name = dyn_cast<NameLoc>(location);
  return name ? name.getName().getValue() : StringRef();
}

std::string Exporter::uniqueName(StringRef wanted) {
  std::string base = wanted.empty() ? "value" : wanted.str(), name = base;
  for (int number = 1; !taken.insert(name).second; ++number)
    name = base + "_" + std::to_string(number);
  return name;
}

//===----------------------------------------------------------------------===//
// Names, inputs and outputs
//===----------------------------------------------------------------------===//

/// What the attribute says an argument or result is called.
StringRef givenName(DictionaryAttr attributes) {
  auto name = attributes ? attributes.getAs<StringAttr>(onnx::attrs::Name::getNameStr()) : StringAttr();
  return name ? name.getValue() : StringRef();
}

Status Exporter::nameValues() {
  Operation *terminator = function.front().getTerminator();
  // Outputs first: what they are called is part of the model.
  std::vector<std::string> outputs;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    StringRef given = givenName(function.getResultAttrDict(i));
    outputs.push_back(uniqueName(given.empty() ? "output" : given));
    Value value = terminator->getOperand(i);
    bool isComputed = value.getDefiningOp() && !constantIn(*value.getDefiningOp());
    if (isComputed && !names.contains(value))
      names[value] = outputs.back();
  }
  for (BlockArgument argument : function.getArguments()) {
    StringRef given = givenName(function.getArgAttrDict(argument.getArgNumber()));
    names[argument] = uniqueName(given.empty() ? "input" : given);
  }
  for (Operation &op : function.front()) {
    auto parameter = dyn_cast<ParameterOp>(op);
    ElementsAttr constant = constantIn(op);
    StringRef base = parameter ? parameter.getName() : constant ? viewConstant(constant).name : StringRef();
    if (base.empty())
      base = nameIn(op.getLoc());
    for (Value result : op.getResults())
      if (!names.contains(result))
        names[result] = uniqueName(base);
  }
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (Status status = addBoundary(function.getArgument(i), function.getArgAttrDict(i), "input", *graph.add_input());
        !status)
      return status;
  for (auto [i, name] : llvm::enumerate(outputs)) {
    pb::ValueInfoProto &info = *graph.add_output();
    if (Status status = addBoundary(terminator->getOperand(i), function.getResultAttrDict(i), name, info); !status)
      return status;
    info.set_name(name);
  }
  return {};
}

Status Exporter::addBoundary(Value value, DictionaryAttr attributes, StringRef fallback, pb::ValueInfoProto &info) {
  info.set_name(isa<BlockArgument>(value) ? nameOf(value).str() : fallback.str());
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !dataTypeOf(type.getElementType()))
    return Error{printable(info.name()) + ": is no tensor that ONNX has"};
  pb::TypeProto::Tensor &tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(dataTypeOf(type.getElementType()));
  auto dims = attributes ? attributes.getAs<ArrayAttr>(onnx::attrs::Dims::getNameStr()) : ArrayAttr();
  pb::TensorShapeProto &shape = *tensor.mutable_shape();
  for (int64_t i = 0; i < type.getRank(); ++i) {
    pb::TensorShapeProto::Dimension &dim = *shape.add_dim();
    auto symbol = dims && size_t(i) < dims.size() ? dyn_cast<StringAttr>(dims[i]) : StringAttr();
    if (!type.isDynamicDim(i))
      dim.set_dim_value(type.getDimSize(i));
    else if (symbol && !symbol.empty())
      dim.set_dim_param(symbol.str());
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// Type and shape are those of `value` where `tensor` has none.
Status Exporter::addInitializer(const std::string &name, ElementsAttr value, pb::TensorProto &tensor) {
  tensor.set_name(name);
  // Others than weights stay where importing looks at their numbers.
  if (!isExternal || !isa<DenseResourceElementsAttr>(value))
    return fillTensor(value, tensor);
  external.emplace_back(&tensor, value);
  return {};
}

/// A constant as a node, which it is where others stand before it.
Status Exporter::addConstant(onnx::ConstantOp op) {
  pb::NodeProto &node = *graph.add_node();
  node.set_op_type("Constant");
  node.set_name(nameIn(op.getLoc()).str());
  node.add_output(nameOf(op.getOutput()).str());
  pb::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name("value");
  attribute.set_type(IsTensor);
  return fillTensor(op.getValue(), *attribute.mutable_t());
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Status Exporter::addNode(Operation *op) {
  auto known = dyn_cast<onnx::OperatorInterface>(op);
  if (!known) {
    Result<int64_t> written = quantized.add(op);
    if (!written)
      return written.error();
    opset = std::max(opset, *written);
    return *written ? Status() : Error{"ONNX has no operation " + op->getName().getStringRef().str()};
  }
  opset = std::max<int64_t>(opset, known.getForm().since);
  pb::NodeProto &node = *graph.add_node();
  node.set_op_type(op->getName().stripDialect().str());
  node.set_name(nameIn(op->getLoc()).str());
  if (auto scope = getAttr<onnx::attrs::Scope>(op)) {
    pb::StringStringEntryProto &entry = *node.add_metadata_props();
    entry.set_key("pkg.torch.onnx.name_scopes");
    entry.set_value("['" + scope.str() + "', '']");
  }
  // An operand that is left out has an empty name, unless nothing follows.
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  if (!segments)
    segments = dyn_cast_or_null<DenseI32ArrayAttr>(op->getInherentAttr("operandSegmentSizes").value_or(Attribute()));
  SmallVector<std::string> inputs;
  unsigned next = 0;
  if (segments) {
    for (int32_t size : segments.asArrayRef())
      inputs.push_back(size ? nameOf(op->getOperand(next++)).str() : "");
  } else {
    for (Value operand : op->getOperands())
      inputs.push_back(nameOf(operand).str());
  }
  while (!inputs.empty() && inputs.back().empty())
    inputs.pop_back();
  for (const std::string &input : inputs)
    node.add_input(input);
  // Results that nobody reads are left out at the end.
  unsigned results = op->getNumResults();
  while (results > 1 && op->getResult(results - 1).use_empty())
    --results;
  for (Value result : op->getResults().take_front(results))
    node.add_output(nameOf(result).str());
  for (NamedAttribute attribute : op->getAttrs()) {
    StringRef name = attribute.getName();
    if (name.contains('.') || name.ends_with("SegmentSizes"))
      continue;
    if (Status status = fillAttribute(attribute, *node.add_attribute()); !status)
      return status;
  }
  return {};
}

Status Exporter::run() {
  int64_t bytes = 0;
  for (Operation &op : function.front())
    if (ElementsAttr value = constantIn(op))
      bytes += viewConstant(value).expandedBytes();
  isExternal = bytes >= options.maxBytesInFile;
  graph.set_name(nameIn(function.getLoc()).str());
  if (Status status = nameValues(); !status)
    return status;
  bool isTop = true;
  for (Operation &op : function.front().without_terminator()) {
    ElementsAttr constant = constantIn(op);
    isTop &= constant != nullptr;
    Status status;
    if (!constant)
      status = addNode(&op);
    else if (auto node = dyn_cast<onnx::ConstantOp>(op); node && !isTop)
      status = addConstant(node);
    else if (op.use_empty() || !llvm::all_of(op.getUses(), isPackedOperand))
      status = addInitializer(nameOf(op.getResult(0)).str(), constant, *graph.add_initializer());
    if (!status) {
      std::string where = nameIn(op.getLoc()).str();
      return Error{(where.empty() ? op.getName().getStringRef().str() : printable(where)) + ": " +
                   status.error().message};
    }
  }
  // What is returned as it came in, or twice.
  for (auto [i, value] : llvm::enumerate(function.front().getTerminator()->getOperands()))
    if (const std::string &name = graph.output(static_cast<int>(i)).name(); nameOf(value) != name) {
      pb::NodeProto &node = *graph.add_node();
      node.set_op_type("Identity");
      node.add_input(nameOf(value).str());
      node.add_output(name);
    }
  model.set_ir_version(irVersionOf(opset));
  model.add_opset_import()->set_version(opset);
  return writeModel(model, external, path);
}

} // namespace

Status qopt::exportOnnx(ModuleOp module, const std::string &path, const ExportOptions &options) {
  auto function = module.lookupSymbol<func::FuncOp>("forward");
  if (!function || function.isExternal() || !function.getBody().hasOneBlock())
    return Error{"expected a function @forward with a body of one block"};
  return Exporter(function, path, options).run();
}
