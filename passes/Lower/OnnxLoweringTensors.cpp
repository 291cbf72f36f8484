//===- OnnxLoweringTensors.cpp - Loops over tensors and their shapes ------===//
//
// What the handlers of operators share: empty results, broadcasting maps, reshapes.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

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

Value OnnxLowering::fold(Value init, AffineMap write, ValueRange inputs, ArrayRef<AffineMap> maps, Body body) {
  SmallVector<AffineMap> all(maps);
  all.push_back(write);
  SmallVector<utils::IteratorType> iterators(write.getNumDims(), utils::IteratorType::reduction);
  for (AffineExpr result : write.getResults())
    iterators[cast<AffineDimExpr>(result).getPosition()] = utils::IteratorType::parallel;
  auto op = linalg::GenericOp::create(b, TypeRange{init.getType()}, inputs, ValueRange{init}, all, iterators,
                                      [&](OpBuilder &inner, Location loc, ValueRange arguments) {
                                        ImplicitLocOpBuilder builder(loc, inner);
                                        Value result = body(builder, arguments);
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

AffineMap OnnxLowering::broadcastMap(ArrayRef<OpFoldResult> from, size_t rank) {
  SmallVector<AffineExpr> expressions;
  for (auto [i, size] : llvm::enumerate(from))
    expressions.push_back(constantOf(size) == 1 ? b.getAffineConstantExpr(0)
                                                : b.getAffineDimExpr(rank - from.size() + i));
  return AffineMap::get(rank, 0, expressions, b.getContext());
}

Value OnnxLowering::expand(Value tensor, Dims &from, ArrayRef<OpFoldResult> to) {
  auto isKnown = [](auto pair) {
    auto [size, result] = pair;
    return size == result || constantOf(size) == 1 || (constantOf(size) && constantOf(size) == constantOf(result));
  };
  to = to.take_back(from.size());
  if (llvm::all_of(llvm::zip_equal(from, to), isKnown))
    return tensor;
  SmallVector<Value> isOne;
  for (OpFoldResult size : from)
    isOne.push_back(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, value(size), value(index(1))));
  Value zero = value(index(0));
  from.assign(to.begin(), to.end());
  return generate(to, getElementTypeOrSelf(tensor.getType()), [&](ImplicitLocOpBuilder &b, ValueRange at) {
    SmallVector<Value> indices;
    for (auto [one, index] : llvm::zip_equal(isOne, at))
      indices.push_back(arith::SelectOp::create(b, one, zero, index));
    return tensor::ExtractOp::create(b, tensor, indices).getResult();
  });
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
  // A 0 beside an unknown size makes a merged dimension that no verifier accepts; there is nothing to keep anyway.
  auto isZero = [](OpFoldResult size) { return constantOf(size) == 0; };
  if (llvm::any_of(from, isZero) || llvm::any_of(to, isZero))
    return empty(to, element);
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
      tensor = tensor::ExpandShapeOp::create(b, typeOf(collapsed, element), tensor, ArrayRef<ReassociationIndices>(),
                                             collapsed);
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
  return tensor::ExpandShapeOp::create(b, typeOf(to, element), tensor, groupMiddle(before, toMiddle.size(), after), to);
}

Value OnnxLowering::castTo(Value tensor, RankedTensorType type) {
  return tensor.getType() == type ? tensor : tensor::CastOp::create(b, type, tensor).getResult();
}

void OnnxLowering::elementwise(Value result, ValueRange operands, Body body) {
  Dims to = dims(result);
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
    Dims from = dims(operand);
    inputs.push_back(expand(tensor(operand), from, to));
    maps.push_back(broadcastMap(from, to.size()));
  }
  Type element = getElementTypeOrSelf(result.getType());
  Value lowered = generic(to, element, inputs, maps, [&](ImplicitLocOpBuilder &builder, ValueRange arguments) {
    SmallVector<Value> all(scalars);
    size_t next = 0;
    for (Value &value : all)
      if (!value)
        value = arguments[next++];
    return body(builder, all);
  });
  setTensor(result, lowered);
}
