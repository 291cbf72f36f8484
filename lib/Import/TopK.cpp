//===- TopK.cpp - The largest elements, in order --------------------------===//
//
// The place of an element is the number of those that come before it. Comparing all with all
// takes the square of the size, which is a number of experts here.
//
//===----------------------------------------------------------------------===//
#include "StandardRules.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

/// More is no number of experts, but a vocabulary.
static constexpr int64_t kMaxSize = 1024;

/// X, K; the number is an attribute before operator set 10. Of equal elements the first comes first.
Status standard::importTopK(NodeImport &node) {
  OperatorBuilder b(node);
  Value x = node.inputs[0];
  RankedTensorType type = typeOf(x);
  int64_t rank = type.getRank(), axis = node.takeInt("axis", -1);
  if (axis < -rank || axis >= rank)
    return Error{"axis " + std::to_string(axis) + " is out of range for rank " + std::to_string(rank)};
  axis = axis < 0 ? axis + rank : axis;
  if (type.isDynamicDim(axis) || type.getDimSize(axis) > kMaxSize)
    return Error{"of more than " + std::to_string(kMaxSize) + " elements, or of an unknown number, is not supported"};
  auto given = node.take<IntegerAttr>("k");
  if (!given && !node.input(1))
    return Error{"requires K"};
  Value wanted = given ? b.ints(given.getInt()) : b.flatInts(node.inputs[1]);
  bool isLargest = node.takeInt("largest", 1);
  node.attributes.erase("sorted"); // any order will do where it is 0

  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[axis], perm[rank - 1]);
  Value rows = axis + 1 == rank ? x : b.transpose(x, perm);
  Value places = b.count(0, b.ints(type.getDimSize(axis)));
  Value own = b.unsqueeze(rows, rank), other = b.unsqueeze(rows, rank - 1);
  Value isEarlier = b.make("Less", {places, b.unsqueeze(places, 1)});
  Value isTie = b.make("And", {b.make("Equal", {other, own}), isEarlier});
  Value isBefore = b.make("Or", {b.make(isLargest ? "Greater" : "Less", {other, own}), isTie});
  NamedAttribute dropped = b.attribute("keepdims", int64_t(0));
  Type i64 = node.builder.getI64Type();
  Value order = b.make("ReduceSum", {b.cast(isBefore, i64), b.ints(rank)}, dropped); // of each element
  Value isChosen = b.make("Equal", {b.unsqueeze(order, rank - 1), b.unsqueeze(b.count(0, wanted), 1)});
  Value indices = b.make("ReduceSum", {b.make("Where", {isChosen, places, b.ints(0)}), b.ints(rank)}, dropped);
  Value values = b.make("GatherElements", {rows, indices}, b.attribute("axis", rank - 1));
  if (axis + 1 != rank) {
    values = b.transpose(values, perm);
    indices = b.transpose(indices, perm);
  }
  return b.finish({values, indices});
}
