//===- OnnxLowering.cpp - State of the conversion of onnx to linalg -------===//
//
// One object per function: dimensions that were computed once are used again by all
// operators.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;
using onnx::Extent;

/// Integer tensors with more elements are data, not shapes.
static constexpr int64_t kMaxElements = onnx::ShapeMath::kMaxContents;

OnnxLowering::OnnxLowering(func::FuncOp function, const Handlers &handlers)
    : b(function.getLoc(), function.getContext()), shapes(*this), function(function), handlers(handlers) {}

/// Arguments whose dimensions have the same name have the same sizes: the runtime checks
/// that before the call.
void OnnxLowering::readArguments() {
  llvm::StringMap<OpFoldResult> symbols;
  for (BlockArgument argument : function.getArguments()) {
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
}

LogicalResult OnnxLowering::run() {
  Block &body = function.getBody().front();
  b.setInsertionPointToStart(&body);
  readArguments();
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
    if (!isa<onnx::ConstantOp>(op) && !lowerOnElements(&op) && failed(lower(&op)))
      return failure();
  }
  for (Operation *op : llvm::reverse(old))
    if (op->use_empty())
      op->erase();
  return success();
}

/// Shape arithmetic: small integers that are known without reading memory.
bool OnnxLowering::lowerOnElements(Operation *op) {
  auto computing = dyn_cast<onnx::ShapeContentsInterface>(op);
  std::optional<SmallVector<Dims, 1>> elements = computing ? shapes.inferContents(computing) : std::nullopt;
  if (!elements)
    return false;
  for (auto [result, known] : llvm::zip_equal(op->getResults(), *elements))
    setElements(result, known);
  return true;
}

/// The shapes of results by the operator's rule, then the loops by its handler.
LogicalResult OnnxLowering::lower(Operation *op) {
  auto isUnsupported = [](Type type) {
    return type.isUnsignedInteger() && type.getIntOrFloatBitWidth() > 32; // more than casts go through
  };
  for (Value value : op->getOperands())
    if (Type type = getElementTypeOrSelf(value.getType());
        isUnsupported(type) || (type.isUnsignedInteger() && !isa<onnx::CastOp>(op)))
      return op->emitOpError("has no lowering for elements of type ") << getElementTypeOrSelf(value.getType());
  const Handler *handler = handlers.find(op);
  if (!handler)
    return op->emitOpError("is not supported for operands of types ") << op->getOperandTypes();
  // Operations of qopt have no such rule: their handlers say the dimensions.
  if (auto known = dyn_cast<onnx::OperatorInterface>(op)) {
    FailureOr<SmallVector<Dims, 1>> results = shapes.infer(known);
    if (failed(results))
      return failure();
    for (auto [value, dims] : llvm::zip_equal(op->getResults(), *results))
      if (llvm::all_of(dims, [](OpFoldResult size) { return !size.isNull(); }))
        sizes[value] = dims;
  }
  if (failed((*handler)(op, *this)))
    return failure();
  for (OpResult result : op->getResults())
    if (!tensors.contains(result) || !sizes.contains(result))
      return op->emitOpError("has a lowering that leaves result ") << result.getResultNumber() << " open";
  return success();
}

/// Operations of other dialects (kernel calls, return) stay, on lowered operands.
LogicalResult OnnxLowering::rewriteOther(Operation *op) {
  for (Region &region : op->getRegions()) {
    WalkResult nested = region.walk([](onnx::OperatorInterface inner) -> WalkResult {
      if (isa<onnx::ConstantOp>(inner))
        return WalkResult::advance();
      return inner->emitOpError("expected in the body of the function but got it in a region of another operation");
    });
    if (nested.wasInterrupted())
      return failure();
  }
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    auto type = dyn_cast<RankedTensorType>(dim.getSource().getType());
    if (std::optional<int64_t> i = dim.getConstantIndex(); type && i && *i >= 0 && *i < type.getRank()) {
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
    for (const ReassociationIndices &group : collapse.getReassociationIndices())
      result.push_back(product(llvm::map_to_vector(group, [&](int64_t i) { return source[i]; })));
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

//===----------------------------------------------------------------------===//
// Index arithmetic
//===----------------------------------------------------------------------===//

Value lowering::widen(ImplicitLocOpBuilder &b, Value v, Type to) {
  return v.getType() == to ? v : arith::ExtFOp::create(b, to, v).getResult();
}

Value lowering::narrow(ImplicitLocOpBuilder &b, Value v, Type to) {
  auto from = dyn_cast<FloatType>(v.getType());
  if (v.getType() == to)
    return v;
  if (from.getWidth() == 64 && cast<FloatType>(to).getWidth() < 32)
    v = arith::TruncFOp::create(b, b.getF32Type(), v);
  return v.getType() == to ? v : arith::TruncFOp::create(b, to, v).getResult();
}

std::optional<int64_t> lowering::constantOf(OpFoldResult size) { return getConstantIntValue(size); }

Value OnnxLowering::value(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return value;
  Value &cached = indexConstants[*constantOf(size)];
  if (!cached) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.getBody().front());
    cached = arith::ConstantIndexOp::create(b, *constantOf(size));
  }
  return cached;
}

OpFoldResult OnnxLowering::add(OpFoldResult lhs, OpFoldResult rhs) {
  return shapes.sizeOf(shapes.add(shapes.extentOf(lhs), shapes.extentOf(rhs)));
}
OpFoldResult OnnxLowering::sub(OpFoldResult lhs, OpFoldResult rhs) {
  return shapes.sizeOf(shapes.sub(shapes.extentOf(lhs), shapes.extentOf(rhs)));
}
OpFoldResult OnnxLowering::div(OpFoldResult lhs, OpFoldResult rhs) {
  return shapes.sizeOf(shapes.div(shapes.extentOf(lhs), shapes.extentOf(rhs)));
}
OpFoldResult OnnxLowering::max(OpFoldResult lhs, OpFoldResult rhs) {
  return shapes.sizeOf(shapes.max(shapes.extentOf(lhs), shapes.extentOf(rhs)));
}
OpFoldResult OnnxLowering::product(ArrayRef<OpFoldResult> factors) {
  return shapes.sizeOf(shapes.product(shapes.extentsOf(factors)));
}

LogicalResult OnnxLowering::requireEqual(OpFoldResult lhs, OpFoldResult rhs) {
  Extent x = shapes.extentOf(lhs), y = shapes.extentOf(rhs);
  return shapes.requireEqual(x, y, "requires equal sizes but got ", x.value, " and ", y.value);
}
