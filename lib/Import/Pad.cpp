//===- Pad.cpp - More elements along axes ---------------------------------===//
//
// Each axis is gathered by places that may lie outside: what these mean is the mode.
//
//===----------------------------------------------------------------------===//
#include "StandardRules.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

/// Places in a dimension of `size`, from `before` in front of it to `after` behind it.
static Value placesAround(OperatorBuilder &b, Value size, Value before, Value after) {
  auto single = [&](Value value) { return b.make("Squeeze", {value, b.ints(0)}); };
  return b.make("Range", {single(b.make("Neg", before)), single(b.make("Add", {size, after})), b.scalar(1)});
}

static Value nearest(OperatorBuilder &b, Value places, Value size) {
  return b.make("Max", {b.make("Min", {places, b.make("Sub", {size, b.ints(1)})}), b.ints(0)});
}

Value standard::padAxis(OperatorBuilder &b, Value x, int64_t axis, Value before, Value after, Value value) {
  Value size = b.dim(x, axis), places = placesAround(b, size, before, after);
  Value result = b.make("Gather", {x, nearest(b, places, size)}, b.attribute("axis", axis));
  Value isInside = b.make("And", {b.make("GreaterOrEqual", {places, b.ints(0)}), b.make("Less", {places, size})});
  if (b.hasFailed())
    return {};
  int64_t rank = typeOf(x).getRank();
  if (axis + 1 < rank)
    isInside = b.unsqueeze(isInside, llvm::to_vector(llvm::seq<int64_t>(1, rank - axis)));
  return b.make("Where", {isInside, result, value ? value : b.cast(b.scalar(0), typeOf(x).getElementType())});
}

/// The places of elements that are repeated around a dimension; null for another mode.
static Value repeatedPlaces(OperatorBuilder &b, StringRef mode, Value places, Value size) {
  if (mode == "edge")
    return nearest(b, places, size);
  if (mode == "wrap")
    return b.make("Mod", {places, size});
  if (mode != "reflect")
    return {};
  // There and back, without the ends twice.
  Value one = b.ints(1), last = b.make("Sub", {size, one});
  Value period = b.make("Max", {b.make("Mul", {last, b.ints(2)}), one});
  Value there = b.make("Mod", {places, period});
  return b.make("Where", {b.make("Less", {there, size}), there, b.make("Sub", {period, there})});
}

/// data, pads (all begins, then all ends), constant_value, axes; attributes before operator set 11.
Status standard::importPad(NodeImport &node) {
  OperatorBuilder b(node);
  Value x = node.inputs[0];
  int64_t rank = typeOf(x).getRank();
  auto given = node.take<StringAttr>("mode");
  StringRef mode = given ? given.getValue() : "constant";
  if (!llvm::is_contained({"constant", "edge", "reflect", "wrap"}, mode))
    return Error{"expected the mode constant, edge, reflect or wrap but got \"" + mode.str() + "\""};
  if (node.opset < 11) {
    if (Status status = node.attributeToOperand("pads"); !status)
      return status;
    auto value = node.take<FloatAttr>("value");
    node.inputs.push_back(b.floatLike(x, value ? value.getValueAsDouble() : 0));
  }
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (Value list = node.input(3)) {
    std::optional<SmallVector<int64_t>> known = onnx::getConstantInts(list);
    if (known)
      axes = *known;
    else if (areRunTimeAxes(list) && typeOf(list).hasStaticShape() && node.input(1))
      node.inputs[1] = padsOfAllAxes(b, b.flatInts(node.input(1)), list, rank);
    else
      return Error{"requires constant axes, or a known number of them"};
  }
  if (!node.input(1))
    return Error{"requires pads"};
  if (b.hasFailed())
    return b.finish({});
  Value pads = b.flatInts(node.input(1)), value = node.input(2);
  std::optional<SmallVector<int64_t>> known = onnx::getConstantInts(node.input(1));
  auto count = static_cast<int64_t>(axes.size());
  if (RankedTensorType list = typeOf(node.input(1)); !list.hasStaticShape() || list.getNumElements() != 2 * count)
    return Error{"requires " + std::to_string(2 * count) + " pads"};
  if (value && typeOf(value).getRank() > 0)
    value = b.make("Squeeze", {value, b.ints(0)});
  for (auto [i, axis] : llvm::enumerate(axes)) {
    auto at = static_cast<int64_t>(i);
    if (axis < -rank || axis >= rank)
      return Error{"axis " + std::to_string(axis) + " is out of range for rank " + std::to_string(rank)};
    axis = axis < 0 ? axis + rank : axis;
    if (known && (*known)[at] == 0 && (*known)[count + at] == 0)
      continue;
    auto pad = [&](int64_t j) { return b.slice(pads, 0, b.ints(j), b.ints(j + 1)); };
    Value before = pad(at), after = pad(count + at);
    if (mode == "constant") {
      x = padAxis(b, x, axis, before, after, value);
      continue;
    }
    Value size = b.dim(x, axis), places = placesAround(b, size, before, after);
    x = b.make("Gather", {x, repeatedPlaces(b, mode, places, size)}, b.attribute("axis", axis));
  }
  return b.finish(x);
}
