//===- MovementShapes.cpp - Shapes of operators that move elements --------===//
//
// Shape, Reshape and what else exporters make shapes with. Where an operand that decides
// about the shape is not known, the dimensions are not, and lowering asks for more.
//
//===----------------------------------------------------------------------===//
#include "ShapeRules.h"
#include "qopt/Support/CheckedMath.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

LogicalResult ConstantOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims;
  for (int64_t size : op.getValue().getShapedType().getShape())
    dims.push_back(Extent::constant(size));
  return shapes.addResult(dims, op.getValue().getElementType());
}

std::optional<Extents> ConstantOp::inferContents(ShapeMath &shapes) {
  std::optional<SmallVector<int64_t>> ints = getConstantInts(getOutput());
  if (!ints)
    return std::nullopt;
  return llvm::map_to_vector<4>(*ints, [](int64_t value) { return Extent::constant(value); });
}

//===----------------------------------------------------------------------===//
// Shapes as operands
//===----------------------------------------------------------------------===//

/// The dimensions that `shape` lists, none of them negative.
static FailureOr<Extents> readSizes(Value shape, ShapeMath &shapes) {
  FailureOr<Extents> sizes = readShape(shape, "a shape", shapes);
  if (failed(sizes))
    return failure();
  SmallVector<int64_t> constants;
  for (Extent &size : *sizes) {
    if (size.isConstant())
      constants.push_back(size.value);
    size = size.isConstant() ? size : shapes.max(size, Extent::constant(0));
  }
  if (!checkedNumElements(constants))
    return shapes.error("expected a shape of non-negative dimensions whose product fits 64 bits");
  return sizes;
}

LogicalResult ConstantOfShapeOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  FailureOr<Extents> sizes = readSizes(op.getInput(), shapes);
  return failed(sizes) ? failure() : shapes.addResult(*sizes, op.getValue().getElementType());
}

std::optional<Extents> ConstantOfShapeOp::inferContents(ShapeMath &shapes) {
  auto values = getValue().tryGetValues<APInt>();
  if (!values || !mayHoldShape(getOutput().getType()) || getValue().getElementType().isUnsignedInteger())
    return std::nullopt;
  APInt value = *values->begin();
  Extent element = Extent::constant(value.getBitWidth() == 1 ? value.getZExtValue() : value.getSExtValue());
  return Extents(typeOf(getOutput()).getNumElements(), element);
}

/// A dimension of the shape that is only known at run time may be 1, so a known dimension of
/// the input decides unless it is 1 itself.
LogicalResult ExpandOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  FailureOr<Extents> sizes = readSizes(op.getShape(), shapes);
  if (failed(sizes))
    return failure();
  FailureOr<Extents> dims = shapes.broadcast(shapes.dims(op.getInput()), *sizes);
  return failed(dims) ? failure() : shapes.addResult(*dims, elementOf(op.getInput()));
}

std::optional<Extents> ExpandOp::inferContents(ShapeMath &shapes) {
  std::optional<Extents> from = shapes.contents(getInput());
  if (!from || !mayHoldShape(getOutput().getType()))
    return std::nullopt;
  int64_t size = typeOf(getOutput()).getNumElements();
  return from->size() == 1 ? Extents(size, from->front()) : *from;
}

LogicalResult ShapeOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  auto [start, end] = shapeRange(op);
  return shapes.addResult({Extent::constant(end - start)}, IntegerType::get(op.getData().getContext(), 64));
}

std::optional<Extents> ShapeOp::inferContents(ShapeMath &shapes) {
  auto [start, end] = shapeRange(*this);
  Extents dims = shapes.dims(getData());
  return Extents(dims.begin() + start, dims.begin() + end);
}

//===----------------------------------------------------------------------===//
// Reshape
//===----------------------------------------------------------------------===//

namespace {
/// The two sides of a Reshape, without the sizes that are on both: what is left over
/// decides about a dimension of -1.
struct Ratio {
  Extents above, below;

  void cancel(Extent size) {
    auto *same = llvm::find_if(above, [&](const Extent &other) { return other.isSameAs(size); });
    if (same != above.end() && !size.isConstant())
      above.erase(same);
    else
      below.push_back(size);
  }
};
} // namespace

/// Whether the constants among `sizes` have a product of 64 bits.
static bool fits(ArrayRef<Extent> sizes) {
  int64_t product = 1;
  return llvm::all_of(sizes, [&](const Extent &size) {
    return !size.isConstant() || !__builtin_mul_overflow(product, size.value, &product);
  });
}

/// The size that -1 stands for. Constants that divide are divided first, so that what is left
/// is often one of the input's sizes.
static FailureOr<Extent> solve(const Ratio &ratio, ShapeMath &shapes) {
  Extent above = shapes.product(ratio.above), below = shapes.product(ratio.below);
  if (above.isConstant() && below.isConstant() && (below.value == 0 || above.value % below.value != 0))
    return shapes.error("cannot divide ", above.value, " elements into rows of ", below.value);
  auto split = [&](ArrayRef<Extent> sizes, Extents &others) {
    Extent constant = Extent::constant(1);
    for (Extent size : sizes) {
      if (size.isConstant())
        constant = shapes.mul(constant, size);
      else
        others.push_back(size);
    }
    return constant;
  };
  Extents from, rows;
  Extent many = split(ratio.above, from), few = split(ratio.below, rows);
  if (!many.isConstant() || !few.isConstant() || few.value <= 0 || many.value % few.value != 0)
    return shapes.div(above, below);
  from.push_back(Extent::constant(many.value / few.value));
  return shapes.div(shapes.product(from), shapes.product(rows));
}

LogicalResult ReshapeOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents from = shapes.dims(op.getData());
  FailureOr<Extents> shape = readShape(op.getShape(), "a shape", shapes);
  if (failed(shape))
    return failure();
  Extents to = *shape;
  bool copies = !op.getAllowzero();
  std::optional<size_t> inferred;
  Ratio ratio{from, {}};
  SmallVector<size_t> rest; // dimensions that are not copied
  for (auto [i, size] : llvm::enumerate(to)) {
    if (size.isConstant(-1)) {
      if (inferred)
        return shapes.error("expected at most one -1 in the shape but got it at ", *inferred, " and ", i);
      inferred = i;
    } else if (size.isConstant() && size.value < 0) {
      return shapes.error("expected dimensions of at least -1 but got ", size.value);
    } else if (size.isConstant(0) && copies) {
      if (i >= from.size())
        return shapes.error("cannot copy dimension ", i, " of an input of rank ", from.size());
      size = from[i];
      ratio.above[i] = Extent::constant(1);
    } else {
      rest.push_back(i);
      if (copies && i < from.size())
        size = shapes.copyIfZero(size, from[i]);
    }
  }
  for (size_t i : rest)
    ratio.cancel(to[i]);
  if (!fits(ratio.below))
    return shapes.error("expected a shape whose product fits 64 bits");
  if (inferred) {
    FailureOr<Extent> size = solve(ratio, shapes);
    if (failed(size))
      return failure();
    to[*inferred] = *size;
  } else {
    // At most one of the sizes that only the run time knows may be -1 then.
    Extents others = to;
    for (size_t i : rest) {
      Extent own = std::exchange(others[i], Extent::constant(1));
      if (!own.isConstant() && !shapes.isNonNegative(own))
        to[i] = shapes.restIfMinusOne(own, shapes.div(shapes.product(from), shapes.product(others)));
      others[i] = own;
    }
  }
  Extent above = shapes.product(ratio.above), below = shapes.product(ratio.below);
  if (!inferred && above.isConstant() && below.isConstant() && above != below)
    return shapes.error("cannot reshape ", above.value, " elements to ", below.value);
  if (failed(shapes.requireEqual(shapes.product(from), shapes.product(to),
                                 "cannot reshape to another number of elements")))
    return failure();
  return shapes.addResult(to, elementOf(op.getData()));
}

std::optional<Extents> ReshapeOp::inferContents(ShapeMath &shapes) { return shapes.contents(getData()); }

LogicalResult FlattenOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents from = shapes.dims(op.getInput());
  FailureOr<int64_t> axis = normalizeAxis(op.getAxis(), from.size(), shapes, /*endAllowed=*/true);
  if (failed(axis))
    return failure();
  Extent rows = shapes.product(ArrayRef(from).take_front(*axis));
  return shapes.addResult({rows, shapes.product(ArrayRef(from).drop_front(*axis))}, elementOf(op.getInput()));
}

//===----------------------------------------------------------------------===//
// Dimensions in another order, added and removed
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents from = shapes.dims(op.getData()), to;
  if (op.getPerm().size() != from.size())
    return shapes.error("expected a permutation of ", from.size(), " dimensions but got ", op.getPerm().size());
  FailureOr<Axes> perm = normalizeAxes(op.getPerm(), from.size(), shapes);
  if (failed(perm))
    return failure();
  for (int64_t axis : *perm)
    to.push_back(from[axis]);
  return shapes.addResult(to, elementOf(op.getData()));
}

LogicalResult UnsqueezeOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  std::optional<SmallVector<int64_t>> constants = shapes.constants(op.getAxes());
  if (!constants) {
    FailureOr<int64_t> count = lengthOf(op.getAxes(), "axes", shapes);
    if (failed(count))
      return failure();
    return shapes.addUnknown(rankOf(op.getData()) + *count, elementOf(op.getData()), "axes");
  }
  Extents from = shapes.dims(op.getData()), to;
  size_t rank = from.size() + constants->size(), next = 0;
  FailureOr<Axes> axes = normalizeAxes(*constants, rank, shapes);
  if (failed(axes))
    return failure();
  for (size_t i = 0; i < rank; ++i)
    to.push_back(llvm::is_contained(*axes, i) ? Extent::constant(1) : from[next++]);
  return shapes.addResult(to, elementOf(op.getData()));
}

std::optional<Extents> UnsqueezeOp::inferContents(ShapeMath &shapes) { return shapes.contents(getData()); }

LogicalResult SqueezeOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents from = shapes.dims(op.getData()), to;
  Axes dropped;
  if (op.getAxes()) {
    std::optional<SmallVector<int64_t>> constants = shapes.constants(op.getAxes());
    if (!constants) {
      FailureOr<int64_t> count = lengthOf(op.getAxes(), "axes", shapes);
      if (failed(count) || *count > rankOf(op.getData()))
        return failed(count) ? failure() : shapes.error("cannot squeeze ", *count, " of ", from.size(), " dimensions");
      return shapes.addUnknown(rankOf(op.getData()) - *count, elementOf(op.getData()), "axes");
    }
    FailureOr<Axes> axes = normalizeAxes(*constants, from.size(), shapes);
    if (failed(axes))
      return failure();
    dropped = *axes;
  } else {
    for (auto [i, size] : llvm::enumerate(typeOf(op.getData()).getShape())) {
      if (ShapedType::isDynamic(size))
        return shapes.error("requires axes, as dimension ", i, " is only known at run time");
      if (size == 1)
        dropped.push_back(i);
    }
  }
  for (auto [i, size] : llvm::enumerate(from)) {
    if (!llvm::is_contained(dropped, i))
      to.push_back(size);
    else if (failed(shapes.requireEqual(size, Extent::constant(1), "cannot squeeze dimension ", i, " of size ",
                                        size.value)))
      return failure();
  }
  return shapes.addResult(to, elementOf(op.getData()));
}

std::optional<Extents> SqueezeOp::inferContents(ShapeMath &shapes) { return shapes.contents(getData()); }

LogicalResult ScatterNDOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  return shapes.addResult(shapes.dims(op.getData()), elementOf(op.getData()));
}

LogicalResult TriluOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  return shapes.addResult(shapes.dims(op.getInput()), elementOf(op.getInput()));
}

LogicalResult CumSumOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getX());
  std::optional<SmallVector<int64_t>> axis = shapes.constants(op.getAxis());
  if (axis && !dims.empty() && failed(normalizeAxes(*axis, dims.size(), shapes))) // of a scalar none is looked at
    return failure();
  return shapes.addResult(dims, elementOf(op.getX()));
}
