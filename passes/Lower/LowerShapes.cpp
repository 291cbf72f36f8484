//===- LowerShapes.cpp - Operators that only change the shape -------------===//
//
// They cost nothing: a view of the same elements, and shapes as values.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

LogicalResult reshapeTo(Value result, Value data, Dims to, OnnxLowering &state) {
  Dims from = state.dims(data);
  if (failed(state.requireEqual(state.product(from), state.product(to))))
    return failure();
  state.setTensor(result, state.reshape(state.tensor(data), from, to), to);
  return success();
}

/// The size that -1 stands for. Factors that occur on both sides cancel, so that
/// it stays constant wherever it is.
LogicalResult inferDimension(ArrayRef<OpFoldResult> from, Dims &to, size_t at, OnnxLowering &state) {
  Dims above(from), below;
  for (auto [i, size] : llvm::enumerate(to)) {
    auto found = llvm::find(above, size);
    if (i == at)
      continue;
    if (found != above.end())
      above.erase(found);
    else
      below.push_back(size);
  }
  to[at] = state.div(state.product(above), state.product(below));
  if (std::optional<int64_t> x = constantOf(state.product(above)), y = constantOf(state.product(below));
      x && y && (*y == 0 || *x % *y != 0))
    return emitError(state.b.getLoc()) << "cannot infer a dimension: " << *x << " elements in rows of " << *y;
  return success();
}

/// A size that is known only at run time: 0 copies the input's, as a constant 0 does.
OpFoldResult copyIfZero(OpFoldResult size, OpFoldResult copied, OnnxLowering &state) {
  Value value = state.value(size);
  if (copied == size || value.getDefiningOp<tensor::DimOp>())
    return size;
  Value isZero = arith::CmpIOp::create(state.b, arith::CmpIPredicate::eq, value, state.value(state.index(0)));
  return arith::SelectOp::create(state.b, isZero, state.value(copied), value).getResult();
}

/// Elements of `shape` that were read from memory may be -1 and then take what the
/// other sizes `to` leave.
void inferAtRunTime(ArrayRef<OpFoldResult> shape, ArrayRef<OpFoldResult> from, Dims &to, OnnxLowering &state) {
  Dims others(to);
  for (auto [i, element] : llvm::enumerate(shape)) {
    auto value = dyn_cast<Value>(element);
    if (!value || !value.getDefiningOp<arith::IndexCastOp>() || constantOf(to[i]))
      continue;
    OpFoldResult own = std::exchange(others[i], state.index(1));
    OpFoldResult rest = state.div(state.product(from), state.product(others));
    others[i] = own;
    Value isInferred = arith::CmpIOp::create(state.b, arith::CmpIPredicate::eq, value, state.value(state.index(-1)));
    to[i] = arith::SelectOp::create(state.b, isInferred, state.value(rest), state.value(own)).getResult();
  }
}

LogicalResult lowerReshape(onnx::ReshapeOp op, OnnxLowering &state) {
  std::optional<Dims> shape = state.elements(op.getShape());
  if (!shape)
    return op.emitOpError("requires a shape of known length");
  Dims from = state.dims(op.getData()), to(*shape);
  auto type = cast<RankedTensorType>(op.getReshaped().getType());
  bool hasRank = type.getRank() == static_cast<int64_t>(to.size());
  std::optional<size_t> inferred;
  for (auto [i, size] : llvm::enumerate(to)) {
    std::optional<int64_t> constant = constantOf(size);
    bool copies = !op.getAllowzero() && i < from.size();
    if (!constant && hasRank && !type.isDynamicDim(i))
      size = state.index(type.getDimSize(i));
    else if (!constant && copies)
      size = copyIfZero(size, from[i], state);
    else if (constant == 0 && copies)
      size = from[i];
    else if (constant == 0 && !op.getAllowzero())
      return op.emitOpError("copies dimension ") << i << " of an input of rank " << from.size();
    else if (constant == -1 && inferred)
      return op.emitOpError("has more than one -1 in its shape");
    else if (constant == -1)
      inferred = i;
    else if (constant && *constant < -1)
      return op.emitOpError("has dimension ") << *constant << " in its shape";
  }
  if (!inferred)
    inferAtRunTime(*shape, from, to, state);
  else if (failed(inferDimension(from, to, *inferred, state)))
    return failure();
  return reshapeTo(op.getReshaped(), op.getData(), to, state);
}

LogicalResult lowerFlatten(onnx::FlattenOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getInput());
  int64_t axis = positiveAxis(op.getAxis(), from.size());
  Dims to{state.product(ArrayRef(from).take_front(axis)), state.product(ArrayRef(from).drop_front(axis))};
  state.setTensor(op.getOutput(), state.reshape(state.tensor(op.getInput()), from, to), to);
  return success();
}

LogicalResult lowerUnsqueeze(onnx::UnsqueezeOp op, OnnxLowering &state) {
  std::optional<SmallVector<int64_t>> axes = onnx::getConstantInts(op.getAxes());
  if (!axes)
    return op.emitOpError("requires constant axes");
  Dims from = state.dims(op.getData());
  int64_t rank = from.size() + axes->size();
  llvm::SmallDenseSet<int64_t> ones;
  for (int64_t axis : *axes)
    ones.insert(positiveAxis(axis, rank));
  Dims to;
  size_t next = 0;
  for (int64_t i = 0; i < rank; ++i)
    to.push_back(ones.contains(i) ? state.index(1) : from[next++]);
  state.setTensor(op.getExpanded(), state.reshape(state.tensor(op.getData()), from, to), to);
  return success();
}

LogicalResult lowerSqueeze(onnx::SqueezeOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getData()), to;
  int64_t rank = from.size();
  llvm::SmallDenseSet<int64_t> dropped;
  if (op.getAxes()) {
    std::optional<SmallVector<int64_t>> axes = onnx::getConstantInts(op.getAxes());
    if (!axes)
      return op.emitOpError("requires constant axes");
    for (int64_t axis : *axes)
      dropped.insert(positiveAxis(axis, rank));
  }
  for (auto [i, size] : llvm::enumerate(from)) {
    bool drop = op.getAxes() ? dropped.contains(i) : constantOf(size) == 1;
    if (!drop)
      to.push_back(size);
    else if (failed(state.requireEqual(size, state.index(1))))
      return failure();
  }
  Value data = state.tensor(op.getData());
  for (auto [i, size] : llvm::enumerate(from))
    if (dropped.contains(i))
      size = state.index(1);
  data = state.castTo(data, state.typeOf(from, getElementTypeOrSelf(data.getType())));
  state.setTensor(op.getSqueezed(), state.reshape(data, from, to), to);
  return success();
}

LogicalResult lowerTranspose(onnx::TransposeOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getData()), to;
  ArrayRef<int64_t> perm = op.getPerm();
  SmallVector<AffineExpr> expressions(perm.size());
  for (auto [i, axis] : llvm::enumerate(perm)) {
    to.push_back(from[axis]);
    expressions[axis] = state.b.getAffineDimExpr(i);
  }
  AffineMap map = AffineMap::get(perm.size(), 0, expressions, state.b.getContext());
  Value data = state.tensor(op.getData());
  state.setTensor(op.getTransposed(),
                  state.generic(to, getElementTypeOrSelf(data.getType()), data, map,
                                [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; }),
                  to);
  return success();
}

LogicalResult lowerExpand(onnx::ExpandOp op, OnnxLowering &state) {
  std::optional<Dims> shape = state.elements(op.getShape());
  if (!shape)
    return op.emitOpError("requires a shape of known length");
  Dims from = state.dims(op.getInput());
  FailureOr<Dims> to = state.broadcast({from, *shape});
  if (failed(to))
    return failure();
  Value data = state.tensor(op.getInput());
  state.setTensor(op.getOutput(),
                  state.generic(*to, getElementTypeOrSelf(data.getType()), data, state.broadcastMap(from, to->size()),
                                [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; }),
                  *to);
  return success();
}

LogicalResult lowerConstantOfShape(onnx::ConstantOfShapeOp op, OnnxLowering &state) {
  std::optional<Dims> shape = state.elements(op.getInput());
  auto value = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!shape || !value || value.getNumElements() != 1)
    return op.emitOpError("requires a shape of known length and one value");
  Dims dims;
  for (OpFoldResult size : *shape)
    dims.push_back(state.max(size, state.index(0)));
  Value element = arith::ConstantOp::create(state.b, cast<TypedAttr>(value.getSplatValue<Attribute>()));
  state.setTensor(op.getOutput(), state.fill(dims, element), dims);
  return success();
}

} // namespace

void lowering::populateShapes(Handlers &handlers) {
  handlers.add(&lowerConstantOfShape);
  handlers.add(&lowerExpand);
  handlers.add(&lowerFlatten);
  handlers.add(&lowerReshape);
  handlers.add(&lowerSqueeze);
  handlers.add(&lowerTranspose);
  handlers.add(&lowerUnsqueeze);
}
