//===- LowerReductions.cpp - Reduce*, Softmax, CumSum ---------------------===//
//
// Sums of floats are kept in f64 and rounded once, in order: accurate, and the same
// however many threads run.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

enum class Kind { Sum, Mean, Max, Min, Prod };

Value identity(OnnxLowering &state, Kind kind, Type type) {
  double infinity = std::numeric_limits<double>::infinity();
  auto integer = dyn_cast<IntegerType>(type);
  bool isBoolean = type.isInteger(1); // true is 1, not -1
  switch (kind) {
  case Kind::Sum:
  case Kind::Mean:
    return state.constant(type, 0);
  case Kind::Prod:
    return state.constant(type, 1);
  case Kind::Max:
    if (!integer)
      return state.constant(type, -infinity);
    return arith::ConstantOp::create(
        state.b, state.b.getIntegerAttr(type, isBoolean ? APInt(1, 0) : APInt::getSignedMinValue(integer.getWidth())));
  case Kind::Min:
    if (!integer)
      return state.constant(type, infinity);
    return arith::ConstantOp::create(
        state.b, state.b.getIntegerAttr(type, isBoolean ? APInt(1, 1) : APInt::getSignedMaxValue(integer.getWidth())));
  }
  llvm_unreachable("all kinds are handled");
}

Value combine(ImplicitLocOpBuilder &b, Kind kind, Value l, Value r) {
  bool isFloat = isa<FloatType>(l.getType()), isBoolean = l.getType().isInteger(1);
  if (isBoolean && kind == Kind::Max)
    return arith::OrIOp::create(b, l, r);
  if (isBoolean && kind == Kind::Min)
    return arith::AndIOp::create(b, l, r);
  switch (kind) {
  case Kind::Sum:
  case Kind::Mean:
    return isFloat ? arith::AddFOp::create(b, l, r).getResult() : arith::AddIOp::create(b, l, r).getResult();
  case Kind::Prod:
    return isFloat ? arith::MulFOp::create(b, l, r).getResult() : arith::MulIOp::create(b, l, r).getResult();
  case Kind::Max:
    return isFloat ? arith::MaximumFOp::create(b, l, r).getResult() : arith::MaxSIOp::create(b, l, r).getResult();
  case Kind::Min:
    return isFloat ? arith::MinimumFOp::create(b, l, r).getResult() : arith::MinSIOp::create(b, l, r).getResult();
  }
  llvm_unreachable("all kinds are handled");
}

/// Reduces `reduced` dimensions away. Sums and products of floats come as f64.
Value reduce(OnnxLowering &state, Value data, ArrayRef<OpFoldResult> dims, const llvm::SmallBitVector &reduced,
             Kind kind) {
  ImplicitLocOpBuilder &b = state.b;
  Type element = getElementTypeOrSelf(data.getType());
  bool isWide = isa<FloatType>(element) && kind != Kind::Max && kind != Kind::Min;
  Type working = isWide ? Type(b.getF64Type()) : element;
  // Loops: the kept dimensions, then the reduced ones.
  SmallVector<AffineExpr> read(dims.size()), write;
  SmallVector<utils::IteratorType> iterators;
  Dims to;
  for (bool wantReduced : {false, true})
    for (size_t i = 0; i < dims.size(); ++i)
      if (reduced[i] == wantReduced) {
        read[i] = b.getAffineDimExpr(iterators.size());
        if (!wantReduced) {
          write.push_back(read[i]);
          to.push_back(dims[i]);
        }
        iterators.push_back(wantReduced ? utils::IteratorType::reduction : utils::IteratorType::parallel);
      }
  Value init = state.fill(to, identity(state, kind, working));
  SmallVector<AffineMap> maps{AffineMap::get(dims.size(), 0, read, b.getContext()),
                              AffineMap::get(dims.size(), 0, write, b.getContext())};
  auto op = linalg::GenericOp::create(b, TypeRange{init.getType()}, ValueRange{data}, ValueRange{init}, maps, iterators,
                                      [&](OpBuilder &inner, Location loc, ValueRange in) {
                                        ImplicitLocOpBuilder b(loc, inner);
                                        Value value = isWide ? widen(b, in[0], working) : in[0];
                                        linalg::YieldOp::create(b, combine(b, kind, in[1], value));
                                      });
  return op.getResult(0);
}

template <typename Op, Kind kind>
LogicalResult lowerReduce(Op op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Dims dims = state.dims(op.getData());
  llvm::SmallBitVector reduced(dims.size());
  SmallVector<int64_t> axes = state.shapes.constants(op.getAxes()).value_or(SmallVector<int64_t>());
  for (int64_t axis : axes)
    reduced.set(positiveAxis(axis, dims.size()));
  if (axes.empty() && !op.getNoopWithEmptyAxes())
    reduced.set();
  Value data = state.tensor(op.getData());
  if (reduced.none()) {
    state.setTensor(op.getReduced(), data);
    return success();
  }
  Type element = getElementTypeOrSelf(data.getType());
  Dims kept, counted;
  for (size_t i = 0; i < dims.size(); ++i)
    (reduced[i] ? counted : kept).push_back(dims[i]);
  Value sum = reduce(state, data, dims, reduced, kind);
  if (getElementTypeOrSelf(sum.getType()) != element || kind == Kind::Mean) {
    Value count;
    if (kind == Kind::Mean) {
      Value whole = arith::IndexCastOp::create(b, b.getI64Type(), state.value(state.product(counted)));
      Type type = getElementTypeOrSelf(sum.getType());
      if (!isa<FloatType>(type))
        return op.emitOpError("has no lowering for the mean of elements of type ") << element;
      count = arith::SIToFPOp::create(b, type, whole);
    }
    sum = state.generic(kept, element, sum, b.getMultiDimIdentityMap(kept.size()),
                        [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                          Value result = in[0];
                          if (count)
                            result = arith::DivFOp::create(b, result, count);
                          return narrow(b, result, element);
                        });
  }
  state.setTensor(op.getReduced(), state.reshape(sum, kept, state.dims(op.getReduced())));
  return success();
}

/// exp(x - max) / sum(exp(x - max)), in f32 at least.
LogicalResult lowerSoftmax(onnx::SoftmaxOp op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Dims dims = state.dims(op.getInput());
  Value data = state.tensor(op.getInput());
  Type element = getElementTypeOrSelf(data.getType());
  auto type = dyn_cast<FloatType>(element);
  if (!type)
    return op.emitOpError("has no lowering for elements of type ") << element;
  Type working = type.getWidth() < 32 ? Type(b.getF32Type()) : element;
  int64_t axis = positiveAxis(op.getAxis(), dims.size());
  llvm::SmallBitVector reduced(dims.size());
  reduced.set(axis);
  AffineMap all = b.getMultiDimIdentityMap(dims.size());
  SmallVector<AffineExpr> others(all.getResults());
  others.erase(others.begin() + axis);
  AffineMap rest = AffineMap::get(dims.size(), 0, others, b.getContext());
  Value largest = reduce(state, data, dims, reduced, Kind::Max);
  Value powers =
      state.generic(dims, working, {data, largest}, {all, rest}, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value distance = arith::SubFOp::create(b, widen(b, in[0], working), widen(b, in[1], working));
        return math::ExpOp::create(b, distance);
      });
  Value sum = reduce(state, powers, dims, reduced, Kind::Sum);
  Value result =
      state.generic(dims, element, {powers, sum}, {all, rest}, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value divisor = narrow(b, in[1], working);
        return narrow(b, arith::DivFOp::create(b, in[0], divisor), element);
      });
  state.setTensor(op.getOutput(), result);
  return success();
}

/// `data` with one axis reversed.
Value flip(OnnxLowering &state, Value data, ArrayRef<OpFoldResult> dims, int64_t axis) {
  Value last = state.value(state.sub(dims[axis], state.index(1)));
  return state.generate(dims, getElementTypeOrSelf(data.getType()),
                        [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                          SmallVector<Value> at(in);
                          at[axis] = arith::SubIOp::create(b, last, at[axis]);
                          return tensor::ExtractOp::create(b, data, at);
                        });
}

/// The running sum is an output without the axis, in loops with the axis last.
LogicalResult lowerCumSum(onnx::CumSumOp op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Dims dims = state.dims(op.getX());
  std::optional<Dims> axes = state.elements(op.getAxis());
  std::optional<int64_t> axis = axes && axes->size() == 1 ? constantOf(axes->front()) : std::nullopt;
  if (!axis)
    return op.emitOpError("requires a constant axis");
  int64_t at = positiveAxis(*axis, dims.size()), rank = dims.size();
  Value data = state.tensor(op.getX());
  Type element = getElementTypeOrSelf(data.getType());
  Type working = isa<FloatType>(element) ? Type(b.getF64Type()) : element;
  if (op.getReverse())
    data = flip(state, data, dims, at);
  SmallVector<AffineExpr> full(rank), outer;
  Dims kept;
  for (int64_t i = 0; i < rank; ++i) {
    full[i] = b.getAffineDimExpr(i == at ? rank - 1 : i < at ? i : i - 1);
    if (i != at) {
      outer.push_back(full[i]);
      kept.push_back(dims[i]);
    }
  }
  AffineMap element_ = AffineMap::get(rank, 0, full, b.getContext());
  AffineMap running = AffineMap::get(rank, 0, outer, b.getContext());
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators.back() = utils::IteratorType::reduction;
  Value sums = state.fill(kept, state.constant(working, 0));
  Value init = state.empty(dims, element);
  auto scan = linalg::GenericOp::create(b, TypeRange{init.getType(), sums.getType()}, ValueRange{data},
                                        ValueRange{init, sums}, ArrayRef<AffineMap>{element_, element_, running},
                                        iterators, [&](OpBuilder &inner, Location loc, ValueRange in) {
                                          ImplicitLocOpBuilder b(loc, inner);
                                          Value value = isa<FloatType>(working) ? widen(b, in[0], working) : in[0];
                                          Value next = combine(b, Kind::Sum, in[2], value);
                                          Value shown = op.getExclusive() ? in[2] : next;
                                          linalg::YieldOp::create(b, ValueRange{narrow(b, shown, element), next});
                                        });
  Value result = scan.getResult(0);
  if (op.getReverse())
    result = flip(state, result, dims, at);
  state.setTensor(op.getY(), result);
  return success();
}

} // namespace

void lowering::populateReductions(Handlers &handlers) {
  handlers.add(&lowerReduce<onnx::ReduceMaxOp, Kind::Max>);
  handlers.add(&lowerReduce<onnx::ReduceMeanOp, Kind::Mean>);
  handlers.add(&lowerReduce<onnx::ReduceMinOp, Kind::Min>);
  handlers.add(&lowerReduce<onnx::ReduceProdOp, Kind::Prod>);
  handlers.add(&lowerReduce<onnx::ReduceSumOp, Kind::Sum>);
  handlers.add(&lowerSoftmax);
  handlers.add(&lowerCumSum);
}
