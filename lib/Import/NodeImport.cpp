//===- NodeImport.cpp - What the import of every operator shares ----------===//
//
// Attributes, operands and results of one node. What the operation must look like, it
// says itself: its form, the names of its attributes and the inference of its types.
//
//===----------------------------------------------------------------------===//
#include "OperatorTable.h"
#include "Operators.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Support/Utf8.h"

#include "mlir/IR/Diagnostics.h"
#include <algorithm>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// onnx.proto, AttributeProto.AttributeType.
enum AttributeType { IsFloat = 1, IsInt, IsString, IsTensor, IsGraph, IsFloats, IsInts, IsStrings };

Status NodeImport::convertAttributes() {
  for (const pb::AttributeProto &attribute : node.attribute()) {
    std::string name = printable(attribute.name());
    if (attributes.get(name))
      return Error{"has two attributes " + name};
    switch (attribute.type()) {
    case IsFloat:
      attributes.set(name, builder.getF32FloatAttr(attribute.f()));
      break;
    case IsInt:
      attributes.set(name, builder.getI64IntegerAttr(attribute.i()));
      break;
    case IsString:
      attributes.set(name, builder.getStringAttr(printable(attribute.s())));
      break;
    case IsFloats:
      attributes.set(name, DenseF32ArrayAttr::get(builder.getContext(),
                                                  ArrayRef(attribute.floats().data(), attribute.floats_size())));
      break;
    case IsInts:
      attributes.set(
          name, DenseI64ArrayAttr::get(builder.getContext(), ArrayRef(attribute.ints().data(), attribute.ints_size())));
      break;
    case IsTensor: {
      Result<ElementsAttr> value = tensors.convert(attribute.t(), printable(node.output(0)));
      if (!value)
        return Error{"attribute " + name + ": " + value.error().message};
      attributes.set(name, *value);
      break;
    }
    default:
      return Error{"attribute " + name + " has the unsupported type " + std::to_string(attribute.type())};
    }
  }
  return {};
}

int64_t NodeImport::takeInt(StringRef name, int64_t fallback) {
  auto value = take<IntegerAttr>(name);
  return value ? value.getInt() : fallback;
}

Status NodeImport::attributeToOperand(StringRef name) {
  auto ints = take<DenseI64ArrayAttr>(name);
  inputs.push_back(ints ? constant(ints.asArrayRef()) : Value());
  return {};
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

Value NodeImport::constant(ElementsAttr value) {
  return onnx::ConstantOp::create(builder, location, value.getShapedType(), value);
}

Value NodeImport::constant(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get(static_cast<int64_t>(values.size()), builder.getI64Type());
  return constant(DenseElementsAttr::get(type, values));
}

namespace {
/// The properties of an operation that does not exist yet: inference reads them.
class Properties {
public:
  explicit Properties(OperationName name)
      : name(name), storage(name.getOpPropertyByteSize() / sizeof(std::max_align_t) + 1) {
    name.initOpProperties(get(), OpaqueProperties(nullptr));
    name.populateDefaultProperties(get());
  }
  ~Properties() { name.destroyOpProperties(get()); }
  Properties(const Properties &) = delete;
  OpaqueProperties get() { return storage.data(); }

private:
  OperationName name;
  std::vector<std::max_align_t> storage;
};
} // namespace

onnx::OperatorInterface::Concept *qopt::lookupOperation(StringRef name, MLIRContext *context) {
  auto registered = RegisteredOperationName::lookup(("onnx." + name).str(), context);
  return registered ? registered->getInterface<onnx::OperatorInterface>() : nullptr;
}

/// A list of 1 for operands or results that are there, and 0 for others.
static DenseI32ArrayAttr segments(size_t count, MLIRContext *context, function_ref<bool(size_t)> isThere) {
  SmallVector<int32_t> sizes;
  for (size_t i = 0; i < count; ++i)
    sizes.push_back(isThere(i));
  return DenseI32ArrayAttr::get(context, sizes);
}

/// A diagnostic of an operation that is not there yet, without its name: the node's is
/// reported.
static std::string withoutName(std::string problem, StringRef name) {
  StringRef text = problem;
  text.consume_front(("'onnx." + name + "' op ").str());
  return text.str();
}

Result<Operation *> NodeImport::create(StringRef name, ArrayRef<Value> operands, NamedAttrList attrs) {
  MLIRContext *context = builder.getContext();
  onnx::OperatorInterface::Concept *known = lookupOperation(name, context);
  if (!known)
    return Error{"operator " + name.str() + " is not in the dialect"};
  auto registered = RegisteredOperationName::lookup(("onnx." + name).str(), context);
  onnx::OperatorForm form = known->getForm();
  auto hasSegments = [&](StringRef sizes) { return llvm::is_contained(registered->getAttributeNames(), sizes); };
  bool segmented = hasSegments("operandSegmentSizes");
  if (segmented)
    attrs.set("operandSegmentSizes",
              segments(form.maxInputs, context, [&](size_t i) { return i < operands.size() && operands[i]; }));
  for (StringRef attribute : known->getRequiredAttributes())
    if (!attrs.get(attribute))
      return Error{"requires the attribute " + attribute.str()};
  SmallVector<Value> present;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (operand && !segmented && present.size() < i)
      return Error{"input " + std::to_string(present.size()) + " is left out"};
    if (operand)
      present.push_back(operand);
  }

  DictionaryAttr dictionary = attrs.getDictionary(context);
  Properties properties(*registered);
  std::string problem;
  ScopedDiagnosticHandler capture(context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return failure();
    if (problem.empty())
      problem = diagnostic.str();
    return success();
  });
  auto emitHere = [&] { return mlir::emitError(location); };
  auto *inference = registered->getInterface<InferTypeOpInterface>();
  SmallVector<Type> types;
  bool hasProperties = registered->getOpPropertyByteSize() > 0;
  if ((hasProperties &&
       failed(registered->setOpPropertiesFromAttribute(*registered, properties.get(), dictionary, emitHere))) ||
      failed(inference->inferReturnTypes(context, location, present, dictionary, properties.get(), {}, types)))
    return Error{problem.empty() ? "its types cannot be inferred" : withoutName(problem, name)};
  // Results left out come last in the operators that have some.
  if (hasSegments("resultSegmentSizes"))
    attrs.set("resultSegmentSizes", segments(form.maxOutputs, context, [&](size_t i) { return i < types.size(); }));
  OperationState state(location, *registered, present, types, attrs.getAttrs());
  Operation *op = builder.create(state);
  if (failed(registered->verifyInvariants(op)))
    return Error{problem.empty() ? "the operation is not valid" : withoutName(problem, name)};
  // Integers that follow from constants are constants: types of other results depend on them.
  if (DenseElementsAttr value = onnx::foldContents(op); value && !isa<onnx::ConstantOp>(op)) {
    op->erase();
    return constant(value).getDefiningOp();
  }
  return op;
}

Result<Value> NodeImport::createOne(StringRef name, ArrayRef<Value> operands, ArrayRef<NamedAttribute> attrs) {
  Result<Operation *> op = create(name, operands, NamedAttrList(attrs));
  if (!op)
    return op.error();
  return Value((*op)->getResult(0));
}

Status NodeImport::finish(Result<Value> value) {
  if (!value)
    return value.error();
  results = SmallVector<Value>{*value};
  return {};
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Result<SmallVector<Value>> NodeImport::run(ArrayRef<Value> operands) {
  std::optional<OperatorInfo> info = lookupOperator(node, builder.getContext());
  auto countOf = [](size_t count, const char *what) { return std::to_string(count) + " " + what; };
  bool isDefault = node.domain().empty() || node.domain() == "ai.onnx";
  if (isDefault && opset < info->form.since)
    return Error{"exists since operator set " + std::to_string(info->form.since) + " but the model imports " +
                 std::to_string(opset)};
  size_t given = operands.size();
  while (given > 0 && !operands[given - 1])
    --given;
  if (given < size_t(info->form.minInputs))
    return Error{"expected at least " + countOf(info->form.minInputs, "inputs") + " but got " + std::to_string(given)};
  if (!info->isVariadic() && given > size_t(info->form.maxInputs))
    return Error{"expected at most " + countOf(info->form.maxInputs, "inputs") + " but got " + std::to_string(given)};
  if (node.output_size() == 0)
    return Error{"has no outputs"};
  int outputs = node.output_size();
  while (outputs > 1 && node.output(outputs - 1).empty())
    --outputs;
  if (!info->isVariadicOut() && outputs > info->form.maxOutputs)
    return Error{"expected at most " + countOf(info->form.maxOutputs, "outputs") + " but got " +
                 std::to_string(outputs)};
  for (size_t i = 0; i < size_t(info->form.minInputs); ++i)
    if (!operands[i])
      return Error{"input " + std::to_string(i) + " is left out"};
  inputs.assign(operands.begin(), operands.begin() + given);
  if (Status status = convertAttributes(); !status)
    return status.error();
  if (info->rule)
    if (Status status = info->rule(*this); !status)
      return status.error();

  auto registered = RegisteredOperationName::lookup("onnx." + node.op_type(), builder.getContext());
  for (const NamedAttribute &attribute : attributes)
    if (results || !registered || !llvm::is_contained(registered->getAttributeNames(), attribute.getName()) ||
        attribute.getName().getValue().ends_with("SegmentSizes"))
      return Error{"attribute " + attribute.getName().str() + " is not supported"};
  if (results)
    return *results;
  Result<Operation *> op = createWide(attributes);
  if (!op)
    return op.error();
  return SmallVector<Value>((*op)->getResults());
}

/// Bytes without a sign are computed with in i32: what is cut off again is what they cannot hold.
Result<Operation *> NodeImport::createWide(NamedAttrList attrs) {
  auto registered = RegisteredOperationName::lookup("onnx." + node.op_type(), builder.getContext());
  auto isByte = [](Value value) { return value && getElementTypeOrSelf(value.getType()).isUnsignedInteger(8); };
  if (!registered || !registered->hasTrait<onnx::Elementwise>() || node.op_type() == "Cast" ||
      llvm::none_of(inputs, isByte))
    return create(node.op_type(), inputs, attrs);
  auto cast = [&](Value value, Type element) {
    return create("Cast", value, NamedAttrList(builder.getNamedAttr("to", TypeAttr::get(element))));
  };
  bool isOfBytes = isByte(inputs[node.op_type() == "Where" ? 1 : 0]);
  SmallVector<Value> wide;
  for (Value input : inputs) {
    if (isByte(input)) {
      Result<Operation *> widened = cast(input, builder.getI32Type());
      if (!widened)
        return widened;
      input = (*widened)->getResult(0);
    }
    wide.push_back(input);
  }
  Result<Operation *> op = create(node.op_type(), wide, attrs);
  if (!op || !isOfBytes || !getElementTypeOrSelf((*op)->getResult(0).getType()).isInteger(32))
    return op;
  return cast((*op)->getResult(0), builder.getIntegerType(8, /*isSigned=*/false));
}
