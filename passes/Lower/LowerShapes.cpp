//===- LowerShapes.cpp - Operators that change shapes ---------------------===//
//
// What shape comes out, the operators' rules have said. Where the elements stay in their
// order nothing is copied.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// The same elements in the same order, in another shape.
template <typename Op>
LogicalResult lowerInOrder(Op op, OnnxLowering &state) {
  Value data = op->getOperand(0), result = op->getResult(0);
  state.setTensor(result, state.reshape(state.tensor(data), state.dims(data), state.dims(result)));
  return success();
}

/// What is dropped has a size of 1, which the rule has required where it was not known.
LogicalResult lowerSqueeze(onnx::SqueezeOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getData());
  if (op.getAxes()) {
    std::optional<SmallVector<int64_t>> axes = state.shapes.constants(op.getAxes());
    for (int64_t axis : *axes)
      from[positiveAxis(axis, from.size())] = state.index(1);
  }
  Value data = state.tensor(op.getData());
  data = state.castTo(data, state.typeOf(from, getElementTypeOrSelf(data.getType())));
  state.setTensor(op.getSqueezed(), state.reshape(data, from, state.dims(op.getSqueezed())));
  return success();
}

/// A copy of `data` whose elements are read through `map`.
Value copyThrough(AffineMap map, Value data, ArrayRef<OpFoldResult> to, OnnxLowering &state) {
  return state.generic(to, getElementTypeOrSelf(data.getType()), data, map,
                       [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
}

LogicalResult lowerTranspose(onnx::TransposeOp op, OnnxLowering &state) {
  ArrayRef<int64_t> perm = op.getPerm();
  SmallVector<AffineExpr> expressions(perm.size());
  for (auto [i, axis] : llvm::enumerate(perm))
    expressions[positiveAxis(axis, perm.size())] = state.b.getAffineDimExpr(i);
  AffineMap map = AffineMap::get(perm.size(), 0, expressions, state.b.getContext());
  Dims to = state.dims(op.getTransposed());
  state.setTensor(op.getTransposed(), copyThrough(map, state.tensor(op.getData()), to, state));
  return success();
}

LogicalResult lowerExpand(onnx::ExpandOp op, OnnxLowering &state) {
  Dims to = state.dims(op.getOutput()), from = state.dims(op.getInput());
  Value data = state.tensor(op.getInput()), expanded = state.expand(data, from, to);
  if (expanded == data || to.size() > from.size())
    expanded = copyThrough(state.broadcastMap(from, to.size()), expanded, to, state);
  state.setTensor(op.getOutput(), expanded);
  return success();
}

LogicalResult lowerConstantOfShape(onnx::ConstantOfShapeOp op, OnnxLowering &state) {
  auto value = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!value || value.getNumElements() != 1)
    return op.emitOpError("requires one value but got ") << op.getValue().getNumElements();
  Value element = arith::ConstantOp::create(state.b, cast<TypedAttr>(value.getSplatValue<Attribute>()));
  state.setTensor(op.getOutput(), state.fill(state.dims(op.getOutput()), element));
  return success();
}

} // namespace

void lowering::populateShapes(Handlers &handlers) {
  handlers.add(&lowerInOrder<onnx::FlattenOp>);
  handlers.add(&lowerInOrder<onnx::ReshapeOp>);
  handlers.add(&lowerInOrder<onnx::UnsqueezeOp>);
  handlers.add(&lowerConstantOfShape);
  handlers.add(&lowerExpand);
  handlers.add(&lowerSqueeze);
  handlers.add(&lowerTranspose);
}
