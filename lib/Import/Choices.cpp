//===- Choices.cpp - Operators that look for elements ---------------------===//
//
// Where the largest is, which are not 0, and what comes from or goes to such places.
//
//===----------------------------------------------------------------------===//
#include "StandardRules.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

/// Counted from the front; an error names the range.
static Result<int64_t> frontAxisOf(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return Error{"expected an axis in [" + std::to_string(-rank) + ", " + std::to_string(rank - 1) + "] but got " +
                 std::to_string(axis)};
  return axis < 0 ? axis + rank : axis;
}

/// 0, 1, ... along `axis`, to be broadcast to `rank` dimensions.
static Value placesAlong(OperatorBuilder &b, Value size, int64_t axis, int64_t rank) {
  Value places = b.count(0, size);
  return axis + 1 == rank ? places : b.unsqueeze(places, llvm::to_vector(llvm::seq<int64_t>(1, rank - axis)));
}

Result<Value> standard::reduce(NodeImport &node, OperatorBuilder &b, StringRef name) {
  int64_t keepsDims = node.takeInt("keepdims", 1), isNoop = node.takeInt("noop_with_empty_axes", 0);
  Value x = node.inputs[0], axes = node.input(1);
  bool hasNone = axes && typeOf(axes).hasStaticShape() && typeOf(axes).getNumElements() == 0;
  if (hasNone)
    axes = {};
  if (areRunTimeAxes(axes))
    return b.hasFailed() ? Result<Value>(x) : reduceAtRunTime(b, name, x, axes, keepsDims);
  return b.make(name, {x, axes}, {b.attribute("keepdims", keepsDims), b.attribute("noop_with_empty_axes", isNoop)});
}

/// Square, sum, root: over no axes, too, where the operator says so.
Status standard::importReduceL2(NodeImport &node) {
  OperatorBuilder b(node);
  if (node.opset < 18)
    if (Status status = node.attributeToOperand("axes"); !status)
      return status;
  node.inputs[0] = b.make("Mul", {node.inputs[0], node.inputs[0]});
  Result<Value> sum = reduce(node, b, "ReduceSum");
  return sum ? b.finish(b.make("Sqrt", *sum)) : sum.error();
}

/// The first or the last place at which an element is the largest.
Status standard::importArgMax(NodeImport &node) {
  OperatorBuilder b(node);
  Value x = node.inputs[0];
  int64_t rank = typeOf(x).getRank();
  Result<int64_t> axis = frontAxisOf(node.takeInt("axis", 0), rank);
  if (!axis)
    return axis.error();
  bool isLast = node.takeInt("select_last_index", 0);
  NamedAttribute keepdims = b.attribute("keepdims", node.takeInt("keepdims", 1));
  Value axes = b.ints(*axis), isLargest = b.make("Equal", {x, b.make("ReduceMax", {x, axes})});
  Value size = b.dim(x, *axis), places = placesAlong(b, size, *axis, rank);
  Value found = b.make("Where", {isLargest, places, isLast ? b.ints(-1) : size});
  return b.finish(b.make(isLast ? "ReduceMax" : "ReduceMin", {found, axes}, keepdims));
}

/// Each element that is not 0 writes its place, counted through the tensor, to the row that is its
/// number among them; all others write to one row behind these, which is dropped.
Status standard::importNonZero(NodeImport &node) {
  OperatorBuilder b(node);
  Value x = node.inputs[0];
  RankedTensorType type = typeOf(x);
  if (type.getRank() == 0)
    return Error{"requires an operand of rank 1 or more"};
  Type i64 = node.builder.getI64Type();
  Value flat = b.reshape(x, -1), zero = b.ints(0), one = b.ints(1);
  if (!type.getElementType().isInteger(1))
    flat = b.make("Not", b.make("Equal", {flat, b.cast(b.scalar(0), type.getElementType())}));
  Value isFound = b.cast(flat, i64), count = b.make("ReduceSum", {isFound, zero});
  Value numbers = b.make("Sub", {b.make("CumSum", {isFound, zero}), one});
  Value rows = b.make("Where", {flat, numbers, count});
  Value empty = b.make("Expand", {b.scalar(0), b.make("Add", {count, one})});
  Value places = b.make("ScatterND", {empty, b.unsqueeze(rows, 1), b.count(0, b.dim(flat, 0))});
  places = b.slice(places, 0, zero, count);
  SmallVector<Value> coordinates(type.getRank());
  for (int64_t axis = type.getRank(); axis-- > 0;) {
    Value size = b.dim(x, axis);
    coordinates[axis] = b.unsqueeze(b.make("Mod", {places, size}), 0);
    places = b.make("Div", {places, size});
  }
  return b.finish(b.concat(coordinates, 0));
}

/// Places beyond the depth choose nothing; those below 0 count from its end.
Status standard::importOneHot(NodeImport &node) {
  OperatorBuilder b(node);
  Value places = b.cast(node.inputs[0], node.builder.getI64Type()), depth = b.flatInts(node.inputs[1]);
  int64_t rank = typeOf(node.inputs[0]).getRank() + 1;
  Result<int64_t> axis = frontAxisOf(node.takeInt("axis", -1), rank);
  if (!axis)
    return axis.error();
  Value wanted = b.unsqueeze(places, *axis), all = placesAlong(b, depth, *axis, rank);
  Value isHot = b.make("Or", {b.make("Equal", {wanted, all}), b.make("Equal", {b.make("Add", {wanted, depth}), all})});
  auto choice = [&](int64_t i) { return b.make("Gather", {node.inputs[2], b.scalar(i)}); };
  return b.finish(b.make("Where", {isHot, choice(1), choice(0)}));
}

/// ScatterND of elements, whose other coordinates are their own.
Status standard::importScatterElements(NodeImport &node) {
  OperatorBuilder b(node);
  Value indices = b.cast(node.inputs[1], node.builder.getI64Type());
  int64_t rank = typeOf(indices).getRank();
  Result<int64_t> axis = frontAxisOf(node.takeInt("axis", 0), rank);
  if (!axis)
    return axis.error();
  Value shape = b.make("Shape", indices);
  SmallVector<Value> coordinates;
  for (int64_t i = 0; i < rank; ++i) {
    Value own = i == *axis ? indices : b.make("Expand", {placesAlong(b, b.dim(indices, i), i, rank), shape});
    coordinates.push_back(b.unsqueeze(own, rank));
  }
  Value places = b.concat(coordinates, rank);
  auto reduction = node.take<StringAttr>("reduction");
  if (!reduction || reduction.getValue() == "none")
    return b.finish(b.make("ScatterND", {node.inputs[0], places, node.inputs[2]}));
  Result<Value> result = scatterAndReduce(b, node.inputs[0], places, node.inputs[2], reduction.getValue());
  return result ? b.finish(*result) : result.error();
}

/// Each element of data meets all updates: those of its place, or what changes nothing.
Result<Value> standard::scatterAndReduce(OperatorBuilder &b, Value data, Value indices, Value updates,
                                         StringRef reduction) {
  constexpr int64_t kMost = 1 << 20;
  if (b.hasFailed())
    return data;
  RankedTensorType type = typeOf(data), from = typeOf(updates), list = typeOf(indices);
  if (!llvm::is_contained({"add", "mul", "max", "min"}, reduction))
    return Error{"expected the reduction none, add, mul, max or min but got \"" + reduction.str() + "\""};
  bool isKnown = type.hasStaticShape() && from.hasStaticShape() && list.hasStaticShape() && list.getRank() > 0;
  int64_t depth = isKnown ? list.getShape().back() : 0;
  if (!isKnown || depth < 1 || depth > type.getRank())
    return Error{"reduction = \"" + reduction.str() + "\" requires operands of known size"};
  int64_t inner = 1, outer = 1, count = list.getNumElements() / depth;
  for (auto [i, size] : llvm::enumerate(type.getShape()))
    (static_cast<int64_t>(i) < depth ? outer : inner) *= size;
  if (from.getNumElements() != count * inner)
    return Error{"expected " + std::to_string(count * inner) + " updates but got " +
                 std::to_string(from.getNumElements())};
  if (count * inner > kMost / std::max<int64_t>(outer, 1))
    return Error{"reduction = \"" + reduction.str() + "\" is not supported for " +
                 std::to_string(from.getNumElements()) + " updates of " + std::to_string(type.getNumElements()) +
                 " elements"};
  Value tuples = b.reshape(indices, {count, depth}), places = b.ints(SmallVector<int64_t>(count, 0));
  for (int64_t i = 0; i < depth; ++i) {
    Value size = b.ints(type.getDimSize(i)),
          at = b.make("Gather", {tuples, b.scalar(i)}, b.attribute("axis", int64_t(1)));
    at = b.cast(at, IntegerType::get(type.getContext(), 64));
    at = b.make("Where", {b.make("Less", {at, b.ints(0)}), b.make("Add", {at, size}), at});
    places = b.make("Add", {b.make("Mul", {places, size}), at});
  }
  Value all = b.ints(llvm::to_vector(llvm::seq<int64_t>(0, outer)));
  Value isHere = b.unsqueeze(b.make("Equal", {b.unsqueeze(places, 1), all}), 2); // [count, outer, 1]
  Value rows = b.reshape(updates, {count, 1, inner}), old = b.reshape(data, {1, outer, inner});
  bool isSum = reduction == "add", isProduct = reduction == "mul", isMax = reduction == "max";
  Value neutral = isSum || isProduct ? b.cast(b.scalar(isProduct), type.getElementType()) : old;
  const char *fold = isSum ? "ReduceSum" : isProduct ? "ReduceProd" : isMax ? "ReduceMax" : "ReduceMin";
  Value folded = b.make(fold, {b.make("Where", {isHere, rows, neutral}), b.ints(0)});
  Value result = b.make(isSum ? "Add" : isProduct ? "Mul" : isMax ? "Max" : "Min", {old, folded});
  return b.make("Reshape", {result, b.ints(type.getShape())}, b.attribute("allowzero", int64_t(1)));
}

/// Each row of the cache, or the row of the update that lies as far behind the start.
Value standard::scatterRows(OperatorBuilder &b, Value cache, Value update, Value starts, int64_t axis,
                            bool goesAround) {
  if (b.hasFailed())
    return {};
  int64_t rank = typeOf(cache).getRank();
  Value rows = b.dim(cache, axis), added = b.dim(update, axis), zero = b.ints(0);
  Value from = b.unsqueeze(b.count(0, rows), 0); // [batch, rows]
  from = b.make("Sub", {from, starts ? b.unsqueeze(b.flatInts(starts), 1)
                                     : b.make("Expand", {zero, b.concat({b.dim(cache, 0), b.ints(1)}, 0)})});
  if (goesAround)
    from = b.make("Mod", {from, rows});
  Value isNew = b.make("And", {b.make("GreaterOrEqual", {from, zero}), b.make("Less", {from, added})});
  from = b.make("Max", {b.make("Min", {from, b.make("Sub", {added, b.ints(1)})}), zero});
  // Rows are chosen in the dimension behind the batch.
  auto front = llvm::to_vector(llvm::seq<int64_t>(0, rank)), back = front;
  std::rotate(front.begin() + 1, front.begin() + axis, front.begin() + axis + 1);
  std::rotate(back.begin() + 1, back.begin() + 2, back.begin() + axis + 1);
  Value chosen = b.make("GatherND", {axis == 1 ? update : b.transpose(update, front), b.unsqueeze(from, 2)},
                        b.attribute("batch_dims", int64_t(1)));
  if (axis != 1)
    chosen = b.transpose(chosen, back);
  SmallVector<int64_t> others;
  for (int64_t i = 1; i < rank; ++i)
    if (i != axis)
      others.push_back(i);
  return b.make("Where", {others.empty() ? isNew : b.unsqueeze(isNew, others), chosen, cache});
}

/// past_cache, update, write_indices.
Status standard::importTensorScatter(NodeImport &node) {
  OperatorBuilder b(node);
  auto mode = node.take<StringAttr>("mode");
  if (mode && mode.getValue() != "linear" && mode.getValue() != "circular")
    return Error{"expected the mode linear or circular but got \"" + mode.str() + "\""};
  int64_t rank = typeOf(node.inputs[0]).getRank();
  Result<int64_t> axis = frontAxisOf(node.takeInt("axis", -2), rank);
  if (!axis || *axis == 0 || typeOf(node.inputs[1]).getRank() != rank)
    return Error{"requires a cache and an update of one rank, and an axis behind the first"};
  bool goesAround = mode && mode.getValue() == "circular";
  return b.finish(scatterRows(b, node.inputs[0], node.inputs[1], node.input(2), *axis, goesAround));
}
