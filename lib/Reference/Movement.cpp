//===- Movement.cpp - Constants, shapes and operators that move elements --===//
//
// Nothing is computed here, so every element type is moved in the same way.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

static Outcome evaluateConstant(onnx::ConstantOp op, Tensor &out) {
  FailureOr<Tensor> value = fromAttribute(op.getValue());
  if (failed(value))
    return fail(op, "cannot read the value");
  out = std::move(*value);
  return Outcome::Done;
}

static Outcome evaluateConstantOfShape(onnx::ConstantOfShapeOp op, Tensor &out) {
  FailureOr<Tensor> value = fromAttribute(op.getValue());
  if (failed(value) || value->numElements() != 1)
    return fail(op, "requires a value of one element");
  for (int64_t i = 0, n = out.numElements(); i < n; ++i)
    copyElement(out, i, *value, 0);
  return Outcome::Done;
}

static Outcome evaluateShape(onnx::ShapeOp op, const Tensor &in, Tensor &out) {
  int64_t start = op.getStart(), rank = in.type.getRank();
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  for (int64_t i = 0, n = out.numElements(); i < n; ++i)
    out.ints[i] = in.type.getDimSize(start + i);
  return Outcome::Done;
}

/// The same elements under another shape.
static Outcome evaluateReshape(Operation *op, const Tensor &in, Tensor &out) {
  if (in.numElements() != out.numElements())
    return fail(op, "cannot reshape " + Twine(in.numElements()) + " elements to " + Twine(out.numElements()));
  out.floats = in.floats;
  out.ints = in.ints;
  return Outcome::Done;
}

static Outcome evaluateExpand(const Tensor &in, Tensor &out) {
  walk<1>(shapeOf(out), {broadcastStrides(shapeOf(in), out.type.getRank())},
          [&](int64_t i, const std::array<int64_t, 1> &from) { copyElement(out, i, in, from[0]); });
  return Outcome::Done;
}

static Outcome evaluateTranspose(onnx::TransposeOp op, const Tensor &in, Tensor &out) {
  Dims dense = denseStrides(shapeOf(in)), strides;
  for (int64_t axis : op.getPerm())
    strides.push_back(dense[frontAxis(axis, in.type.getRank())]);
  walk<1>(shapeOf(out), {strides},
          [&](int64_t i, const std::array<int64_t, 1> &from) { copyElement(out, i, in, from[0]); });
  return Outcome::Done;
}

static Outcome evaluateConcat(onnx::ConcatOp op, Operands in, Tensor &out) {
  int64_t axis = frontAxis(op.getAxis(), out.type.getRank()), start = 0;
  Dims strides = denseStrides(shapeOf(out));
  for (const Tensor *part : in) {
    walk<1>(shapeOf(*part), {strides},
            [&](int64_t i, const std::array<int64_t, 1> &to) { copyElement(out, to[0] + start, *part, i); });
    start += part->type.getDimSize(axis) * strides[axis];
  }
  return Outcome::Done;
}

static Outcome evaluateSplit(onnx::SplitOp op, const Tensor &in, Results out) {
  int64_t axis = frontAxis(op.getAxis(), in.type.getRank()), start = 0;
  Dims strides = denseStrides(shapeOf(in));
  for (Tensor &part : out) {
    walk<1>(shapeOf(part), {strides},
            [&](int64_t i, const std::array<int64_t, 1> &from) { copyElement(part, i, in, from[0] + start); });
    start += part.type.getDimSize(axis) * strides[axis];
  }
  return Outcome::Done;
}

static Outcome evaluateSlice(onnx::SliceOp op, Operands in, Tensor &out) {
  const Tensor &data = *in[0];
  int64_t rank = data.type.getRank();
  ArrayRef<int64_t> axes, steps;
  if (op.getAxes())
    axes = in[3]->ints;
  if (op.getSteps())
    steps = in.back()->ints;
  Dims strides = denseStrides(shapeOf(data));
  int64_t origin = 0;
  for (size_t i = 0; i < in[1]->ints.size(); ++i) {
    int64_t axis = op.getAxes() ? frontAxis(axes[i], rank) : static_cast<int64_t>(i);
    int64_t step = op.getSteps() ? steps[i] : 1, size = data.type.getDimSize(axis), start = in[1]->ints[i];
    start = start < 0 && start >= -size ? start + size : start;
    start = step > 0 ? std::clamp<int64_t>(start, 0, size) : std::clamp<int64_t>(start, -1, size - 1);
    // Nothing is read where the result is empty, so the origin need not be inside.
    if (out.type.getDimSize(axis) > 0)
      origin += start * strides[axis];
    strides[axis] *= out.type.getDimSize(axis) > 1 ? step : 1;
  }
  walk<1>(shapeOf(out), {strides},
          [&](int64_t i, const std::array<int64_t, 1> &from) { copyElement(out, i, data, origin + from[0]); });
  return Outcome::Done;
}

static Outcome evaluateTile(const Tensor &in, Tensor &out) {
  Dims from = denseStrides(shapeOf(in)), to = denseStrides(shapeOf(out));
  for (int64_t i = 0, n = out.numElements(); i < n; ++i) {
    int64_t source = 0;
    for (size_t axis = 0; axis < from.size(); ++axis)
      source += i / to[axis] % out.type.getDimSize(axis) % in.type.getDimSize(axis) * from[axis];
    copyElement(out, i, in, source);
  }
  return Outcome::Done;
}

static Outcome evaluateTrilu(onnx::TriluOp op, Operands in, Tensor &out) {
  if (op.getK() && in[1]->ints.size() != 1)
    return fail(op, "requires k of one element");
  int64_t rows = out.type.getDimSize(out.type.getRank() - 2), columns = out.type.getShape().back();
  // Far beyond the corner is the same as at the corner, and cannot overflow.
  int64_t k = op.getK() ? std::clamp<int64_t>(in[1]->ints[0], -rows - 1, columns + 1) : 0;
  for (int64_t i = 0, n = out.numElements(); i < n; ++i) {
    int64_t row = i / columns % rows, column = i % columns;
    if (op.getUpper() ? column >= row + k : column <= row + k)
      copyElement(out, i, *in[0], i);
  }
  return Outcome::Done;
}

static Outcome evaluateRange(onnx::RangeOp op, Operands in, Tensor &out) {
  for (const Tensor *operand : in)
    if (operand->numElements() != 1)
      return fail(op, "requires start, limit and delta of one element");
  for (int64_t i = 0, n = out.numElements(); i < n; ++i) {
    if (out.isFloat())
      out.floats[i] = in[0]->floats[0] + static_cast<double>(i) * in[2]->floats[0];
    else
      out.ints[i] = static_cast<int64_t>(static_cast<uint64_t>(in[0]->ints[0]) +
                                         static_cast<uint64_t>(i) * static_cast<uint64_t>(in[2]->ints[0]));
  }
  return Outcome::Done;
}

Outcome reference::evaluateMovement(Operation *op, Operands in, Results out) {
  // Shapes of a zero-sized dimension need no elements: strides may be anything.
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::ConstantOp constant) { return evaluateConstant(constant, out[0]); })
      .Case([&](onnx::ConstantOfShapeOp fill) { return evaluateConstantOfShape(fill, out[0]); })
      .Case([&](onnx::ShapeOp shape) { return evaluateShape(shape, *in[0], out[0]); })
      .Case<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(
          [&](Operation *) { return evaluateReshape(op, *in[0], out[0]); })
      .Case([&](onnx::ExpandOp) { return evaluateExpand(*in[0], out[0]); })
      .Case([&](onnx::TransposeOp transpose) { return evaluateTranspose(transpose, *in[0], out[0]); })
      .Case([&](onnx::ConcatOp concat) { return evaluateConcat(concat, in, out[0]); })
      .Case([&](onnx::SplitOp split) { return evaluateSplit(split, *in[0], out); })
      .Case([&](onnx::SliceOp slice) { return evaluateSlice(slice, in, out[0]); })
      .Case([&](onnx::TileOp) { return evaluateTile(*in[0], out[0]); })
      .Case([&](onnx::TriluOp trilu) { return evaluateTrilu(trilu, in, out[0]); })
      .Case([&](onnx::RangeOp range) { return evaluateRange(range, in, out[0]); })
      .Default([](Operation *) { return Outcome::NotMine; });
}
