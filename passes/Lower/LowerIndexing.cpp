//===- LowerIndexing.cpp - Operators with indices that are data -----------===//
//
// Indices come from the user (token ids), so they are checked before anything is
// read: one pass over them, then the entry point goes on or fails with the index
// and the size. The loops themselves need no check.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// An index value from an element of an index tensor, counted from the end where
/// negative.
Value toIndex(ImplicitLocOpBuilder &b, Value element, Value size) {
  Value at = arith::IndexCastOp::create(b, b.getIndexType(), element);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value isNegative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, at, zero);
  return arith::SelectOp::create(b, isNegative, arith::AddIOp::create(b, at, size), at);
}

/// Fails at run time unless every index in `indices` (whose elements `map` picks,
/// in loops over `dims`) is in [-size, size), or in [0, size).
void requireInRange(Value indices, AffineMap map, ArrayRef<OpFoldResult> dims, OpFoldResult size, OnnxLowering &state,
                    bool countsFromEnd = true) {
  ImplicitLocOpBuilder &b = state.b;
  Type element = getElementTypeOrSelf(indices.getType());
  Value extent = state.value(size);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
  Value init = state.fill({}, zero);
  AffineMap none = AffineMap::get(map.getNumDims(), 0, b.getContext());
  SmallVector<utils::IteratorType> iterators(map.getNumDims(), utils::IteratorType::reduction);
  auto isBad = [&](ImplicitLocOpBuilder &b, Value index) -> Value {
    Value at =
        countsFromEnd ? toIndex(b, index, extent) : arith::IndexCastOp::create(b, b.getIndexType(), index).getResult();
    return arith::CmpIOp::create(b, arith::CmpIPredicate::uge, at, extent);
  };
  // The last index out of range, or 0.
  auto worst = linalg::GenericOp::create(b, TypeRange{init.getType()}, ValueRange{indices}, ValueRange{init},
                                         ArrayRef<AffineMap>{map, none}, iterators,
                                         [&](OpBuilder &inner, Location loc, ValueRange in) {
                                           ImplicitLocOpBuilder b(loc, inner);
                                           Value next = arith::SelectOp::create(b, isBad(b, in[0]), in[0], in[1]);
                                           linalg::YieldOp::create(b, next);
                                         });
  Value found = tensor::ExtractOp::create(b, worst.getResult(0), ValueRange());
  Value isEmpty =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, state.value(state.product(dims)), state.value(state.index(0)));
  Value isGood = arith::XOrIOp::create(b, isBad(b, found), arith::ConstantIntOp::create(b, 1, 1));
  Value condition = arith::OrIOp::create(b, isGood, isEmpty);
  emitRequire(b, b.getLoc(), condition, RuntimeError::IndexOutOfRange, found, extent);
}

/// `indices` is a tensor of the graph; constants are looked at now.
LogicalResult requireInRange(Value indices, OpFoldResult size, OnnxLowering &state) {
  if (std::optional<SmallVector<int64_t>> known = state.shapes.constants(indices); known && constantOf(size)) {
    for (int64_t at : *known)
      if (at < -*constantOf(size) || at >= *constantOf(size))
        return state.shapes.error("index ", at, " is out of range for size ", *constantOf(size));
    return success();
  }
  Dims dims = state.dims(indices);
  requireInRange(state.tensor(indices), state.b.getMultiDimIdentityMap(dims.size()), dims, size, state);
  return success();
}

LogicalResult lowerGather(onnx::GatherOp op, OnnxLowering &state) {
  Dims data = state.dims(op.getData()), indices = state.dims(op.getIndices());
  int64_t axis = positiveAxis(op.getAxis(), data.size());
  if (failed(requireInRange(op.getIndices(), data[axis], state)))
    return failure();
  Dims to = state.dims(op.getOutput());
  SmallVector<AffineExpr> picks;
  for (size_t i = 0; i < indices.size(); ++i)
    picks.push_back(state.b.getAffineDimExpr(axis + i));
  AffineMap map = AffineMap::get(to.size(), 0, picks, state.b.getContext());
  Value from = state.tensor(op.getData()), size = state.value(data[axis]);
  Value result = state.generic(to, getElementTypeOrSelf(from.getType()), state.tensor(op.getIndices()), map,
                               [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                                 SmallVector<Value> at;
                                 for (int64_t i = 0; i < axis; ++i)
                                   at.push_back(linalg::IndexOp::create(b, i));
                                 at.push_back(toIndex(b, in[0], size));
                                 for (size_t i = axis + indices.size(); i < to.size(); ++i)
                                   at.push_back(linalg::IndexOp::create(b, i));
                                 return tensor::ExtractOp::create(b, from, at);
                               });
  state.setTensor(op.getOutput(), result);
  return success();
}

LogicalResult lowerGatherElements(onnx::GatherElementsOp op, OnnxLowering &state) {
  Dims data = state.dims(op.getData()), to = state.dims(op.getIndices());
  int64_t axis = positiveAxis(op.getAxis(), data.size());
  if (failed(requireInRange(op.getIndices(), data[axis], state)))
    return failure();
  // The other dimensions may be shorter than those of the data, not longer.
  for (size_t i = 0; i < to.size(); ++i)
    if (int64_t(i) != axis && failed(state.requireEqual(state.max(to[i], data[i]), data[i])))
      return failure();
  Value from = state.tensor(op.getData()), size = state.value(data[axis]);
  Value result = state.generic(
      to, getElementTypeOrSelf(from.getType()), state.tensor(op.getIndices()),
      state.b.getMultiDimIdentityMap(to.size()), [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        SmallVector<Value> at;
        for (size_t i = 0; i < to.size(); ++i)
          at.push_back(int64_t(i) == axis ? toIndex(b, in[0], size) : linalg::IndexOp::create(b, i).getResult());
        return tensor::ExtractOp::create(b, from, at);
      });
  state.setTensor(op.getOutput(), result);
  return success();
}

/// The length of an index tuple, from the last dimension of `indices`; checks that
/// tuple member i is an index into data[first + i].
FailureOr<int64_t> requireTuplesInRange(Operation *op, Value indices, ArrayRef<OpFoldResult> data, int64_t first,
                                        OnnxLowering &state) {
  Dims dims = state.dims(indices);
  std::optional<int64_t> depth = dims.empty() ? std::nullopt : constantOf(dims.back());
  if (!depth || first + *depth > int64_t(data.size()))
    return op->emitOpError("requires index tuples of constant length, at most the rank of the data");
  Dims rows(ArrayRef(dims).drop_back());
  for (int64_t i = 0; i < *depth; ++i) {
    SmallVector<AffineExpr> picks;
    for (size_t d = 0; d < rows.size(); ++d)
      picks.push_back(state.b.getAffineDimExpr(d));
    picks.push_back(state.b.getAffineConstantExpr(i));
    requireInRange(state.tensor(indices), AffineMap::get(rows.size(), 0, picks, state.b.getContext()), rows,
                   data[first + i], state);
  }
  return *depth;
}

LogicalResult lowerGatherND(onnx::GatherNDOp op, OnnxLowering &state) {
  Dims data = state.dims(op.getData()), indices = state.dims(op.getIndices());
  int64_t batch = op.getBatchDims();
  FailureOr<int64_t> depth = requireTuplesInRange(op, op.getIndices(), data, batch, state);
  if (failed(depth))
    return failure();
  for (int64_t i = 0; i < batch; ++i)
    if (failed(state.requireEqual(data[i], indices[i])))
      return failure();
  Dims to = state.dims(op.getOutput());
  size_t rows = indices.size() - 1;
  Value from = state.tensor(op.getData()), tuples = state.tensor(op.getIndices());
  Value result =
      state.generate(to, getElementTypeOrSelf(from.getType()), [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        SmallVector<Value> at(in.take_front(batch)), tuple(in.take_front(rows));
        tuple.emplace_back();
        for (int64_t i = 0; i < *depth; ++i) {
          tuple.back() = arith::ConstantIndexOp::create(b, i);
          Value size = getValueOrCreateConstantIndexOp(b, b.getLoc(), data[batch + i]);
          at.push_back(toIndex(b, tensor::ExtractOp::create(b, tuples, tuple), size));
        }
        llvm::append_range(at, in.drop_front(rows));
        return tensor::ExtractOp::create(b, from, at);
      });
  state.setTensor(op.getOutput(), result);
  return success();
}

/// One row of updates after the other, so the last one wins.
LogicalResult lowerScatterND(onnx::ScatterNDOp op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Dims data = state.dims(op.getData()), indices = state.dims(op.getIndices()), updates = state.dims(op.getUpdates());
  FailureOr<int64_t> depth = requireTuplesInRange(op, op.getIndices(), data, 0, state);
  if (failed(depth))
    return failure();
  size_t rows = indices.size() - 1;
  Dims expected(ArrayRef(indices).drop_back());
  llvm::append_range(expected, ArrayRef(data).drop_front(*depth));
  if (expected.size() != updates.size())
    return op.emitOpError("expected updates of rank ") << expected.size() << " but got " << updates.size();
  for (auto [want, got] : llvm::zip(expected, updates))
    if (failed(state.requireEqual(want, got)))
      return failure();
  Value tuples = state.tensor(op.getIndices()), values = state.tensor(op.getUpdates());
  Value copy =
      state.generic(data, getElementTypeOrSelf(values.getType()), state.tensor(op.getData()),
                    b.getMultiDimIdentityMap(data.size()), [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
  Value zero = state.value(state.index(0)), one = state.value(state.index(1));
  SmallVector<Value> lower(updates.size(), zero), upper, step(updates.size(), one), sizes;
  for (OpFoldResult size : updates)
    upper.push_back(state.value(size));
  for (int64_t i = 0; i < *depth; ++i)
    sizes.push_back(state.value(data[i]));
  scf::LoopNest nest =
      scf::buildLoopNest(b, b.getLoc(), lower, upper, step, copy,
                         [&](OpBuilder &inner, Location loc, ValueRange at, ValueRange carried) -> scf::ValueVector {
                           ImplicitLocOpBuilder b(loc, inner);
                           SmallVector<Value> tuple(at.take_front(rows)), target;
                           tuple.emplace_back();
                           for (int64_t i = 0; i < *depth; ++i) {
                             tuple.back() = arith::ConstantIndexOp::create(b, i);
                             target.push_back(toIndex(b, tensor::ExtractOp::create(b, tuples, tuple), sizes[i]));
                           }
                           llvm::append_range(target, at.drop_front(rows));
                           Value value = tensor::ExtractOp::create(b, values, at);
                           return {tensor::InsertOp::create(b, value, carried[0], target).getResult()};
                         });
  state.setTensor(op.getOutput(), nest.results[0]);
  return success();
}

} // namespace

void lowering::requirePositions(Value indices, OpFoldResult size, OnnxLowering &state) {
  Dims dims = state.dims(indices);
  requireInRange(state.tensor(indices), state.b.getMultiDimIdentityMap(dims.size()), dims, size, state,
                 /*countsFromEnd=*/false);
}

void lowering::populateIndexing(Handlers &handlers) {
  handlers.add(&lowerGather);
  handlers.add(&lowerGatherElements);
  handlers.add(&lowerGatherND);
  handlers.add(&lowerScatterND);
}
