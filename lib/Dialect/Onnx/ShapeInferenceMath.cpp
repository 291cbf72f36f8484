//===- ShapeInferenceMath.cpp - Result types: indexing, reductions, products ===//
#include "InferTypes.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

static LogicalResult inferSplitOp(std::optional<Location> loc, SplitOp::Adaptor op, Types &types) {
  RankedTensorType input = typeOf(op.getInput());
  FailureOr<int64_t> axis = normalizeAxis(loc, op.getAxis(), input.getRank());
  if (failed(axis))
    return failure();
  int64_t size = input.getDimSize(*axis);
  Dims parts;
  if (op.getSplit()) {
    auto ints = getConstantInts(op.getSplit());
    if (!ints)
      return error(loc, "requires constant sizes of the parts");
    int64_t sum = 0;
    for (int64_t part : *ints)
      if (part < 0 || __builtin_add_overflow(sum, part, &sum))
        return error(loc, "expected parts of at least 0 elements but got ", part);
    if (size != kDynamic && sum != size)
      return error(loc, "parts of ", sum, " elements in all do not make up dimension ", *axis, " of ", size);
    parts = *ints;
  } else {
    int64_t count = op.getNumOutputs().value_or(0);
    if (count < 1 || count > 4096)
      return error(loc, "expected 1 to 4096 parts but got ", count);
    int64_t each = size / count + (size % count != 0);
    for (int64_t i = 0, left = size; i < count; ++i) {
      parts.push_back(size == kDynamic ? kDynamic : std::min(left, each));
      left -= parts.back() == kDynamic ? 0 : parts.back();
    }
  }
  for (int64_t part : parts) {
    Dims dims(input.getShape());
    dims[*axis] = part;
    types.push_back(RankedTensorType::get(dims, input.getElementType()));
  }
  return success();
}
INFER(SplitOp)

/// The length of data[start:end:step] along a dimension of `size`.
static int64_t sliceLength(int64_t size, int64_t start, int64_t end, int64_t step) {
  auto fromEnd = [&](int64_t i) { return i < 0 && i >= -size ? i + size : i; };
  start = fromEnd(start);
  end = fromEnd(end);
  if (step > 0) {
    start = std::clamp<int64_t>(start, 0, size);
    end = std::clamp<int64_t>(end, 0, size);
    return end <= start ? 0 : (end - start - 1) / step + 1;
  }
  start = std::clamp<int64_t>(start, -1, size - 1);
  end = std::clamp<int64_t>(end, -1, size - 1);
  return start <= end ? 0 : (start - end - 1) / -step + 1;
}

static LogicalResult inferSliceOp(std::optional<Location> loc, SliceOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData());
  FailureOr<int64_t> count = lengthOf(loc, op.getStarts(), "starts");
  if (failed(count))
    return failure();
  Dims axes, steps(*count, 1);
  if (op.getAxes()) {
    FailureOr<Dims> given = constantAxes(loc, op.getAxes(), data.getRank());
    if (failed(given))
      return failure();
    axes = *given;
  } else {
    for (int64_t i = 0; i < *count; ++i)
      axes.push_back(i);
  }
  if (op.getSteps()) {
    auto ints = getConstantInts(op.getSteps());
    if (!ints)
      return error(loc, "requires constant steps");
    steps = *ints;
  }
  if (static_cast<int64_t>(axes.size()) != *count || static_cast<int64_t>(steps.size()) != *count ||
      *count > data.getRank())
    return error(loc, "expected as many axes and steps as starts, at most ", data.getRank(), ", but got ", axes.size(),
                 ", ", steps.size(), " and ", *count);
  auto starts = getConstantInts(op.getStarts()), ends = getConstantInts(op.getEnds());
  if (ends && static_cast<int64_t>(ends->size()) != *count)
    return error(loc, "expected ", *count, " ends but got ", ends->size());
  Dims dims(data.getShape());
  for (int64_t i = 0; i < *count; ++i) {
    int64_t &dim = dims[axes[i]];
    if (steps[i] == 0 || steps[i] == std::numeric_limits<int64_t>::min())
      return error(loc, "expected a step other than 0 but got ", steps[i]);
    if (starts && ends && dim != kDynamic)
      dim = sliceLength(dim, (*starts)[i], (*ends)[i], steps[i]);
    else if (!(starts && ends && (*starts)[i] == 0 && steps[i] == 1 &&
               (*ends)[i] >= std::numeric_limits<int32_t>::max()))
      dim = kDynamic;
  }
  return withElement(types, dims, data.getElementType());
}
INFER(SliceOp)

static LogicalResult requireIndices(std::optional<Location> loc, Value indices) {
  Type element = typeOf(indices).getElementType();
  if (!element.isInteger(64) && !element.isInteger(32))
    return error(loc, "requires indices of 32 or 64 bit integers but got ", indices.getType());
  return success();
}

static LogicalResult inferGatherOp(std::optional<Location> loc, GatherOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData()), indices = typeOf(op.getIndices());
  FailureOr<int64_t> axis = normalizeAxis(loc, op.getAxis(), data.getRank());
  if (failed(axis) || failed(requireIndices(loc, op.getIndices())))
    return failure();
  int64_t size = data.getDimSize(*axis);
  if (auto ints = getConstantInts(op.getIndices()); ints && size != kDynamic)
    for (int64_t index : *ints)
      if (index < -size || index >= size)
        return error(loc, "expected indices in [", -size, ", ", size - 1, "] but got ", index);
  Dims dims(data.getShape().take_front(*axis));
  dims.append(indices.getShape().begin(), indices.getShape().end());
  dims.append(data.getShape().begin() + *axis + 1, data.getShape().end());
  return withElement(types, dims, data.getElementType());
}
INFER(GatherOp)

static LogicalResult inferGatherElementsOp(std::optional<Location> loc, GatherElementsOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData()), indices = typeOf(op.getIndices());
  if (failed(normalizeAxis(loc, op.getAxis(), data.getRank())) || failed(requireIndices(loc, op.getIndices())))
    return failure();
  if (indices.getRank() != data.getRank())
    return error(loc, "requires indices of rank ", data.getRank(), " but got ", indices.getRank());
  return withElement(types, indices.getShape(), data.getElementType());
}
INFER(GatherElementsOp)

static LogicalResult inferGatherNDOp(std::optional<Location> loc, GatherNDOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData()), indices = typeOf(op.getIndices());
  if (failed(requireIndices(loc, op.getIndices())))
    return failure();
  int64_t batch = op.getBatchDims();
  if (indices.getRank() < 1 || indices.isDynamicDim(indices.getRank() - 1))
    return error(loc, "requires indices with a known last dimension but got ", indices);
  int64_t tuple = indices.getShape().back();
  if (batch < 0 || batch >= indices.getRank() || tuple < 1 || batch + tuple > data.getRank())
    return error(loc, "cannot index rank ", data.getRank(), " by tuples of ", tuple, " after ", batch,
                 " batch dimensions");
  Dims dims(indices.getShape().drop_back());
  dims.append(data.getShape().begin() + batch + tuple, data.getShape().end());
  return withElement(types, dims, data.getElementType());
}
INFER(GatherNDOp)

static LogicalResult inferScatterNDOp(std::optional<Location> loc, ScatterNDOp::Adaptor op, Types &types) {
  if (failed(requireIndices(loc, op.getIndices())))
    return failure();
  types.push_back(op.getData().getType());
  return success();
}
INFER(ScatterNDOp)

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

template <typename Adaptor>
static LogicalResult inferReduce(std::optional<Location> loc, Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData());
  Dims axes;
  if (op.getAxes()) {
    FailureOr<Dims> given = constantAxes(loc, op.getAxes(), data.getRank());
    if (failed(given))
      return failure();
    axes = *given;
  }
  if (axes.empty() && !op.getNoopWithEmptyAxes())
    axes = llvm::to_vector(llvm::seq(data.getRank()));
  Dims dims;
  for (auto [i, dim] : llvm::enumerate(data.getShape())) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      dims.push_back(dim);
    else if (op.getKeepdims())
      dims.push_back(1);
  }
  return withElement(types, dims, data.getElementType());
}

#define INFER_REDUCE(OP)                                                                                               \
  static LogicalResult infer##OP(std::optional<Location> loc, OP::Adaptor op, Types &types) {                          \
    return inferReduce(loc, op, types);                                                                                \
  }                                                                                                                    \
  INFER(OP)
INFER_REDUCE(ReduceMaxOp)
INFER_REDUCE(ReduceMeanOp)
INFER_REDUCE(ReduceMinOp)
INFER_REDUCE(ReduceProdOp)
INFER_REDUCE(ReduceSumOp)

static LogicalResult inferSoftmaxOp(std::optional<Location> loc, SoftmaxOp::Adaptor op, Types &types) {
  if (failed(normalizeAxis(loc, op.getAxis(), typeOf(op.getInput()).getRank())) ||
      failed(requireFloat(loc, op.getInput())))
    return failure();
  types.push_back(op.getInput().getType());
  return success();
}
INFER(SoftmaxOp)

//===----------------------------------------------------------------------===//
// Products and the parts of a decoder layer
//===----------------------------------------------------------------------===//

static LogicalResult inferMatMulOp(std::optional<Location> loc, MatMulOp::Adaptor op, Types &types) {
  if (failed(requireSameElement(loc, op.getOperands())))
    return failure();
  RankedTensorType a = typeOf(op.getA()), b = typeOf(op.getB());
  if (a.getRank() < 1 || b.getRank() < 1)
    return error(loc, "requires operands of rank 1 or more but got ", a.getRank(), " and ", b.getRank());
  int64_t inner = a.getShape().back(), rows = b.getDimSize(std::max<int64_t>(b.getRank() - 2, 0));
  if (inner != rows && inner != kDynamic && rows != kDynamic)
    return error(loc, "inner dimensions differ: ", inner, " and ", rows);
  FailureOr<Dims> dims = broadcast(loc, a.getShape().drop_back(std::min<int64_t>(a.getRank(), 2)),
                                   b.getShape().drop_back(std::min<int64_t>(b.getRank(), 2)));
  if (failed(dims))
    return failure();
  if (a.getRank() > 1)
    dims->push_back(a.getDimSize(a.getRank() - 2));
  if (b.getRank() > 1)
    dims->push_back(b.getShape().back());
  return withElement(types, *dims, a.getElementType());
}
INFER(MatMulOp)

static LogicalResult inferGemmOp(std::optional<Location> loc, GemmOp::Adaptor op, Types &types) {
  RankedTensorType a = typeOf(op.getA()), b = typeOf(op.getB());
  if (failed(requireSameElement(loc, op.getOperands())))
    return failure();
  if (a.getRank() != 2 || b.getRank() != 2)
    return error(loc, "requires matrices but got ranks ", a.getRank(), " and ", b.getRank());
  int64_t inner = a.getDimSize(op.getTransA() ? 0 : 1), rows = b.getDimSize(op.getTransB() ? 1 : 0);
  if (inner != rows && inner != kDynamic && rows != kDynamic)
    return error(loc, "inner dimensions differ: ", inner, " and ", rows);
  Dims dims = {a.getDimSize(op.getTransA() ? 1 : 0), b.getDimSize(op.getTransB() ? 0 : 1)};
  if (op.getC() && failed(requireBroadcastTo(loc, op.getC(), dims)))
    return failure();
  return withElement(types, dims, a.getElementType());
}
INFER(GemmOp)

static LogicalResult inferRMSNormalizationOp(std::optional<Location> loc, RMSNormalizationOp::Adaptor op,
                                             Types &types) {
  RankedTensorType x = typeOf(op.getX());
  if (failed(normalizeAxis(loc, op.getAxis(), x.getRank())) || failed(requireFloat(loc, op.getX())) ||
      failed(requireFloat(loc, op.getScale())) || failed(requireBroadcastTo(loc, op.getScale(), x.getShape())))
    return failure();
  types.push_back(x);
  return success();
}
INFER(RMSNormalizationOp)

static LogicalResult inferRotaryEmbeddingOp(std::optional<Location> loc, RotaryEmbeddingOp::Adaptor op, Types &types) {
  RankedTensorType x = typeOf(op.getX());
  if (x.getRank() != 4 && !(x.getRank() == 3 && op.getNumHeads() > 0))
    return error(loc, "requires x of rank 4, or of rank 3 with num_heads, but got rank ", x.getRank());
  int64_t cacheRank = op.getPositionIds() ? 2 : 3;
  for (Value cache : {op.getCosCache(), op.getSinCache()})
    if (typeOf(cache).getRank() != cacheRank)
      return error(loc, "expected caches of rank ", cacheRank, " but got rank ", typeOf(cache).getRank());
  types.push_back(x);
  return success();
}
INFER(RotaryEmbeddingOp)

/// The dimensions of Q, K and V that must agree: those of the 4-D form, [batch,
/// heads, length, head size].
static FailureOr<Dims> headDims(std::optional<Location> loc, RankedTensorType type, int64_t heads) {
  if (type.getRank() == 4)
    return Dims(type.getShape());
  int64_t columns = type.getShape().back();
  if (columns != kDynamic && columns % heads != 0)
    return error(loc, "cannot divide ", columns, " columns into ", heads, " heads");
  return Dims{type.getDimSize(0), heads, type.getDimSize(1), columns == kDynamic ? kDynamic : columns / heads};
}

static bool differ(int64_t a, int64_t b) { return a != b && a != kDynamic && b != kDynamic; }

static LogicalResult inferAttentionOp(std::optional<Location> loc, AttentionOp::Adaptor op, Types &types) {
  RankedTensorType q = typeOf(op.getQ()), k = typeOf(op.getK()), v = typeOf(op.getV());
  if (q.getRank() != k.getRank() || k.getRank() != v.getRank() || (q.getRank() != 3 && q.getRank() != 4))
    return error(loc, "requires Q, K and V of rank 3 or 4 but got ", q.getRank(), ", ", k.getRank(), " and ",
                 v.getRank());
  for (Value operand : {op.getQ(), op.getK(), op.getV()})
    if (failed(requireFloat(loc, operand)))
      return failure();
  if (q.getRank() == 3 && (op.getQNumHeads() < 1 || op.getKvNumHeads() < 1))
    return error(loc, "requires q_num_heads and kv_num_heads above 0 but got ", op.getQNumHeads(), " and ",
                 op.getKvNumHeads());
  FailureOr<Dims> qDims = headDims(loc, q, op.getQNumHeads()), kDims = headDims(loc, k, op.getKvNumHeads()),
                  vDims = headDims(loc, v, op.getKvNumHeads());
  if (failed(qDims) || failed(kDims) || failed(vDims))
    return failure();
  int64_t qHeads = (*qDims)[1], kvHeads = (*kDims)[1];
  if (qHeads != kDynamic && kvHeads != kDynamic && (kvHeads < 1 || qHeads % kvHeads != 0))
    return error(loc, "requires a multiple of the kv heads as q heads but got ", qHeads, " and ", kvHeads);
  if (differ((*qDims)[0], (*kDims)[0]) || differ((*kDims)[0], (*vDims)[0]))
    return error(loc, "requires one batch size but got ", (*qDims)[0], ", ", (*kDims)[0], " and ", (*vDims)[0]);
  if (differ((*qDims)[3], (*kDims)[3]))
    return error(loc, "requires heads of one size in Q and K but got ", (*qDims)[3], " and ", (*kDims)[3]);
  if (differ((*kDims)[1], (*vDims)[1]) || differ((*kDims)[2], (*vDims)[2]))
    return error(loc, "requires K and V of as many heads and one length but got ", k, " and ", v);
  if (op.getAttnMask() && typeOf(op.getAttnMask()).getRank() > 4)
    return error(loc, "requires a mask of rank 4 or less but got ", op.getAttnMask().getType());

  Dims result(q.getShape());
  int64_t valueSize = (*vDims)[3];
  if (q.getRank() == 4)
    result[3] = valueSize;
  else
    result[2] = valueSize == kDynamic ? kDynamic : checkedMul(valueSize, qHeads).value_or(kDynamic);
  types.push_back(RankedTensorType::get(result, q.getElementType()));
  if (!op.getPastKey() != !op.getPastValue())
    return error(loc, "requires past_key and past_value together");
  if (!op.getPastKey())
    return success();
  for (auto [past, dims] : {std::pair(op.getPastKey(), *kDims), std::pair(op.getPastValue(), *vDims)}) {
    RankedTensorType type = typeOf(past);
    if (type.getRank() != 4)
      return error(loc, "requires past_key and past_value of rank 4 but got ", type.getRank());
    Dims present(type.getShape());
    for (int axis : {0, 1, 3})
      if (differ(present[axis], dims[axis]))
        return error(loc, "past ", type, " does not continue with heads of ", dims[3], " in ", dims[1]);
    present[2] = kDynamic;
    types.push_back(RankedTensorType::get(present, type.getElementType()));
  }
  return success();
}
INFER(AttentionOp)
