//===- Indexing.cpp - Operators that pick elements by computed indices ----===//
//
// Indices are data: each is checked against the dimension it picks from.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// `index` counted from the front of a dimension; diagnosed when outside.
static FailureOr<int64_t> checkIndex(Operation *op, int64_t index, int64_t size) {
  if (index < -size || index >= size)
    return op->emitOpError("expected indices in [") << -size << ", " << size - 1 << "] but got " << index;
  return index < 0 ? index + size : index;
}

static Outcome evaluateGather(onnx::GatherOp op, Operands in, Tensor &out) {
  const Tensor &data = *in[0], &indices = *in[1];
  int64_t axis = frontAxis(op.getAxis(), data.type.getRank()), size = data.type.getDimSize(axis);
  int64_t outer = product(shapeOf(data).take_front(axis)), inner = product(shapeOf(data).drop_front(axis + 1));
  int64_t count = indices.numElements();
  for (int64_t i = 0; i < count; ++i) {
    FailureOr<int64_t> index = checkIndex(op, indices.ints[i], size);
    if (failed(index))
      return Outcome::Failed;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t j = 0; j < inner; ++j)
        copyElement(out, (o * count + i) * inner + j, data, (o * size + *index) * inner + j);
  }
  return Outcome::Done;
}

static Outcome evaluateGatherElements(onnx::GatherElementsOp op, Operands in, Tensor &out) {
  const Tensor &data = *in[0], &indices = *in[1];
  int64_t axis = frontAxis(op.getAxis(), data.type.getRank()), size = data.type.getDimSize(axis);
  for (int64_t i = 0; i < data.type.getRank(); ++i)
    if (i != axis && indices.type.getDimSize(i) > data.type.getDimSize(i)) {
      op.emitOpError("expected indices of at most ")
          << data.type.getDimSize(i) << " along dimension " << i << " but got " << indices.type.getDimSize(i);
      return Outcome::Failed;
    }
  Dims strides = denseStrides(shapeOf(data));
  int64_t step = strides[axis];
  strides[axis] = 0;
  bool valid = true;
  walk<1>(shapeOf(out), {strides}, [&](int64_t i, const std::array<int64_t, 1> &from) {
    if (!valid)
      return;
    FailureOr<int64_t> index = checkIndex(op, indices.ints[i], size);
    valid = succeeded(index);
    if (valid)
      copyElement(out, i, data, from[0] + *index * step);
  });
  return valid ? Outcome::Done : Outcome::Failed;
}

/// The offset of the slice that an index tuple of `length` picks from `shape`.
static FailureOr<int64_t> sliceOffset(Operation *op, ArrayRef<int64_t> tuple, ArrayRef<int64_t> shape) {
  Dims strides = denseStrides(shape);
  int64_t offset = 0;
  for (auto [i, entry] : llvm::enumerate(tuple)) {
    FailureOr<int64_t> index = checkIndex(op, entry, shape[i]);
    if (failed(index))
      return failure();
    offset += *index * strides[i];
  }
  return offset;
}

static Outcome evaluateGatherND(onnx::GatherNDOp op, Operands in, Tensor &out) {
  const Tensor &data = *in[0], &indices = *in[1];
  int64_t batchDims = op.getBatchDims(), length = indices.type.getShape().back();
  ArrayRef<int64_t> inner = shapeOf(data).drop_front(batchDims);
  int64_t batches = product(shapeOf(data).take_front(batchDims));
  if (shapeOf(data).take_front(batchDims) != shapeOf(indices).take_front(batchDims)) {
    op.emitOpError("requires the same batch dimensions of data and indices");
    return Outcome::Failed;
  }
  int64_t sliceSize = product(inner.drop_front(length)), batchSize = product(inner);
  int64_t tuples = batches == 0 ? 0 : product(shapeOf(indices).drop_back()) / batches;
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t t = 0; t < tuples; ++t) {
      ArrayRef<int64_t> tuple = ArrayRef(indices.ints).slice((b * tuples + t) * length, length);
      FailureOr<int64_t> offset = sliceOffset(op, tuple, inner);
      if (failed(offset))
        return Outcome::Failed;
      for (int64_t j = 0; j < sliceSize; ++j)
        copyElement(out, (b * tuples + t) * sliceSize + j, data, b * batchSize + *offset + j);
    }
  return Outcome::Done;
}

static Outcome evaluateScatterND(onnx::ScatterNDOp op, Operands in, Tensor &out) {
  const Tensor &data = *in[0], &indices = *in[1], &updates = *in[2];
  if (data.type.getElementType() != updates.type.getElementType())
    return fail(op, "requires data and updates of one element type");
  out.floats = data.floats;
  out.ints = data.ints;
  int64_t length = indices.type.getRank() > 0 ? indices.type.getShape().back() : 0;
  if (length < 1 || length > data.type.getRank()) {
    op.emitOpError("cannot index rank ") << data.type.getRank() << " by tuples of " << length;
    return Outcome::Failed;
  }
  int64_t sliceSize = product(shapeOf(data).drop_front(length)), tuples = product(shapeOf(indices).drop_back());
  if (updates.numElements() != tuples * sliceSize) {
    op.emitOpError("expected ") << tuples * sliceSize << " updates but got " << updates.numElements();
    return Outcome::Failed;
  }
  for (int64_t t = 0; t < tuples; ++t) {
    FailureOr<int64_t> offset = sliceOffset(op, ArrayRef(indices.ints).slice(t * length, length), shapeOf(data));
    if (failed(offset))
      return Outcome::Failed;
    for (int64_t j = 0; j < sliceSize; ++j)
      copyElement(out, *offset + j, updates, t * sliceSize + j);
  }
  return Outcome::Done;
}

Outcome reference::evaluateIndexing(Operation *op, Operands in, Results out) {
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::GatherOp gather) { return evaluateGather(gather, in, out[0]); })
      .Case([&](onnx::GatherElementsOp gather) { return evaluateGatherElements(gather, in, out[0]); })
      .Case([&](onnx::GatherNDOp gather) { return evaluateGatherND(gather, in, out[0]); })
      .Case([&](onnx::ScatterNDOp scatter) { return evaluateScatterND(scatter, in, out[0]); })
      .Default([](Operation *) { return Outcome::NotMine; });
}
