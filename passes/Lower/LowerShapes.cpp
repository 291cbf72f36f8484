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

/// Reads along dimensions of which only the run time knows whether they are 1.
Value expandByIndices(Value data, Dims from, ArrayRef<OpFoldResult> to, OnnxLowering &state) {
  SmallVector<Value> isOne;
  for (OpFoldResult size : from)
    isOne.push_back(
        arith::CmpIOp::create(state.b, arith::CmpIPredicate::eq, state.value(size), state.value(state.index(1))));
  Value zero = state.value(state.index(0));
  return state.generate(to, getElementTypeOrSelf(data.getType()), [&](ImplicitLocOpBuilder &b, ValueRange at) {
    SmallVector<Value> indices;
    for (auto [one, index] : llvm::zip_equal(isOne, at.take_back(from.size())))
      indices.push_back(arith::SelectOp::create(b, one, zero, index));
    return tensor::ExtractOp::create(b, data, indices).getResult();
  });
}

LogicalResult lowerExpand(onnx::ExpandOp op, OnnxLowering &state) {
  Dims to = state.dims(op.getOutput()), from = state.dims(op.getInput());
  auto isKnown = [](auto pair) {
    auto [size, result] = pair;
    return size == result || constantOf(size) == 1 || (constantOf(size) && constantOf(size) == constantOf(result));
  };
  if (!llvm::all_of(llvm::zip_equal(from, ArrayRef(to).take_back(from.size())), isKnown)) {
    state.setTensor(op.getOutput(), expandByIndices(state.tensor(op.getInput()), from, to, state));
    return success();
  }
  AffineMap map = state.broadcastMap(state.dims(op.getInput()), to.size());
  state.setTensor(op.getOutput(), copyThrough(map, state.tensor(op.getInput()), to, state));
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
