//===- RunTimeAxes.cpp - Axes that are inputs of the model ----------------===//
//
// Every axis is treated as if it were one of them, and what that gives is taken where it is. How
// many there are is known, and so is the rank of the result; its sizes are those of the run time.
//
//===----------------------------------------------------------------------===//
#include "StandardRules.h"
#include "qopt/Dialect/Types.h"
#include <limits>

using namespace mlir;
using namespace qopt;

bool standard::areRunTimeAxes(Value axes) { return isa_and_present<BlockArgument>(axes); }

namespace {

/// Axes of a tensor of some rank, of which one is asked for after the other.
class RunTimeAxes {
public:
  RunTimeAxes(OperatorBuilder &b, Value axes, int64_t rank) : b(b), rank(rank) {
    Value given = b.flatInts(axes), front = b.make("Add", {given, b.ints(rank)});
    given = b.make("Where", {b.make("Less", {given, b.ints(0)}), front, given});
    // [rank, count]: the given axis i is this axis.
    matches = b.make("Equal", {numbers(rank), b.unsqueeze(given, 0)});
  }

  /// [1] of i64: the element of `values`, [count], that belongs to `axis`, or `otherwise`.
  Value valueAt(int64_t axis, Value values, int64_t otherwise) {
    Value mine = row(axis), last = b.ints(0);
    Value sum = b.make("ReduceSum", {b.make("Where", {mine, values, b.ints(0)}), last});
    return b.make("Where", {isGiven(axis), sum, b.ints(otherwise)});
  }
  /// [1] of i1.
  Value isGiven(int64_t axis) {
    return b.make("Greater", {b.make("ReduceSum", {asInts(row(axis)), b.ints(0)}), b.ints(0)});
  }
  /// [rank] of i64: 1 for the given axes, 0 for others.
  Value flags() { return b.make("ReduceMax", {asInts(matches), b.ints(1)}, b.attribute("keepdims", int64_t(0))); }
  /// The elements of `values`, [rank], of the axes that are not given, in their order; [rank - count].
  Value others(Value values, int64_t count) {
    Value isOther = b.make("Sub", {b.ints(1), flags()});
    Value place = b.make("Sub", {b.make("CumSum", {isOther, b.ints(0)}), b.ints(1)});
    Value isHere = b.make("And", {b.make("Equal", {numbers(rank - count), place}),
                                  b.make("Greater", {isOther, b.ints(0)})}); // [rank - count, rank]
    Value chosen = b.make("Where", {isHere, values, b.ints(0)});
    return b.make("ReduceSum", {chosen, b.ints(1)}, b.attribute("keepdims", int64_t(0)));
  }

private:
  Value row(int64_t axis) { return b.make("Gather", {matches, b.scalar(axis)}); }
  /// 0, 1, ..., [count, 1].
  Value numbers(int64_t count) { return b.unsqueeze(b.ints(llvm::to_vector(llvm::seq<int64_t>(0, count))), 1); }
  Value asInts(Value flags) { return b.make("Where", {flags, b.ints(1), b.ints(0)}); }

  OperatorBuilder &b;
  int64_t rank;
  Value matches;
};

/// The number of axes; an error where it is not known.
Result<int64_t> countOf(Value axes) {
  if (!typeOf(axes).hasStaticShape())
    return Error{"requires a known number of axes"};
  return typeOf(axes).getNumElements();
}

} // namespace

Result<Value> standard::reduceAtRunTime(OperatorBuilder &b, StringRef name, Value x, Value axes, bool keepsDims) {
  Result<int64_t> count = countOf(axes);
  if (!count)
    return count.error();
  int64_t rank = typeOf(x).getRank();
  RunTimeAxes chosen(b, axes, rank);
  Value y = x;
  for (int64_t axis = 0; axis < rank; ++axis) {
    // In front of y the one row that is taken where this axis is given.
    Value isReduced = chosen.isGiven(axis), both = b.concat({b.make(name, {y, b.ints(axis)}), y}, axis);
    Value begin = b.make("Where", {isReduced, b.ints(0), b.ints(1)});
    Value end = b.make("Where", {isReduced, b.ints(1), b.ints(std::numeric_limits<int64_t>::max())});
    y = b.slice(both, axis, begin, end);
  }
  if (!keepsDims)
    y = b.make("Reshape", {y, chosen.others(b.make("Shape", y), *count)}, b.attribute("allowzero", int64_t(1)));
  return y;
}

Status standard::squeezeAtRunTime(NodeImport &node) {
  OperatorBuilder b(node);
  Result<int64_t> count = countOf(node.inputs[1]);
  if (!count)
    return count.error();
  Value x = node.inputs[0];
  Value shape = RunTimeAxes(b, node.inputs[1], typeOf(x).getRank()).others(b.make("Shape", x), *count);
  return b.finish(b.make("Reshape", {x, shape}, b.attribute("allowzero", int64_t(1))));
}

Status standard::unsqueezeAtRunTime(NodeImport &node) {
  OperatorBuilder b(node);
  Result<int64_t> count = countOf(node.inputs[1]);
  if (!count)
    return count.error();
  Value x = node.inputs[0];
  int64_t rank = typeOf(x).getRank() + *count;
  Value flags = RunTimeAxes(b, node.inputs[1], rank).flags();
  // How many sizes of x come before, which for a new axis is no place of its own.
  Value place = b.make("CumSum", {b.make("Sub", {b.ints(1), flags}), b.ints(0)});
  Value sizes = b.concat({b.ints(1), b.make("Shape", x)}, 0);
  Value shape = b.make("Where", {b.make("Greater", {flags, b.ints(0)}), b.ints(1), b.make("Gather", {sizes, place})});
  return b.finish(b.make("Reshape", {x, shape}, b.attribute("allowzero", int64_t(1))));
}

/// Data, starts, ends, axes and steps. Each axis is gathered from its first place on.
Status standard::sliceAtRunTime(NodeImport &node) {
  OperatorBuilder b(node);
  Value x = node.inputs[0], starts = b.flatInts(node.inputs[1]), ends = b.flatInts(node.inputs[2]);
  Result<int64_t> count = countOf(node.inputs[1]);
  if (!count)
    return count.error();
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  Value steps = node.input(4) ? b.flatInts(node.input(4)) : b.make("Expand", {b.ints(1), b.ints(*count)});
  Value axes = node.input(3) ? node.input(3) : b.count(0, b.ints(*count));
  RunTimeAxes chosen(b, axes, typeOf(x).getRank());
  auto single = [&](Value value) { return b.make("Squeeze", {value, b.ints(0)}); };
  for (int64_t axis = 0, rank = typeOf(x).getRank(); axis < rank; ++axis) {
    Value size = b.dim(x, axis), step = chosen.valueAt(axis, steps, 1);
    Value isBackward = b.make("Less", {step, b.ints(0)}), last = b.make("Sub", {size, b.ints(1)});
    auto within = [&](Value place, Value least, Value most) {
      place = b.make("Where", {b.make("Less", {place, b.ints(0)}), b.make("Add", {place, size}), place});
      return b.make("Min", {b.make("Max", {place, least}), most});
    };
    Value least = b.make("Where", {isBackward, b.ints(-1), b.ints(0)}),
          most = b.make("Where", {isBackward, last, size});
    Value start = within(chosen.valueAt(axis, starts, 0), b.ints(0), most);
    Value end = within(chosen.valueAt(axis, ends, kMost), least, most);
    x = b.make("Gather", {x, b.make("Range", {single(start), single(end), single(step)})}, b.attribute("axis", axis));
  }
  return b.finish(x);
}

Status standard::cumSumAtRunTime(NodeImport &node) {
  OperatorBuilder b(node);
  Value x = node.inputs[0], result = x;
  int64_t rank = typeOf(x).getRank();
  NamedAttribute attributes[] = {b.attribute("exclusive", node.takeInt("exclusive", 0)),
                                 b.attribute("reverse", node.takeInt("reverse", 0))};
  RunTimeAxes chosen(b, node.inputs[1], rank);
  for (int64_t axis = 0; axis < rank; ++axis)
    result = b.make("Where", {chosen.isGiven(axis), b.make("CumSum", {x, b.ints(axis)}, attributes), result});
  return b.finish(result);
}

/// Pads of axes that are not given are 0: pads of all axes, begins, then ends.
Value standard::padsOfAllAxes(OperatorBuilder &b, Value pads, Value axes, int64_t rank) {
  int64_t count = typeOf(axes).getNumElements();
  RunTimeAxes chosen(b, axes, rank);
  SmallVector<Value> all;
  for (int64_t first : {int64_t(0), count})
    for (int64_t axis = 0; axis < rank; ++axis)
      all.push_back(chosen.valueAt(axis, b.slice(pads, 0, b.ints(first), b.ints(first + count)), 0));
  return b.concat(all, 0);
}
