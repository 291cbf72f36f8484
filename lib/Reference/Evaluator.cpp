//===- Evaluator.cpp - Runs operators and functions -----------------------===//
//
// Result types come from the operators' own inference: it is asked about a copy of
// the operands with the shapes they really have, small integer operands as
// constants, so that a shape operand decides as it does in a model.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// Operands up to this size may be what an operator's result type depends on.
static constexpr int64_t kMaxShapeOperand = 64;

LogicalResult reference::inferTypes(Operation *op, ArrayRef<RankedTensorType> operandTypes, Operands values,
                                    SmallVectorImpl<Type> &types) {
  auto *inference = op->getName().getInterface<InferTypeOpInterface>();
  if (!inference)
    return op->emitOpError("has no type inference");
  Block scratch;
  OpBuilder builder(op->getContext());
  builder.setInsertionPointToStart(&scratch);
  SmallVector<Value> operands;
  for (auto [type, value] : llvm::zip(operandTypes, values)) {
    bool hasElements = value && value->floats.size() + value->ints.size() == static_cast<size_t>(type.getNumElements());
    if (hasElements && type.getRank() <= 1 && type.getNumElements() <= kMaxShapeOperand)
      operands.push_back(onnx::ConstantOp::create(builder, op->getLoc(), type, toAttribute(*value)));
    else
      operands.push_back(scratch.addArgument(type, op->getLoc()));
  }
  return inference->inferReturnTypes(op->getContext(), op->getLoc(), operands, op->getRawDictionaryAttrs(),
                                     op->getPropertiesStorage(), op->getRegions(), types);
}

LogicalResult reference::evaluateInto(Operation *op, Operands operands, std::vector<Tensor> &results) {
  if (operands.size() != op->getNumOperands())
    return op->emitOpError("expected ") << op->getNumOperands() << " operands but got " << operands.size();
  SmallVector<RankedTensorType> operandTypes;
  for (const Tensor *operand : operands)
    operandTypes.push_back(operand->type);
  SmallVector<Type> types;
  if (failed(inferTypes(op, operandTypes, operands, types)))
    return failure();
  results.assign(op->getNumResults(), Tensor());
  for (auto [type, result] : llvm::zip(types, results)) {
    auto tensorType = dyn_cast<RankedTensorType>(type);
    if (!tensorType || !isa<FloatType, IntegerType>(tensorType.getElementType()) ||
        tensorType.getElementTypeBitWidth() > 64)
      return op->emitOpError("cannot compute a result of type ") << type;
    result.type = tensorType;
    // Attention appends to a cache: its kernel knows how long the result is.
    if (!tensorType.hasStaticShape())
      continue;
    if (tensorType.getNumElements() > kMaxElements)
      return op->emitOpError("expected at most ") << kMaxElements << " elements but got " << tensorType;
    allocate(result, tensorType);
  }
  for (auto kernel : {evaluateElementwise, evaluateMovement, evaluateIndexing, evaluateReduction, evaluateProduct,
                      evaluateAttention, evaluateQuantizeLinear, evaluateQuantized}) {
    Outcome outcome = kernel(op, operands, results);
    if (outcome == Outcome::Failed)
      return failure();
    if (outcome == Outcome::NotMine)
      continue;
    for (Tensor &result : results) {
      if (!result.type.hasStaticShape())
        return op->emitOpError("cannot compute a result of type ") << result.type;
      conform(result);
    }
    return success();
  }
  return op->emitOpError("cannot be evaluated");
}

FailureOr<std::vector<Tensor>> reference::evaluate(Operation *op, ArrayRef<Tensor> operands) {
  SmallVector<const Tensor *> pointers;
  for (const Tensor &operand : operands)
    pointers.push_back(&operand);
  std::vector<Tensor> results;
  if (failed(evaluateInto(op, pointers, results)))
    return failure();
  return results;
}

FailureOr<std::vector<Tensor>> reference::evaluate(func::FuncOp function, ArrayRef<Tensor> inputs) {
  if (!function.getBody().hasOneBlock())
    return function.emitOpError("requires one block");
  Block &block = function.front();
  if (inputs.size() != block.getNumArguments())
    return function.emitOpError("expected ") << block.getNumArguments() << " inputs but got " << inputs.size();
  llvm::DenseMap<Value, Tensor> values;
  for (auto [argument, input] : llvm::zip(block.getArguments(), inputs))
    values[argument] = input;
  for (Operation &op : block.without_terminator()) {
    SmallVector<const Tensor *> operands;
    for (Value operand : op.getOperands()) {
      auto found = values.find(operand);
      if (found == values.end())
        return op.emitOpError("uses a value from outside of the function");
      operands.push_back(&found->second);
    }
    std::vector<Tensor> results;
    if (failed(evaluateInto(&op, operands, results)))
      return failure();
    for (auto [value, result] : llvm::zip(op.getResults(), results))
      values[value] = std::move(result);
  }
  std::vector<Tensor> results;
  for (Value operand : block.getTerminator()->getOperands()) {
    auto found = values.find(operand);
    if (found == values.end())
      return function.emitOpError("returns a value from outside of the function");
    results.push_back(found->second);
  }
  return results;
}
