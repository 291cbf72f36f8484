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

/// Parts without elements may lie at the end of a tensor, where MLIR lets no slice begin; so may all
/// parts of one without elements.
bool isEmpty(ArrayRef<OpFoldResult> sizes) {
  return llvm::any_of(sizes, [](OpFoldResult size) { return constantOf(size) == 0; });
}

Value slice(Value data, const Dims &offsets, const Dims &sizes, const Dims &strides, OnnxLowering &state) {
  if (isEmpty(sizes) || llvm::is_contained(cast<RankedTensorType>(data.getType()).getShape(), 0))
    return state.empty(sizes, getElementTypeOrSelf(data.getType()));
  return tensor::ExtractSliceOp::create(state.b, data, offsets, sizes, strides);
}

LogicalResult lowerConcat(onnx::ConcatOp op, OnnxLowering &state) {
  Dims dims = state.dims(op.getConcatResult());
  int64_t axis = positiveAxis(op.getAxis(), dims.size());
  Type element = getElementTypeOrSelf(op.getConcatResult().getType());
  Value result = state.empty(dims, element);
  Dims offsets(dims.size(), state.index(0)), strides(dims.size(), state.index(1));
  for (Value input : op.getInputs()) {
    Dims part = state.dims(input);
    Dims sizes = dims;
    sizes[axis] = part[axis];
    if (isEmpty(sizes))
      continue;
    Value from = state.castTo(state.tensor(input), state.typeOf(sizes, element));
    result = tensor::InsertSliceOp::create(state.b, from, result, offsets, sizes, strides);
    offsets[axis] = state.add(offsets[axis], part[axis]);
  }
  state.setTensor(op.getConcatResult(), result);
  return success();
}

LogicalResult lowerSlice(onnx::SliceOp op, OnnxLowering &state) {
  Dims to = state.dims(op.getOutput());
  Dims offsets(to.size(), state.index(0)), strides(to.size(), state.index(1));
  FailureOr<SmallVector<onnx::SliceRange>> ranges = onnx::sliceRanges(op, state.shapes);
  if (failed(ranges))
    return failure();
  for (const onnx::SliceRange &range : *ranges) {
    offsets[range.axis] = state.shapes.sizeOf(range.start);
    strides[range.axis] = state.index(range.step);
  }
  Value data = state.tensor(op.getData());
  Type element = getElementTypeOrSelf(data.getType());
  bool isForward = llvm::all_of(strides, [](OpFoldResult s) { return *constantOf(s) > 0; });
  Value result = isForward ? slice(data, offsets, to, strides, state)
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
  state.setTensor(op.getOutput(), result);
  return success();
}

LogicalResult lowerSplit(onnx::SplitOp op, OnnxLowering &state) {
  Value input = state.tensor(op.getInput());
  size_t rank = state.dims(op.getInput()).size();
  int64_t axis = positiveAxis(op.getAxis(), rank);
  Dims offsets(rank, state.index(0)), strides(rank, state.index(1));
  for (Value result : op.getResults()) {
    Dims to = state.dims(result);
    state.setTensor(result, slice(input, offsets, to, strides, state));
    offsets[axis] = state.add(offsets[axis], to[axis]);
  }
  return success();
}

LogicalResult lowerTile(onnx::TileOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getInput()), to = state.dims(op.getOutput());
  Value data = state.tensor(op.getInput());
  Value result =
      state.generate(to, getElementTypeOrSelf(data.getType()), [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
        SmallVector<Value> indices;
        for (size_t i = 0; i < at.size(); ++i)
          indices.push_back(arith::RemUIOp::create(b, at[i], getValueOrCreateConstantIndexOp(b, b.getLoc(), from[i])));
        return tensor::ExtractOp::create(b, data, indices);
      });
  state.setTensor(op.getOutput(), result);
  return success();
}

LogicalResult lowerTrilu(onnx::TriluOp op, OnnxLowering &state) {
  Dims dims = state.dims(op.getInput());
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
  state.setTensor(op.getOutput(), result);
  return success();
}

/// max(ceil((limit - start) / delta), 0), where the sign of delta is only known at run time.
OpFoldResult countSteps(OpFoldResult start, OpFoldResult limit, OpFoldResult delta, OnnxLowering &state) {
  OpFoldResult one = state.index(1), zero = state.index(0);
  OpFoldResult back = state.sub(zero, delta), span = state.sub(limit, start);
  OpFoldResult upward = state.div(state.sub(state.add(span, delta), one), delta);
  OpFoldResult downward = state.div(state.sub(state.add(state.sub(start, limit), back), one), back);
  Value isUp = arith::CmpIOp::create(state.b, arith::CmpIPredicate::sgt, state.value(delta), state.value(zero));
  Value count = arith::SelectOp::create(state.b, isUp, state.value(upward), state.value(downward));
  return state.max(count, zero);
}

LogicalResult lowerRange(onnx::RangeOp op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Type element = getElementTypeOrSelf(op.getOutput().getType());
  auto type = dyn_cast<FloatType>(element);
  if (type && type.getWidth() < 32)
    return op.emitOpError("has no lowering for elements of type ") << element;
  Value start = state.scalar(op.getStart()), delta = state.scalar(op.getDelta());
  OpFoldResult count;
  if (state.hasDims(op.getOutput())) {
    count = state.dims(op.getOutput())[0];
  } else if (type) {
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
    if (!first || !limit || !step || first->size() != 1 || limit->size() != 1 || step->size() != 1)
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
