//===- ElementwiseShapes.cpp - Shapes of elementwise operators ------------===//
//
// The operands are broadcast to one shape. Those that exporters compute shapes with say
// what they do to single integers.
//
//===----------------------------------------------------------------------===//
#include "ShapeRules.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

LogicalResult onnx::inferBroadcast(ValueRange operands, function_ref<Type()> element, ShapeMath &shapes) {
  if (operands.empty())
    return shapes.error("requires at least one operand");
  Extents dims = shapes.dims(operands.front());
  for (Value operand : operands.drop_front()) {
    FailureOr<Extents> next = shapes.broadcast(dims, shapes.dims(operand));
    if (failed(next))
      return failure();
    dims = *next;
  }
  return shapes.addResult(std::move(dims), element());
}

LogicalResult ClipOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  return shapes.addResult(shapes.dims(op.getInput()), elementOf(op.getInput()));
}

//===----------------------------------------------------------------------===//
// Arithmetic on integers
//===----------------------------------------------------------------------===//

std::optional<Extents> IdentityOp::inferContents(ShapeMath &shapes) { return shapes.contents(getInput()); }

/// Sizes fit 32 bits; narrower integers are data.
std::optional<Extents> CastOp::inferContents(ShapeMath &shapes) {
  std::optional<Extents> from = shapes.contents(getInput());
  if (!from || !(getTo().isInteger(64) || getTo().isInteger(32) || getTo().isInteger(1)))
    return std::nullopt;
  for (Extent &extent : *from) {
    if (getTo().isInteger(32) && extent.isConstant() && !llvm::isInt<32>(extent.value))
      return std::nullopt;
    if (getTo().isInteger(1)) {
      std::optional<bool> isZero = shapes.isEqual(extent, Extent::constant(0));
      extent = isZero ? Extent::constant(!*isZero) : Extent();
    }
  }
  return from;
}

/// `function` on the elements of two operands.
static std::optional<Extents> mapPairs(Operation *op, ShapeMath &shapes,
                                       function_ref<Extent(Extent, Extent)> function) {
  return mapContents(op->getOperands(), shapes, [&](ArrayRef<Extent> in) { return function(in[0], in[1]); });
}

std::optional<Extents> AddOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return shapes.add(a, b); });
}
std::optional<Extents> SubOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return shapes.sub(a, b); });
}
std::optional<Extents> MulOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return shapes.mul(a, b); });
}
std::optional<Extents> DivOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return shapes.div(a, b); });
}
std::optional<Extents> NegOp::inferContents(ShapeMath &shapes) {
  return mapContents(getInput(), shapes, [&](ArrayRef<Extent> in) { return shapes.sub(Extent::constant(0), in[0]); });
}

/// `function` folded over the elements of all operands.
static std::optional<Extents> foldOperands(Operation *op, ShapeMath &shapes,
                                           function_ref<Extent(Extent, Extent)> function) {
  return mapContents(op->getOperands(), shapes, [&](ArrayRef<Extent> in) {
    Extent result = in.front();
    for (Extent next : in.drop_front())
      result = function(result, next);
    return result;
  });
}

std::optional<Extents> MaxOp::inferContents(ShapeMath &shapes) {
  return foldOperands(*this, shapes, [&](Extent a, Extent b) { return shapes.max(a, b); });
}
std::optional<Extents> MinOp::inferContents(ShapeMath &shapes) {
  return foldOperands(*this, shapes, [&](Extent a, Extent b) { return shapes.min(a, b); });
}
std::optional<Extents> SumOp::inferContents(ShapeMath &shapes) {
  return foldOperands(*this, shapes, [&](Extent a, Extent b) { return shapes.add(a, b); });
}

//===----------------------------------------------------------------------===//
// Decisions
//===----------------------------------------------------------------------===//

static Extent truth(std::optional<bool> value) { return value ? Extent::constant(*value) : Extent(); }

/// Not of a decision; the order is that of isLess.
static std::optional<bool> negate(std::optional<bool> value) { return value ? std::optional(!*value) : value; }

std::optional<Extents> EqualOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return truth(shapes.isEqual(a, b)); });
}
std::optional<Extents> LessOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return truth(shapes.isLess(a, b)); });
}
std::optional<Extents> LessOrEqualOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return truth(negate(shapes.isLess(b, a))); });
}
std::optional<Extents> GreaterOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return truth(shapes.isLess(b, a)); });
}
std::optional<Extents> GreaterOrEqualOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return truth(negate(shapes.isLess(a, b))); });
}
std::optional<Extents> NotOp::inferContents(ShapeMath &shapes) {
  return mapContents(getInput(), shapes, [&](ArrayRef<Extent> in) {
    return in[0].isConstant() ? Extent::constant(in[0].value == 0) : Extent();
  });
}
std::optional<Extents> AndOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) { return shapes.mul(a, b); });
}
std::optional<Extents> OrOp::inferContents(ShapeMath &shapes) {
  return mapPairs(*this, shapes, [&](Extent a, Extent b) {
    if (a.isConstant(1) || b.isConstant(1))
      return Extent::constant(1);
    return a.isConstant(0) ? b : b.isConstant(0) ? a : Extent();
  });
}

std::optional<Extents> WhereOp::inferContents(ShapeMath &shapes) {
  return mapContents(getOperands(), shapes, [&](ArrayRef<Extent> in) {
    if (in[0].isConstant())
      return in[0].value != 0 ? in[1] : in[2];
    return in[1].isSameAs(in[2]) ? in[1] : Extent();
  });
}
