//===- Probe.cpp - Recognise parts of a graph by what they compute --------===//
#include "qopt/Reference/Probe.h"
#include "Kernels.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Threading.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

Quiet::Quiet(MLIRContext *context)
    : handler(context,
              [thread = llvm::get_threadid()](Diagnostic &) { return success(llvm::get_threadid() == thread); }) {}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

FailureOr<Tensor> Slice::get(Value value) {
  llvm::SetVector<Operation *> needed;
  SmallVector<Value> open = {value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    if (values.contains(next))
      continue;
    Operation *op = next.getDefiningOp();
    if (!op)
      return emitError(next.getLoc(), "depends on an input that was not given");
    if (op->getNumRegions() != 0 || op->getBlock() != value.getParentBlock())
      return op->emitOpError("cannot be evaluated as part of a slice");
    if (!needed.insert(op))
      continue;
    if (needed.size() > static_cast<size_t>(kMaxOperators))
      return op->emitOpError("needs more than ") << kMaxOperators << " operators";
    open.append(op->operand_begin(), op->operand_end());
  }
  SmallVector<Operation *> ordered = needed.takeVector();
  llvm::sort(ordered, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ordered) {
    SmallVector<const Tensor *> operands;
    for (Value operand : op->getOperands())
      operands.push_back(&values.find(operand)->second);
    std::vector<Tensor> results;
    if (failed(evaluateInto(op, operands, results)))
      return failure();
    for (auto [result, tensor] : llvm::zip(op->getResults(), results))
      values.try_emplace(result, std::move(tensor));
  }
  return values.find(value)->second;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

/// The results of one operator, given what is known of its operands.
static FailureOr<SmallVector<Known>> followOperator(Operation *op, ArrayRef<const Known *> operands,
                                                    int64_t maxElements) {
  SmallVector<RankedTensorType> operandTypes;
  SmallVector<const Tensor *> elements;
  for (const Known *operand : operands) {
    operandTypes.push_back(operand->type);
    elements.push_back(operand->elements ? &*operand->elements : nullptr);
  }
  SmallVector<Type> types;
  if (failed(inferTypes(op, operandTypes, elements, types)))
    return failure();
  SmallVector<Known> results;
  bool small = true;
  for (Type type : types) {
    auto tensorType = dyn_cast<RankedTensorType>(type);
    if (!tensorType || !tensorType.hasStaticShape())
      return op->emitOpError("has a result whose shape does not follow from the inputs' sizes");
    small &= tensorType.getNumElements() <= maxElements;
    results.push_back({tensorType, std::nullopt});
  }
  // A shape needs no elements of its operand.
  Tensor typeOnly;
  if (isa<onnx::ShapeOp>(op)) {
    typeOnly.type = operandTypes[0];
    elements = {&typeOnly};
  }
  if (!small || llvm::is_contained(elements, nullptr))
    return results;
  std::vector<Tensor> tensors;
  if (failed(evaluateInto(op, elements, tensors)))
    return failure();
  for (auto [result, tensor] : llvm::zip(results, tensors))
    result.elements = std::move(tensor);
  return results;
}

FailureOr<llvm::DenseMap<Value, Known>>
reference::followSizes(func::FuncOp function, ArrayRef<RankedTensorType> arguments, int64_t maxElements) {
  Block &block = function.front();
  llvm::DenseMap<Value, Known> values;
  for (auto [argument, type] : llvm::zip_equal(block.getArguments(), arguments))
    values[argument] = {type, std::nullopt};
  for (Operation &op : block.without_terminator()) {
    SmallVector<const Known *> operands;
    for (Value operand : op.getOperands()) {
      auto found = values.find(operand);
      if (found == values.end())
        return op.emitOpError("uses a value from outside of the function");
      operands.push_back(&found->second);
    }
    FailureOr<SmallVector<Known>> results = followOperator(&op, operands, maxElements);
    if (failed(results))
      return failure();
    for (auto [value, result] : llvm::zip(op.getResults(), *results))
      values[value] = std::move(result);
  }
  return values;
}

bool reference::isClose(const Tensor &expected, const Tensor &actual, double tolerance) {
  if (expected.type.getShape() != actual.type.getShape() || expected.isFloat() != actual.isFloat())
    return false;
  if (!expected.isFloat())
    return expected.ints == actual.ints;
  double largest = 0;
  for (double value : expected.floats)
    largest = std::max(largest, std::abs(value));
  for (auto [a, b] : llvm::zip(expected.floats, actual.floats))
    if (!(std::abs(a - b) <= tolerance * largest))
      return false;
  return true;
}
