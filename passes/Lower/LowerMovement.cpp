//===- LowerMovement.cpp - Operators that move elements -------------------===//
//
// Each is a loop whose body reads at another index, so it fuses with its readers.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

LogicalResult lowerConcat(onnx::ConcatOp op, OnnxLowering &state) {
  Dims dims = state.dims(op.getInputs()[0]);
  int64_t axis = positiveAxis(op.getAxis(), dims.size());
  dims[axis] = state.index(0);
  for (Value input : op.getInputs()) {
    Dims part = state.dims(input);
    for (size_t i = 0; i < dims.size(); ++i) {
      if (int64_t(i) == axis)
        dims[i] = state.add(dims[i], part[i]);
      else if (failed(state.requireEqual(dims[i], part[i])))
        return failure();
      else if (constantOf(part[i]))
        dims[i] = part[i];
    }
  }
  Type element = getElementTypeOrSelf(op.getConcatResult().getType());
  Value result = state.empty(dims, element);
  Dims offsets(dims.size(), state.index(0)), strides(dims.size(), state.index(1));
  for (Value input : op.getInputs()) {
    Dims part = state.dims(input);
    Dims sizes = dims;
    sizes[axis] = part[axis];
    Value from = state.castTo(state.tensor(input), state.typeOf(sizes, element));
    result = tensor::InsertSliceOp::create(state.b, from, result, offsets, sizes, strides);
    offsets[axis] = state.add(offsets[axis], part[axis]);
  }
  state.setTensor(op.getConcatResult(), result, dims);
  return success();
}

/// Counted from the end where negative.
OpFoldResult fromEnd(OpFoldResult position, OpFoldResult size, OnnxLowering &state) {
  if (std::optional<int64_t> constant = constantOf(position))
    return *constant < 0 ? state.add(size, position) : position;
  ImplicitLocOpBuilder &b = state.b;
  Value value = state.value(position);
  Value isNegative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, value, state.value(state.index(0)));
  return arith::SelectOp::create(b, isNegative, state.value(state.add(position, size)), value).getResult();
}

LogicalResult lowerSlice(onnx::SliceOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getData());
  std::optional<Dims> starts = state.elements(op.getStarts()), ends = state.elements(op.getEnds()), axes, steps;
  if (op.getAxes())
    axes = state.elements(op.getAxes());
  if (op.getSteps())
    steps = state.elements(op.getSteps());
  if (!starts || !ends || (op.getAxes() && !axes) || (op.getSteps() && !steps))
    return op.emitOpError("requires as many starts, ends, axes and steps as are known before run time");
  if (starts->size() != ends->size() || (axes && axes->size() != starts->size()) ||
      (steps && steps->size() != starts->size()))
    return op.emitOpError("requires as many starts, ends, axes and steps, but got ")
           << starts->size() << " starts and " << ends->size() << " ends";
  Dims offsets(from.size(), state.index(0)), to = from, strides(from.size(), state.index(1));
  for (size_t i = 0; i < starts->size(); ++i) {
    std::optional<int64_t> axis = axes ? constantOf((*axes)[i]) : std::optional<int64_t>(i);
    std::optional<int64_t> step = steps ? constantOf((*steps)[i]) : std::optional<int64_t>(1);
    if (!axis || !step || *step == 0)
      return op.emitOpError("requires constant axes and constant steps that are not 0");
    int64_t at = positiveAxis(*axis, from.size());
    if (at < 0 || at >= int64_t(from.size()))
      return op.emitOpError("has axis ") << *axis << " for an input of rank " << from.size();
    OpFoldResult size = from[at], zero = state.index(0);
    OpFoldResult low = *step > 0 ? zero : state.index(-1);
    OpFoldResult high = *step > 0 ? size : state.sub(size, state.index(1));
    OpFoldResult start = state.max(state.min(fromEnd((*starts)[i], size, state), high), zero);
    OpFoldResult end = state.max(state.min(fromEnd((*ends)[i], size, state), high), low);
    OpFoldResult span = *step > 0 ? state.sub(end, start) : state.sub(start, end);
    int64_t stride = std::abs(*step);
    offsets[at] = start;
    strides[at] = state.index(*step);
    to[at] = state.max(state.div(state.add(span, state.index(stride - 1)), state.index(stride)), zero);
    // An empty input has no first element for a negative step to start from.
    if (*step < 0)
      to[at] = state.min(to[at], size);
  }
  Value data = state.tensor(op.getData());
  Type element = getElementTypeOrSelf(data.getType());
  bool isForward = llvm::all_of(strides, [](OpFoldResult s) { return *constantOf(s) > 0; });
  Value result = isForward ? tensor::ExtractSliceOp::create(state.b, data, offsets, to, strides).getResult()
                           : state.generate(to, element, [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
                               SmallVector<Value> indices;
                               for (size_t i = 0; i < at.size(); ++i) {
                                 Value step = arith::ConstantIndexOp::create(b, *constantOf(strides[i]));
                                 Value offset = getValueOrCreateConstantIndexOp(b, b.getLoc(), offsets[i]);
                                 Value scaled = arith::MulIOp::create(b, at[i], step);
                                 indices.push_back(arith::AddIOp::create(b, scaled, offset));
                               }
                               return tensor::ExtractOp::create(b, data, indices);
                             });
  state.setTensor(op.getOutput(), result, to);
  return success();
}

LogicalResult lowerSplit(onnx::SplitOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getInput());
  int64_t axis = positiveAxis(op.getAxis(), from.size());
  size_t count = op.getNumResults();
  Dims sizes;
  if (op.getSplit()) {
    std::optional<Dims> given = state.elements(op.getSplit());
    if (!given || given->size() != count)
      return op.emitOpError("requires ") << count << " sizes in split";
    sizes = *given;
    OpFoldResult sum = state.index(0);
    for (OpFoldResult size : sizes)
      sum = state.add(sum, size);
    if (failed(state.requireEqual(sum, from[axis])))
      return failure();
  } else {
    // Parts of equal size, the last one smaller if need be.
    OpFoldResult part = state.div(state.add(from[axis], state.index(count - 1)), state.index(count));
    OpFoldResult rest = from[axis];
    for (size_t i = 0; i < count; ++i) {
      sizes.push_back(state.min(part, rest));
      rest = state.sub(rest, sizes.back());
    }
  }
  Dims offsets(from.size(), state.index(0)), strides(from.size(), state.index(1));
  for (size_t i = 0; i < count; ++i) {
    Dims to = from;
    to[axis] = sizes[i];
    Value part = tensor::ExtractSliceOp::create(state.b, state.tensor(op.getInput()), offsets, to, strides);
    state.setTensor(op.getResult(i), part, to);
    offsets[axis] = state.add(offsets[axis], sizes[i]);
  }
  return success();
}

LogicalResult lowerTile(onnx::TileOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getInput()), to;
  std::optional<Dims> repeats = state.elements(op.getRepeats());
  if (!repeats || repeats->size() != from.size())
    return op.emitOpError("requires ") << from.size() << " repeats";
  for (auto [size, repeat] : llvm::zip(from, *repeats))
    to.push_back(state.mul(size, state.max(repeat, state.index(0))));
  Value data = state.tensor(op.getInput());
  Value result =
      state.generate(to, getElementTypeOrSelf(data.getType()), [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
        SmallVector<Value> indices;
        for (size_t i = 0; i < at.size(); ++i)
          indices.push_back(arith::RemUIOp::create(b, at[i], getValueOrCreateConstantIndexOp(b, b.getLoc(), from[i])));
        return tensor::ExtractOp::create(b, data, indices);
      });
  state.setTensor(op.getOutput(), result, to);
  return success();
}

LogicalResult lowerTrilu(onnx::TriluOp op, OnnxLowering &state) {
  Dims dims = state.dims(op.getInput());
  if (dims.size() < 2)
    return op.emitOpError("requires a matrix but got rank ") << dims.size();
  Value diagonal = state.value(state.index(0));
  if (op.getK()) {
    std::optional<Dims> k = state.elements(op.getK());
    if (!k || k->size() != 1)
      return op.emitOpError("requires one number for k");
    diagonal = state.value(k->front());
  }
  Value data = state.tensor(op.getInput());
  Type element = getElementTypeOrSelf(data.getType());
  bool isUpper = op.getUpper() != 0;
  size_t rank = dims.size();
  Value result = state.generic(dims, element, data, state.b.getMultiDimIdentityMap(rank),
                               [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                                 Value row = linalg::IndexOp::create(b, rank - 2);
                                 Value column = linalg::IndexOp::create(b, rank - 1);
                                 Value distance = arith::SubIOp::create(b, column, row);
                                 auto predicate = isUpper ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle;
                                 Value keeps = arith::CmpIOp::create(b, predicate, distance, diagonal);
                                 Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
                                 return arith::SelectOp::create(b, keeps, in[0], zero);
                               });
  state.setTensor(op.getOutput(), result, dims);
  return success();
}

/// max(ceil((limit - start) / delta), 0), for any sign of delta.
OpFoldResult countSteps(OpFoldResult start, OpFoldResult limit, OpFoldResult delta, OnnxLowering &state) {
  OpFoldResult one = state.index(1), zero = state.index(0);
  OpFoldResult back = state.sub(zero, delta), span = state.sub(limit, start);
  auto upward = [&] { return state.div(state.sub(state.add(span, delta), one), delta); };
  auto downward = [&] { return state.div(state.sub(state.add(state.sub(start, limit), back), one), back); };
  if (std::optional<int64_t> known = constantOf(delta))
    return state.max(*known > 0 ? upward() : *known < 0 ? downward() : zero, zero);
  Value isUp = arith::CmpIOp::create(state.b, arith::CmpIPredicate::sgt, state.value(delta), state.value(zero));
  Value count = arith::SelectOp::create(state.b, isUp, state.value(upward()), state.value(downward()));
  return state.max(count, zero);
}

LogicalResult lowerRange(onnx::RangeOp op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Type element = getElementTypeOrSelf(op.getOutput().getType());
  Value start = state.scalar(op.getStart()), delta = state.scalar(op.getDelta());
  OpFoldResult count;
  if (auto type = dyn_cast<FloatType>(element)) {
    if (type.getWidth() < 32)
      return op.emitOpError("has no lowering for elements of type ") << element;
    Type f64 = b.getF64Type();
    auto widen = [&](Value v) { return element == f64 ? v : arith::ExtFOp::create(b, f64, v).getResult(); };
    Value span = arith::SubFOp::create(b, widen(state.scalar(op.getLimit())), widen(start));
    Value steps = math::CeilOp::create(b, arith::DivFOp::create(b, span, widen(delta)));
    // Also without NaN and infinity a conversion must stay in range.
    Value isSane =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, math::AbsFOp::create(b, steps), state.constant(f64, 1e15));
    steps = arith::SelectOp::create(b, isSane, steps, state.constant(f64, 0));
    Value whole = arith::FPToSIOp::create(b, b.getI64Type(), steps);
    count = state.max(arith::IndexCastOp::create(b, b.getIndexType(), whole).getResult(), state.index(0));
  } else {
    std::optional<Dims> first = state.elements(op.getStart()), limit = state.elements(op.getLimit()),
                        step = state.elements(op.getDelta());
    if (!first || !limit || !step)
      return op.emitOpError("has no lowering for elements of type ") << element;
    count = countSteps(first->front(), limit->front(), step->front(), state);
  }
  Value result = state.generate({count}, element, [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
    if (!isa<FloatType>(element)) {
      Value i = arith::IndexCastOp::create(b, element, at[0]);
      return arith::AddIOp::create(b, start, arith::MulIOp::create(b, i, delta));
    }
    Value i = arith::IndexCastOp::create(b, b.getI64Type(), at[0]);
    Value number = arith::SIToFPOp::create(b, element, i);
    return arith::AddFOp::create(b, start, arith::MulFOp::create(b, number, delta));
  });
  state.setTensor(op.getOutput(), result, {count});
  return success();
}

} // namespace

void lowering::populateMovement(Handlers &handlers) {
  handlers.add(&lowerConcat);
  handlers.add(&lowerRange);
  handlers.add(&lowerSlice);
  handlers.add(&lowerSplit);
  handlers.add(&lowerTile);
  handlers.add(&lowerTrilu);
}
