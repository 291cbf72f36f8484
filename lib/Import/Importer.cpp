//===- Importer.cpp - An ONNX graph to a function -------------------------===//
//
// The graph becomes one function: its inputs the arguments, its outputs the results,
// its initializers constants at the top. Nodes are imported one after the other, in
// an order that sortNodes() gives, so that every operand's type is known when the
// types of a node's results are inferred. The shapes that the file claims for values
// in between (value_info) are not used: where inference knows less they could be
// wrong, and nothing would notice.
//
// An initializer that is also a graph input, which the caller could override, is
// imported as the constant it is: before IR version 4 all of them were inputs.
//
//===----------------------------------------------------------------------===//
#include "Importer.h"
#include "GraphOrder.h"
#include "OperatorTable.h"
#include "ScopeName.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Support/Utf8.h"

using namespace mlir;
using namespace qopt;

/// More are no model, but functions and loops that multiply.
static constexpr int64_t kMaxNodes = 4'000'000;

Error qopt::errorAt(const std::string &name, const std::string &reason) { return {printable(name) + ": " + reason}; }

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

Result<RankedTensorType> Importer::typeOf(const pb::ValueInfoProto &info) {
  if (!info.type().has_tensor_type())
    return errorAt(info.name(), "is not a tensor");
  const pb::TypeProto::Tensor &tensor = info.type().tensor_type();
  Result<Type> element = elementType(builder.getContext(), tensor.elem_type());
  if (!element)
    return errorAt(info.name(), element.error().message);
  if (!tensor.has_shape())
    return errorAt(info.name(), "has no shape: at least the number of dimensions must be known");
  if (tensor.shape().dim_size() > kMaxRank)
    return errorAt(info.name(), "has " + std::to_string(tensor.shape().dim_size()) + " dimensions; expected at most " +
                                    std::to_string(kMaxRank));
  SmallVector<int64_t> dims;
  for (const pb::TensorShapeProto::Dimension &dim : tensor.shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() < 0)
      return errorAt(info.name(),
                     "dimension " + std::to_string(dims.size()) + " is " + std::to_string(dim.dim_value()));
    dims.push_back(dim.has_dim_value() ? dim.dim_value() : ShapedType::kDynamic);
  }
  return RankedTensorType::get(dims, *element);
}

/// The symbols of the dimensions of `type` that are not constant.
ArrayAttr Importer::dimNames(const pb::ValueInfoProto &info, RankedTensorType type) {
  const pb::TensorShapeProto &shape = info.type().tensor_type().shape();
  SmallVector<std::string> names(type.getRank());
  if (shape.dim_size() == type.getRank())
    for (auto [i, dim] : llvm::enumerate(shape.dim()))
      if (type.isDynamicDim(i))
        names[i] = printable(dim.dim_param());
  SmallVector<StringRef> references(names.begin(), names.end());
  return builder.getStrArrayAttr(references);
}

Status Importer::importInputs(func::FuncOp function) {
  llvm::StringSet<> initializers;
  for (const pb::TensorProto &tensor : graph.initializer())
    initializers.insert(tensor.name());
  for (const pb::ValueInfoProto &input : graph.input()) {
    if (initializers.contains(input.name())) {
      if (file.model.ir_version() >= 4)
        mlir::emitWarning(location(printable(input.name())))
            << "graph input " << printable(input.name()) << " has an initializer: imported as a constant";
      continue;
    }
    Result<RankedTensorType> type = typeOf(input);
    if (!type)
      return type.error();
    unsigned index = function.getNumArguments();
    NamedAttribute attributes[] = {
        namedAttr<onnx::attrs::Name>(builder.getContext(), builder.getStringAttr(printable(input.name()))),
        namedAttr<onnx::attrs::Dims>(builder.getContext(), dimNames(input, *type))};
    if (failed(function.insertArgument(index, *type, builder.getDictionaryAttr(attributes),
                                       location(printable(input.name())))))
      return errorAt(input.name(), "cannot become an argument");
    values[input.name()] = function.getArgument(index);
  }
  return {};
}

Status Importer::importOutputs(func::FuncOp function) {
  if (graph.output().empty())
    return Error{"graph has no outputs"};
  SmallVector<Value> results;
  SmallVector<DictionaryAttr> resultAttributes;
  for (const pb::ValueInfoProto &output : graph.output()) {
    Value value = values.lookup(output.name());
    if (!value)
      return errorAt(output.name(), "is a graph output that nothing computes");
    auto type = cast<RankedTensorType>(value.getType());
    if (output.type().has_tensor_type() && output.type().tensor_type().has_shape()) {
      Result<RankedTensorType> declared = typeOf(output);
      if (!declared)
        return declared.error();
      if (declared->getElementType() != type.getElementType() ||
          failed(verifyCompatibleShape(declared->getShape(), type.getShape()))) {
        std::string text;
        llvm::raw_string_ostream(text) << "is declared as " << *declared << " but computed as " << type;
        return errorAt(output.name(), text);
      }
    }
    NamedAttribute attributes[] = {
        namedAttr<onnx::attrs::Name>(builder.getContext(), builder.getStringAttr(printable(output.name()))),
        namedAttr<onnx::attrs::Dims>(builder.getContext(), dimNames(output, type))};
    results.push_back(value);
    resultAttributes.push_back(builder.getDictionaryAttr(attributes));
  }
  func::ReturnOp::create(builder, function.getLoc(), results);
  function.setFunctionType(builder.getFunctionType(function.getArgumentTypes(), ValueRange(results).getTypes()));
  function.setAllResultAttrs(resultAttributes);
  return {};
}

//===----------------------------------------------------------------------===//
// Initializers
//===----------------------------------------------------------------------===//

/// Whether infinity is a sensible value: in a mask it is, in a matrix that is
/// multiplied or looked up it spoils every result.
bool Importer::mayBeInfinite(StringRef initializer) { return !weights.contains(initializer); }

Status Importer::importInitializers(const pb::GraphProto &graph) {
  if (graph.sparse_initializer_size() > 0)
    return errorAt(graph.sparse_initializer(0).values().name(), "sparse initializers are not supported");
  for (const pb::NodeProto &node : graph.node()) {
    const std::string &op = node.op_type();
    if (op == "MatMul" || op == "Gemm" || op == "Transpose" || op == "Gather")
      for (const std::string &input : node.input())
        weights.insert(input);
  }
  for (const pb::TensorProto &tensor : graph.initializer()) {
    std::string name = printable(tensor.name());
    Result<ElementsAttr> value = tensors.convert(tensor, name);
    if (!value)
      return Error{name + ": " + value.error().message};
    if (options.checkValues && !isCheckedLater(*value))
      if (Status status = checkFinite(*value, mayBeInfinite(tensor.name())); !status)
        return Error{name + ": " + status.error().message};
    auto constant = onnx::ConstantOp::create(builder, location(name), value->getShapedType(), *value);
    values[tensor.name()] = constant;
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// The function that a node calls; null where it is an operator.
static const pb::FunctionProto *findFunction(const pb::NodeProto &node, const pb::ModelProto &model) {
  for (const pb::FunctionProto &function : model.functions())
    if (function.name() == node.op_type() && function.domain() == node.domain() &&
        function.overload() == node.overload())
      return &function;
  return nullptr;
}

static bool isDefaultDomain(const std::string &domain) { return domain.empty() || domain == "ai.onnx"; }

/// The version of the node's operator set when the importer knows its operator, else why not.
static Result<int64_t> checkOperator(const pb::NodeProto &node,
                                     const google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto> &imports,
                                     MLIRContext *context) {
  std::string op = printable(node.op_type()), domain = printable(node.domain());
  bool isDefault = isDefaultDomain(node.domain());
  const pb::OperatorSetIdProto *import = nullptr;
  for (const pb::OperatorSetIdProto &candidate : imports)
    if (candidate.domain() == node.domain() || (isDefault && isDefaultDomain(candidate.domain())))
      import = &candidate;
  if (!import)
    return Error{"operator " + op + " is of domain \"" + domain + "\", which the model does not import"};
  if (lookupOperator(node, context) || (isDefault && (op == "If" || op == "Loop" || op == "Scan")))
    return import->version();
  return Error{"operator " + op + " of domain \"" + domain + "\", operator set " + std::to_string(import->version()) +
               ", is not supported"};
}

void Importer::define(const pb::NodeProto &node, ArrayRef<Value> results) {
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty() && static_cast<size_t>(i) < results.size() && results[i])
      values[node.output(i)] = results[i];
}

Status Importer::importNode(const pb::NodeProto &node) {
  std::string name = prefix + nodeName(node);
  SmallVector<Value> operands;
  for (const std::string &input : node.input())
    operands.push_back(input.empty() ? Value() : values.lookup(input));
  for (auto [i, operand] : llvm::enumerate(operands))
    if (!operand && !node.input(i).empty())
      return Error{name + ": input \"" + printable(node.input(i)) + "\" is an output that is not supported"};
  if (++made > kMaxNodes)
    return Error{name + ": more than " + std::to_string(kMaxNodes) + " nodes, counting those of functions and loops"};
  if (const pb::FunctionProto *function = findFunction(node, file.model))
    return importCall(node, *function, operands);
  Result<int64_t> opset = checkOperator(node, *operatorSets, builder.getContext());
  if (!opset)
    return Error{name + ": " + opset.error().message};
  if (isDefaultDomain(node.domain()) && node.op_type() == "If")
    return importIf(node, operands);
  if (isDefaultDomain(node.domain()) && node.op_type() == "Loop")
    return importLoop(node, operands);
  if (isDefaultDomain(node.domain()) && node.op_type() == "Scan")
    return importScan(node, operands);

  auto last = [&]() -> Operation * {
    Block *block = builder.getInsertionBlock();
    return block->empty() ? nullptr : &block->back();
  };
  Operation *before = last();
  NodeImport import(node, *opset, builder, location(nodeName(node)), tensors);
  Result<SmallVector<Value>> results = import.run(operands);
  if (!results)
    return Error{name + " (" + node.op_type() + "): " + results.error().message};
  define(node, *results);

  if (std::string scope = scopeName(node); !scope.empty()) {
    StringAttr attribute = builder.getStringAttr(scope);
    Block *block = builder.getInsertionBlock();
    for (auto op = before ? std::next(before->getIterator()) : block->begin(); op != block->end(); ++op)
      if (!isa<onnx::ConstantOp>(*op))
        setAttr<onnx::attrs::Scope>(&*op, attribute);
  }
  return {};
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

Status Importer::importNodes(const pb::GraphProto &graph) {
  Result<std::vector<int>> order = sortNodes(graph, [&](const std::string &name) { return values.contains(name); });
  if (!order)
    return order.error();
  for (int index : *order)
    if (Status status = importNode(graph.node(index)); !status)
      return status.error();
  return {};
}

Result<OwningOpRef<ModuleOp>> Importer::run() {
  operatorSets = &file.model.opset_import();
  if (std::string newer = file.newerThanKnown(); !newer.empty())
    mlir::emitWarning(location(printable(graph.name())))
        << "the model is of " << newer << ", newer than what this importer was made for (in brackets)";
  Location here = location(printable(graph.name()));
  OwningOpRef<ModuleOp> module = ModuleOp::create(here);
  builder.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(builder, here, "forward", builder.getFunctionType({}, {}));
  builder.setInsertionPointToEnd(function.addEntryBlock());
  if (Status status = importInputs(function); !status)
    return status.error();
  if (Status status = importInitializers(graph); !status)
    return status.error();
  if (Status status = importNodes(graph); !status)
    return status.error();
  if (Status status = importOutputs(function); !status)
    return status.error();
  // What nothing uses, above all integers that became constants.
  for (Operation *op = function.front().getTerminator(), *previous; op; op = previous) {
    previous = op->getPrevNode();
    if (op->use_empty() && !op->hasTrait<OpTrait::IsTerminator>())
      op->erase();
  }
  return module;
}

OwningOpRef<ModuleOp> qopt::importOnnx(const std::string &path, MLIRContext &context, const ImportOptions &options,
                                       std::string &error) {
  context.loadDialect<func::FuncDialect, onnx::OnnxDialect>();
  Result<ModelFile> file = ModelFile::open(path, options);
  if (!file) {
    error = printable(path) + ": " + file.error().message;
    return nullptr;
  }
  Result<OwningOpRef<ModuleOp>> module = Importer(&context, *file, options).run();
  if (!module) {
    error = printable(path) + ": " + module.error().message;
    return nullptr;
  }
  return std::move(*module);
}
