//===- MathShapes.cpp - Shapes of reductions, products and decoder parts ----===//
//
// What the operands of products, normalizations and attention must have in common, and
// what comes out.
//
//===----------------------------------------------------------------------===//
#include "ShapeRules.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

LogicalResult onnx::inferReduction(Value data, Value axes, bool keepsDims, bool isNoopWithoutAxes, ShapeMath &shapes) {
  Extents from = shapes.dims(data), to;
  auto rank = static_cast<int64_t>(from.size());
  Axes reduced;
  if (axes) {
    std::optional<SmallVector<int64_t>> constants = shapes.constants(axes);
    if (!constants) {
      FailureOr<int64_t> count = lengthOf(axes, "axes", shapes);
      if (failed(count))
        return failure();
      return shapes.addUnknown(keepsDims ? rank : std::max<int64_t>(rank - *count, 0), elementOf(data), "axes");
    }
    FailureOr<Axes> given = normalizeAxes(*constants, rank, shapes);
    if (failed(given))
      return failure();
    reduced = *given;
  }
  if (reduced.empty() && !isNoopWithoutAxes)
    reduced = llvm::to_vector(llvm::seq(rank));
  for (auto [i, size] : llvm::enumerate(from)) {
    if (!llvm::is_contained(reduced, i))
      to.push_back(size);
    else if (keepsDims)
      to.push_back(Extent::constant(1));
  }
  return shapes.addResult(to, elementOf(data));
}

/// `function` folded over all elements, where the result is a single one.
static std::optional<Extents> reduceContents(Operation *op, ShapeMath &shapes,
                                             function_ref<Extent(Extent, Extent)> function) {
  std::optional<Extents> from = shapes.contents(op->getOperand(0));
  RankedTensorType type = typeOf(op->getResult(0));
  if (!from || from->empty() || !type.hasStaticShape() || type.getNumElements() != 1)
    return std::nullopt;
  Extent result = from->front();
  for (Extent next : ArrayRef(*from).drop_front())
    result = function(result, next);
  return Extents{result};
}

std::optional<Extents> ReduceProdOp::inferContents(ShapeMath &shapes) {
  return reduceContents(*this, shapes, [&](Extent a, Extent b) { return shapes.mul(a, b); });
}
std::optional<Extents> ReduceSumOp::inferContents(ShapeMath &shapes) {
  return reduceContents(*this, shapes, [&](Extent a, Extent b) { return shapes.add(a, b); });
}
std::optional<Extents> ReduceMaxOp::inferContents(ShapeMath &shapes) {
  return reduceContents(*this, shapes, [&](Extent a, Extent b) { return shapes.max(a, b); });
}
std::optional<Extents> ReduceMinOp::inferContents(ShapeMath &shapes) {
  return reduceContents(*this, shapes, [&](Extent a, Extent b) { return shapes.min(a, b); });
}

LogicalResult SoftmaxOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  if (failed(normalizeAxis(op.getAxis(), rankOf(op.getInput()), shapes)))
    return failure();
  return shapes.addResult(shapes.dims(op.getInput()), elementOf(op.getInput()));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

LogicalResult MatMulOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents a = shapes.dims(op.getA()), b = shapes.dims(op.getB());
  if (a.empty() || b.empty())
    return shapes.error("requires operands of rank 1 or more but got ", a.size(), " and ", b.size());
  Extent inner = a.back(), rows = b[b.size() < 2 ? 0 : b.size() - 2];
  FailureOr<Extents> dims = shapes.broadcast(ArrayRef(a).drop_back(std::min<size_t>(a.size(), 2)),
                                             ArrayRef(b).drop_back(std::min<size_t>(b.size(), 2)));
  if (failed(dims) ||
      failed(shapes.requireEqual(inner, rows, "inner dimensions differ: ", inner.value, " and ", rows.value)))
    return failure();
  if (a.size() > 1)
    dims->push_back(a[a.size() - 2]);
  if (b.size() > 1)
    dims->push_back(b.back());
  return shapes.addResult(*dims, elementOf(op.getA()));
}

/// Whether `value` can be broadcast to `dims` and leaves them as they are.
static LogicalResult requireBroadcastTo(Value value, ArrayRef<Extent> dims, ShapeMath &shapes) {
  Extents from = shapes.dims(value);
  bool fits = from.size() <= dims.size();
  for (size_t i = 1; fits && i <= from.size(); ++i) {
    Extent size = from[from.size() - i], to = dims[dims.size() - i];
    fits = size.isConstant(1) || !size.isConstant() || !to.isConstant() || size == to;
    if (fits && !size.isConstant(1) && failed(shapes.broadcast(to, size)))
      return failure();
  }
  if (fits)
    return success();
  SmallVector<int64_t> shape;
  for (const Extent &size : dims)
    shape.push_back(size.isConstant() ? size.value : ShapedType::kDynamic);
  return shapes.error("cannot broadcast ", value.getType(), " to ", RankedTensorType::get(shape, elementOf(value)));
}

LogicalResult GemmOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents a = shapes.dims(op.getA()), b = shapes.dims(op.getB());
  if (a.size() != 2 || b.size() != 2)
    return shapes.error("requires matrices but got ranks ", a.size(), " and ", b.size());
  Extent inner = a[op.getTransA() ? 0 : 1], rows = b[op.getTransB() ? 1 : 0];
  Extents dims = {a[op.getTransA() ? 1 : 0], b[op.getTransB() ? 0 : 1]};
  if (failed(shapes.requireEqual(inner, rows, "inner dimensions differ: ", inner.value, " and ", rows.value)) ||
      (op.getC() && failed(requireBroadcastTo(op.getC(), dims, shapes))))
    return failure();
  return shapes.addResult(dims, elementOf(op.getA()));
}

//===----------------------------------------------------------------------===//
// The parts of a decoder layer
//===----------------------------------------------------------------------===//

LogicalResult RMSNormalizationOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getX());
  if (failed(normalizeAxis(op.getAxis(), dims.size(), shapes)) ||
      failed(requireBroadcastTo(op.getScale(), dims, shapes)))
    return failure();
  return shapes.addResult(dims, elementOf(op.getX()));
}

LogicalResult LayerNormalizationOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getX());
  FailureOr<int64_t> axis = normalizeAxis(op.getAxis(), dims.size(), shapes);
  if (failed(axis) || failed(requireBroadcastTo(op.getScale(), dims, shapes)) ||
      (op.getB() && failed(requireBroadcastTo(op.getB(), dims, shapes))))
    return failure();
  Extents perRow = dims;
  std::fill(perRow.begin() + *axis, perRow.end(), Extent::constant(1));
  Type f32 = Float32Type::get(op.getX().getContext());
  return success(succeeded(shapes.addResult(dims, elementOf(op.getX()))) && succeeded(shapes.addResult(perRow, f32)) &&
                 succeeded(shapes.addResult(perRow, f32)));
}

LogicalResult RotaryEmbeddingOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getX());
  if (dims.size() != 4 && !(dims.size() == 3 && op.getNumHeads() > 0))
    return shapes.error("requires x of rank 4, or of rank 3 with num_heads, but got rank ", dims.size());
  int64_t cacheRank = op.getPositionIds() ? 2 : 3;
  for (Value cache : {op.getCosCache(), op.getSinCache()})
    if (rankOf(cache) != cacheRank)
      return shapes.error("expected caches of rank ", cacheRank, " but got rank ", rankOf(cache));
  return shapes.addResult(dims, elementOf(op.getX()));
}

/// The dimensions of Q, K and V that must agree: those of the 4-D form, [batch, heads, length,
/// head size].
static FailureOr<Extents> headDims(Value value, int64_t heads, ShapeMath &shapes) {
  Extents dims = shapes.dims(value);
  if (dims.size() == 4)
    return dims;
  Extent columns = dims[2];
  if (columns.isConstant() && columns.value % heads != 0)
    return shapes.error("cannot divide ", columns.value, " columns into ", heads, " heads");
  return Extents{dims[0], Extent::constant(heads), dims[1], shapes.div(columns, Extent::constant(heads))};
}

static bool differ(Extent a, Extent b) { return a.isConstant() && b.isConstant() && a != b; }

/// What the operands of an Attention have in common.
static LogicalResult checkAttention(AttentionOp::Adaptor op, ArrayRef<Extent> q, ArrayRef<Extent> k, ArrayRef<Extent> v,
                                    ShapeMath &shapes) {
  if (q[1].isConstant() && k[1].isConstant() && (k[1].value < 1 || q[1].value % k[1].value != 0))
    return shapes.error("requires a multiple of the kv heads as q heads but got ", q[1].value, " and ", k[1].value);
  if (differ(q[0], k[0]) || differ(k[0], v[0]))
    return shapes.error("requires one batch size but got ", q[0].value, ", ", k[0].value, " and ", v[0].value);
  if (differ(q[3], k[3]))
    return shapes.error("requires heads of one size in Q and K but got ", q[3].value, " and ", k[3].value);
  if (differ(k[1], v[1]) || differ(k[2], v[2]))
    return shapes.error("requires K and V of as many heads and one length but got ", typeOf(op.getK()), " and ",
                        typeOf(op.getV()));
  if (!op.getPastKey() != !op.getPastValue())
    return shapes.error("requires past_key and past_value together");
  return success();
}

LogicalResult AttentionOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents result = shapes.dims(op.getQ());
  int64_t qRank = result.size(), kRank = rankOf(op.getK()), vRank = rankOf(op.getV());
  if (qRank != kRank || kRank != vRank || (qRank != 3 && qRank != 4))
    return shapes.error("requires Q, K and V of rank 3 or 4 but got ", qRank, ", ", kRank, " and ", vRank);
  auto qHeads = static_cast<int64_t>(op.getQNumHeads()), kvHeads = static_cast<int64_t>(op.getKvNumHeads());
  if (qRank == 3 && (qHeads < 1 || kvHeads < 1))
    return shapes.error("requires q_num_heads and kv_num_heads above 0 but got ", qHeads, " and ", kvHeads);
  FailureOr<Extents> q = headDims(op.getQ(), qHeads, shapes), k = headDims(op.getK(), kvHeads, shapes),
                     v = headDims(op.getV(), kvHeads, shapes);
  if (failed(q) || failed(k) || failed(v) || failed(checkAttention(op, *q, *k, *v, shapes)))
    return failure();
  result.back() = qRank == 4 ? (*v)[3] : shapes.mul((*v)[3], (*q)[1]);
  if (failed(shapes.addResult(result, elementOf(op.getQ()))) || !op.getPastKey())
    return success();
  for (auto [past, dims] : {std::pair(op.getPastKey(), *k), std::pair(op.getPastValue(), *v)}) {
    Extents present = shapes.dims(past);
    if (present.size() != 4)
      return shapes.error("requires past_key and past_value of rank 4 but got ", present.size());
    for (int axis : {0, 1, 3})
      if (differ(present[axis], dims[axis]))
        return shapes.error("past ", past.getType(), " does not continue with heads of ", dims[3].value, " in ",
                            dims[1].value);
    present[2] = shapes.add(present[2], dims[2]);
    if (failed(shapes.addResult(present, elementOf(past))))
      return failure();
  }
  return success();
}
