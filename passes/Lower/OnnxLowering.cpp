//===- OnnxLowering.cpp - State of the conversion of onnx to linalg -------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

/// Integer tensors with more elements are data, not shapes.
static constexpr int64_t kMaxElements = 64;

std::optional<int64_t> lowering::constantOf(OpFoldResult size) {
  return getConstantIntValue(size);
}

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
    auto names = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "onnx.dims");
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
    if (!isa_and_nonnull<onnx::OnnxDialect, QoptDialect>(op.getDialect()) || isa<ParameterOp>(op)) {
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
  if (auto wrap = value.getDefiningOp<bufferization::ToTensorOp>())
    if (auto alloc = wrap.getBuffer().getDefiningOp<memref::AllocOp>())
      return alloc.getMixedSizes();
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

OpFoldResult OnnxLowering::shared(char operation, OpFoldResult lhs, OpFoldResult rhs,
                                  function_ref<Value(Value, Value)> create) {
  OpFoldResult &cached = arithmetic[{operation, lhs.getOpaqueValue(), rhs.getOpaqueValue()}];
  if (!cached)
    cached = create(value(lhs), value(rhs));
  return cached;
}

/// The order of operands of a commutative operation: constants last.
static void order(OpFoldResult &lhs, OpFoldResult &rhs) {
  if (constantOf(lhs) && !constantOf(rhs))
    std::swap(lhs, rhs);
}

OpFoldResult OnnxLowering::add(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(int64_t(uint64_t(*x) + uint64_t(*y)));
  if (y == 0)
    return lhs;
  return shared('+', lhs, rhs, [&](Value l, Value r) { return arith::AddIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::sub(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(int64_t(uint64_t(*x) - uint64_t(*y)));
  if (y == 0)
    return lhs;
  if (lhs == rhs)
    return index(0);
  return shared('-', lhs, rhs, [&](Value l, Value r) { return arith::SubIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::mul(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(int64_t(uint64_t(*x) * uint64_t(*y)));
  if (y == 1)
    return lhs;
  if (y == 0)
    return index(0);
  return shared('*', lhs, rhs, [&](Value l, Value r) { return arith::MulIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::div(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (y == 0)
    return index(0);
  if (y == -1)
    return sub(index(0), lhs);
  if (x && y)
    return index(*x / *y);
  if (y == 1)
    return lhs;
  return shared('/', lhs, rhs, [&](Value l, Value r) -> Value {
    if (y)
      return arith::DivSIOp::create(b, l, r);
    // Neither division by zero nor that of the least number by -1 may trap.
    Value zero = value(index(0)), one = value(index(1)), minusOne = value(index(-1));
    Value isZero = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, r, zero);
    Value isMinusOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, r, minusOne);
    Value unsafe = arith::OrIOp::create(b, isZero, isMinusOne);
    Value quotient = arith::DivSIOp::create(b, l, arith::SelectOp::create(b, unsafe, one, r));
    Value negated = arith::SubIOp::create(b, zero, l);
    quotient = arith::SelectOp::create(b, isMinusOne, negated, quotient);
    return arith::SelectOp::create(b, isZero, zero, quotient);
  });
}

OpFoldResult OnnxLowering::min(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(std::min(*x, *y));
  if (lhs == rhs)
    return lhs;
  return shared('<', lhs, rhs, [&](Value l, Value r) { return arith::MinSIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::max(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(std::max(*x, *y));
  if (lhs == rhs)
    return lhs;
  return shared('>', lhs, rhs, [&](Value l, Value r) { return arith::MaxSIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::product(ArrayRef<OpFoldResult> factors) {
  // The constant part last: products that differ only in it share the rest.
  int64_t constant = 1;
  OpFoldResult result = index(1);
  for (OpFoldResult factor : factors) {
    if (std::optional<int64_t> known = constantOf(factor))
      constant = int64_t(uint64_t(constant) * uint64_t(*known));
    else
      result = mul(result, factor);
  }
  return mul(result, index(constant));
}

LogicalResult OnnxLowering::requireEqual(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (lhs == rhs || (x && x == y))
    return success();
  if (x && y)
    return emitError(b.getLoc()) << "requires equal sizes but got " << *x << " and " << *y;
  Value l = value(lhs), r = value(rhs);
  Value same = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, l, r);
  emitRequire(b, b.getLoc(), same, QRT_SHAPE_MISMATCH, l, r);
  return success();
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

RankedTensorType OnnxLowering::typeOf(ArrayRef<OpFoldResult> dims, Type element) {
  SmallVector<int64_t> shape;
  for (OpFoldResult size : dims)
    shape.push_back(constantOf(size).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, element);
}

Value OnnxLowering::empty(ArrayRef<OpFoldResult> dims, Type element) {
  return tensor::EmptyOp::create(b, dims, element);
}

Value OnnxLowering::fill(ArrayRef<OpFoldResult> dims, Value element) {
  Value init = empty(dims, element.getType());
  return linalg::FillOp::create(b, element, init).getResult(0);
}

Value OnnxLowering::constant(Type type, double value) {
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, int64_t(value)));
}

Value OnnxLowering::generic(ArrayRef<OpFoldResult> dims, Type element, ValueRange inputs, ArrayRef<AffineMap> maps,
                            Body body) {
  SmallVector<AffineMap> all(maps);
  all.push_back(b.getMultiDimIdentityMap(dims.size()));
  SmallVector<utils::IteratorType> iterators(dims.size(), utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(b, TypeRange{typeOf(dims, element)}, inputs, ValueRange{empty(dims, element)},
                                      all, iterators, [&](OpBuilder &inner, Location loc, ValueRange arguments) {
                                        ImplicitLocOpBuilder builder(loc, inner);
                                        Value result = body(builder, arguments.drop_back());
                                        linalg::YieldOp::create(builder, result);
                                      });
  return op.getResult(0);
}

Value OnnxLowering::generate(ArrayRef<OpFoldResult> dims, Type element, Body body) {
  return generic(dims, element, {}, {}, [&](ImplicitLocOpBuilder &builder, ValueRange) {
    SmallVector<Value> indices;
    for (size_t i = 0; i < dims.size(); ++i)
      indices.push_back(linalg::IndexOp::create(builder, i));
    return body(builder, indices);
  });
}

FailureOr<Dims> OnnxLowering::broadcast(ArrayRef<Dims> operands) {
  size_t rank = 0;
  for (const Dims &operand : operands)
    rank = std::max(rank, operand.size());
  Dims result(rank, index(1));
  for (const Dims &operand : operands)
    for (auto [i, size] : llvm::enumerate(operand)) {
      OpFoldResult &merged = result[rank - operand.size() + i];
      if (constantOf(size) == 1 || merged == size)
        continue;
      if (constantOf(merged) != 1 && failed(requireEqual(merged, size)))
        return failure();
      if (constantOf(merged) == 1 || constantOf(size))
        merged = size;
    }
  return result;
}

AffineMap OnnxLowering::broadcastMap(ArrayRef<OpFoldResult> from, size_t rank) {
  SmallVector<AffineExpr> expressions;
  for (auto [i, size] : llvm::enumerate(from))
    expressions.push_back(constantOf(size) == 1 ? b.getAffineConstantExpr(0)
                                                : b.getAffineDimExpr(rank - from.size() + i));
  return AffineMap::get(rank, 0, expressions, b.getContext());
}

/// Reassociation that leaves `before` and `after` dimensions alone and treats the
/// `middle` ones as one.
static SmallVector<ReassociationIndices> groupMiddle(size_t before, size_t middle, size_t after) {
  SmallVector<ReassociationIndices> groups;
  int64_t next = 0;
  for (size_t i = 0; i < before; ++i)
    groups.push_back({next++});
  ReassociationIndices &merged = groups.emplace_back();
  for (size_t i = 0; i < middle; ++i)
    merged.push_back(next++);
  for (size_t i = 0; i < after; ++i)
    groups.push_back({next++});
  return groups;
}

Value OnnxLowering::reshape(Value tensor, ArrayRef<OpFoldResult> from, ArrayRef<OpFoldResult> to) {
  if (from == to)
    return tensor;
  Type element = getElementTypeOrSelf(tensor.getType());
  tensor = castTo(tensor, typeOf(from, element));
  size_t before = 0, after = 0, shorter = std::min(from.size(), to.size());
  while (before < shorter && from[before] == to[before])
    ++before;
  while (before + after < shorter && from[from.size() - 1 - after] == to[to.size() - 1 - after])
    ++after;
  // A run of dimensions can only merge into, or come out of, a dimension.
  auto isEmpty = [&] { return before + after == shorter; };
  if (isEmpty() && after > 0)
    --after;
  else if (isEmpty() && before > 0)
    --before;
  ArrayRef<OpFoldResult> fromMiddle = from.slice(before, from.size() - before - after);
  ArrayRef<OpFoldResult> toMiddle = to.slice(before, to.size() - before - after);

  if (fromMiddle.size() != 1) {
    Dims collapsed(from.take_front(before));
    collapsed.push_back(product(fromMiddle));
    llvm::append_range(collapsed, from.take_back(after));
    if (fromMiddle.empty())
      tensor = tensor::ExpandShapeOp::create(b, typeOf(collapsed, element), tensor,
                                             ArrayRef<ReassociationIndices>(), collapsed);
    else
      tensor = tensor::CollapseShapeOp::create(b, typeOf(collapsed, element), tensor,
                                               groupMiddle(before, fromMiddle.size(), after));
  }
  if (toMiddle.size() == 1)
    return castTo(tensor, typeOf(to, element));
  // The verifier wants the collapsed dimension dynamic if one of its parts is.
  Dims collapsed(from.take_front(before));
  collapsed.push_back(llvm::all_of(toMiddle, [](OpFoldResult size) { return constantOf(size).has_value(); })
                          ? product(toMiddle)
                          : OpFoldResult(value(product(toMiddle))));
  llvm::append_range(collapsed, from.take_back(after));
  tensor = castTo(tensor, typeOf(collapsed, element));
  if (toMiddle.empty())
    return tensor::CollapseShapeOp::create(b, typeOf(to, element), tensor, ArrayRef<ReassociationIndices>());
  return tensor::ExpandShapeOp::create(b, typeOf(to, element), tensor, groupMiddle(before, toMiddle.size(), after),
                                       to);
}

Value OnnxLowering::castTo(Value tensor, RankedTensorType type) {
  return tensor.getType() == type ? tensor : tensor::CastOp::create(b, type, tensor).getResult();
}

LogicalResult OnnxLowering::elementwise(Value result, ValueRange operands, Body body) {
  SmallVector<Dims> shapes;
  for (Value operand : operands)
    shapes.push_back(dims(operand));
  FailureOr<Dims> to = broadcast(shapes);
  if (failed(to))
    return failure();
  // Constants that are the same everywhere go into the body.
  SmallVector<Value> inputs, scalars(operands.size());
  SmallVector<AffineMap> maps;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    DenseElementsAttr splat;
    if (auto constant = operand.getDefiningOp<onnx::ConstantOp>())
      splat = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (splat && splat.isSplat() && operands.size() > 1) {
      scalars[i] = arith::ConstantOp::create(b, cast<TypedAttr>(splat.getSplatValue<Attribute>()));
      continue;
    }
    inputs.push_back(tensor(operand));
    maps.push_back(broadcastMap(shapes[i], to->size()));
  }
  Type element = getElementTypeOrSelf(result.getType());
  Value lowered = generic(*to, element, inputs, maps, [&](ImplicitLocOpBuilder &builder, ValueRange arguments) {
    SmallVector<Value> all(scalars);
    size_t next = 0;
    for (Value &value : all)
      if (!value)
        value = arguments[next++];
    return body(builder, all);
  });
  setTensor(result, lowered, *to);
  return success();
}
