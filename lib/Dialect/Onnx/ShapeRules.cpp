//===- ShapeRules.cpp - What the shape rules of operators share -----------===//
//
// Axes are normalized and shape operands are read here, and nowhere else.
//
//===----------------------------------------------------------------------===//
#include "ShapeRules.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

FailureOr<int64_t> onnx::normalizeAxis(int64_t axis, int64_t rank, ShapeMath &shapes, bool endAllowed) {
  if (axis < -rank || axis >= rank + (endAllowed ? 1 : 0))
    return shapes.error("expected an axis in [", -rank, ", ", rank - (endAllowed ? 0 : 1), "] but got ", axis);
  return frontAxis(axis, rank);
}

FailureOr<Axes> onnx::normalizeAxes(ArrayRef<int64_t> axes, int64_t rank, ShapeMath &shapes) {
  if (axes.size() > kMaxRank)
    return shapes.error("expected at most ", kMaxRank, " axes but got ", axes.size());
  Axes result;
  for (int64_t axis : axes) {
    FailureOr<int64_t> normalized = normalizeAxis(axis, rank, shapes);
    if (failed(normalized))
      return failure();
    if (llvm::is_contained(result, *normalized))
      return shapes.error("axis ", axis, " occurs twice");
    result.push_back(*normalized);
  }
  return result;
}

FailureOr<int64_t> onnx::lengthOf(Value list, StringRef what, ShapeMath &shapes) {
  RankedTensorType type = typeOf(list);
  if (type.getRank() != 1 || type.isDynamicDim(0))
    return shapes.error("requires ", what, " of rank 1 and known length but got ", type);
  if (type.getDimSize(0) > kMaxRank)
    return shapes.error("expected at most ", kMaxRank, " dimensions but got ", type.getDimSize(0));
  return type.getDimSize(0);
}

FailureOr<Extents> onnx::readShape(Value shape, StringRef what, ShapeMath &shapes) {
  FailureOr<int64_t> rank = lengthOf(shape, what, shapes);
  if (failed(rank))
    return failure();
  std::optional<Extents> elements = shapes.readContents(shape);
  if (!elements || static_cast<int64_t>(elements->size()) != *rank)
    return Extents(*rank);
  return *elements;
}

SliceExtent onnx::sliceExtent(Extent start, Extent end, int64_t step, Extent size, ShapeMath &shapes) {
  Extent zero = Extent::constant(0), one = Extent::constant(1), stride = Extent::constant(std::abs(step));
  Extent low = step > 0 ? zero : Extent::constant(-1);
  Extent high = step > 0 ? size : shapes.sub(size, one);
  start = shapes.max(shapes.min(shapes.fromEnd(start, size), high), zero);
  end = shapes.max(shapes.min(shapes.fromEnd(end, size), high), low);
  Extent span = step > 0 ? shapes.sub(end, start) : shapes.sub(start, end);
  Extent rounded = shapes.add(span, Extent::constant(std::abs(step) - 1));
  Extent length = shapes.max(shapes.div(rounded, stride), zero);
  // An empty input has no first element for a negative step to start from.
  return {start, step > 0 ? length : shapes.min(length, size)};
}

std::optional<Extents> onnx::mapContents(ValueRange operands, ShapeMath &shapes,
                                         function_ref<Extent(ArrayRef<Extent>)> function) {
  SmallVector<Extents> contents;
  size_t count = 1;
  for (Value operand : operands) {
    std::optional<Extents> known = shapes.contents(operand);
    if (!known)
      return std::nullopt;
    count = known->size() == 1 ? count : known->size();
    contents.push_back(std::move(*known));
  }
  for (const Extents &operand : contents)
    if (operand.size() != 1 && operand.size() != count)
      return std::nullopt;
  Extents result;
  for (size_t i = 0; i < count; ++i) {
    Extents row;
    for (const Extents &operand : contents)
      row.push_back(operand[operand.size() == 1 ? 0 : i]);
    result.push_back(function(row));
  }
  return result;
}
