//===- OnnxLowering.cpp - State of the conversion of onnx to linalg -------===//
//
// One object per function: dimensions that were computed once are used again by all
// operators.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

/// Integer tensors with more elements are data, not shapes.
static constexpr int64_t kMaxElements = 64;

OnnxLowering::OnnxLowering(func::FuncOp function, const Handlers &handlers)
    : b(function.getLoc(), function.getContext()), function(function), handlers(handlers) {}

LogicalResult OnnxLowering::run() {
  Block &body = function.getBody().front();
  // Arguments whose dimensions have the same symbol have the same sizes: the
  // runtime checks that before the call.
  b.setInsertionPointToStart(&body);
  llvm::StringMap<OpFoldResult> symbols;
  for (BlockArgument argument : body.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      continue;
    auto names = getArgAttr<onnx::attrs::Dims>(function, argument.getArgNumber());
    Dims known;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i)) {
        known.push_back(index(type.getDimSize(i)));
        continue;
      }
      auto name = names && size_t(i) < names.size() ? dyn_cast<StringAttr>(names[i]) : StringAttr();
      OpFoldResult size;
      if (name && !name.empty())
        size = symbols[name.getValue()];
      if (!size)
        size = tensor::DimOp::create(b, argument, i).getResult();
      if (name && !name.empty())
        symbols[name.getValue()] = size;
      known.push_back(size);
    }
    sizes[argument] = known;
  }
  SmallVector<Operation *> old;
  for (Operation &op : llvm::make_early_inc_range(body)) {
    b.setInsertionPoint(&op);
    b.setLoc(op.getLoc());
    if (!isa_and_nonnull<onnx::OnnxDialect, QoptDialect>(op.getDialect()) || isa<ParameterOp, RequireOp>(op)) {
      if (failed(rewriteOther(&op)))
        return failure();
      continue;
    }
    old.push_back(&op);
    if (lowerOnElements(&op, *this) || isa<onnx::ConstantOp>(op))
      continue;
    for (Value value : op.getOperands())
      if (getElementTypeOrSelf(value.getType()).isUnsignedInteger())
        return op.emitOpError("has no lowering for elements of type ") << getElementTypeOrSelf(value.getType());
    const Handler *handler = handlers.find(&op);
    if (!handler)
      return op.emitOpError("has no lowering to host code");
    if (failed((*handler)(&op, *this)))
      return failure();
  }
  for (Operation *op : llvm::reverse(old))
    if (op->use_empty())
      op->erase();
  return success();
}

/// Operations of other dialects (kernel calls, return) stay, on lowered operands.
LogicalResult OnnxLowering::rewriteOther(Operation *op) {
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    if (std::optional<int64_t> i = dim.getConstantIndex()) {
      OpFoldResult size = dims(dim.getSource())[*i];
      if (size != OpFoldResult(dim.getResult()))
        dim.getResult().replaceAllUsesWith(value(size));
    }
    return success();
  }
  for (OpOperand &operand : op->getOpOperands()) {
    Value lowered = operand.get();
    Type expected = lowered.getType();
    if (!isa<RankedTensorType>(expected))
      continue;
    lowered = tensor(lowered);
    if (lowered.getType() != expected)
      lowered = tensor::CastOp::create(b, expected, lowered);
    operand.set(lowered);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// What is known of a value
//===----------------------------------------------------------------------===//

Value OnnxLowering::tensor(Value value) {
  if (Value known = tensors.lookup(value))
    return known;
  auto type = cast<RankedTensorType>(value.getType());
  Value result = value;
  if (auto found = contents.find(value); found != contents.end()) {
    SmallVector<Value> elements;
    for (OpFoldResult element : Dims(found->second))
      elements.push_back(arith::IndexCastOp::create(b, type.getElementType(), this->value(element)));
    auto dense = RankedTensorType::get(type.getRank() == 0 ? ArrayRef<int64_t>() : ArrayRef<int64_t>(elements.size()),
                                       type.getElementType());
    result = tensor::FromElementsOp::create(b, dense, elements);
  } else if (auto constant = value.getDefiningOp<onnx::ConstantOp>()) {
    auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (dense && dense.getNumElements() <= kMaxElements)
      result = arith::ConstantOp::create(b, dense);
  }
  return tensors[value] = result;
}

Dims OnnxLowering::dims(Value value) {
  if (auto found = sizes.find(value); found != sizes.end())
    return found->second;
  Dims found = dimsOfOther(value);
  for (OpFoldResult &size : found)
    if (std::optional<int64_t> constant = constantOf(size))
      size = index(*constant); // of one type, so that equal ones compare equal
  return sizes[value] = found;
}

/// Dimensions of results of operations that are not onnx.
Dims OnnxLowering::dimsOfOther(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (auto cast = value.getDefiningOp<tensor::CastOp>()) {
    Dims result = dims(cast.getSource());
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (!type.isDynamicDim(i))
        result[i] = index(type.getDimSize(i));
    return result;
  }
  if (auto expand = value.getDefiningOp<tensor::ExpandShapeOp>())
    return expand.getMixedOutputShape();
  if (auto collapse = value.getDefiningOp<tensor::CollapseShapeOp>()) {
    Dims source = dims(collapse.getSrc()), result;
    for (const ReassociationIndices &group : collapse.getReassociationIndices()) {
      OpFoldResult size = index(1);
      for (int64_t i : group)
        size = mul(size, source[i]);
      result.push_back(size);
    }
    return result;
  }
  if (auto empty = value.getDefiningOp<tensor::EmptyOp>())
    return empty.getMixedSizes();
  if (auto kernel = value.getDefiningOp<DestinationStyleOpInterface>())
    return dims(kernel.getTiedOpOperand(cast<OpResult>(value))->get());
  Dims result;
  for (int64_t i = 0; i < type.getRank(); ++i)
    result.push_back(type.isDynamicDim(i) ? OpFoldResult(tensor::DimOp::create(b, tensor(value), i).getResult())
                                          : index(type.getDimSize(i)));
  return result;
}

static bool isShapeLike(RankedTensorType type) {
  return type.getRank() <= 1 && type.hasStaticShape() && type.getNumElements() <= kMaxElements &&
         (type.getElementType().isInteger(64) || type.getElementType().isInteger(32));
}

std::optional<Dims> OnnxLowering::knownElements(Value value) {
  if (auto found = contents.find(value); found != contents.end())
    return found->second;
  auto type = cast<RankedTensorType>(value.getType());
  if (!isShapeLike(type) || !value.getDefiningOp<onnx::ConstantOp>())
    return std::nullopt;
  std::optional<SmallVector<int64_t>> constants = onnx::getConstantInts(value);
  if (!constants)
    return std::nullopt;
  Dims result;
  for (int64_t constant : *constants)
    result.push_back(index(constant));
  return contents[value] = result;
}

std::optional<Dims> OnnxLowering::elements(Value value) {
  if (std::optional<Dims> known = knownElements(value))
    return known;
  Value lowered = tensor(value);
  auto type = cast<RankedTensorType>(lowered.getType());
  if (!isShapeLike(type))
    return std::nullopt;
  Dims result;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    SmallVector<Value> at(type.getRank(), this->value(index(i)));
    Value element = tensor::ExtractOp::create(b, lowered, at);
    result.push_back(arith::IndexCastOp::create(b, b.getIndexType(), element).getResult());
  }
  return contents[value] = result;
}

Value OnnxLowering::scalar(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (std::optional<Dims> known = knownElements(value))
    return arith::IndexCastOp::create(b, type.getElementType(), this->value(known->front()));
  SmallVector<Value> at(type.getRank(), this->value(index(0)));
  return b.createOrFold<tensor::ExtractOp>(tensor(value), at);
}

void OnnxLowering::setTensor(Value value, Value lowered, Dims dims) {
  tensors[value] = lowered;
  sizes[value] = std::move(dims);
}

void OnnxLowering::setElements(Value value, Dims elements) {
  auto type = cast<RankedTensorType>(value.getType());
  sizes[value] = type.getRank() == 0 ? Dims() : Dims{index(elements.size())};
  contents[value] = std::move(elements);
}
