//===- LowerAttention.cpp - Attention and RotaryEmbedding as loops --------===//
//
// For where no kernel takes them. The heads of a query come as [kv heads, queries of each], so
// that loops find keys and values without a division.
//
//===----------------------------------------------------------------------===//
#include "LowerQuantization.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// The loops of one attention. Scores are [batch, kv heads, queries per kv head, length, keys].
class AttentionLoops {
public:
  AttentionLoops(onnx::AttentionOp op, OnnxLowering &state)
      : op(op), state(state), b(state.b), element(getElementTypeOrSelf(op.getQ().getType())),
        working(cast<FloatType>(element).getWidth() < 32 ? Type(b.getF32Type()) : element) {}

  LogicalResult run() {
    Dims q = state.dims(op.getQ()), k = state.dims(op.getK()), v = state.dims(op.getV());
    isSequenceFirst = q.size() == 3;
    if (k.size() != q.size() || v.size() != q.size())
      return op.emitOpError("has no lowering for Q, K and V of different ranks");
    OpFoldResult heads = isSequenceFirst ? state.index(op.getQNumHeads()) : q[1];
    kvHeads = isSequenceFirst ? state.index(op.getKvNumHeads()) : k[1];
    if (constantOf(kvHeads) == 0)
      return op.emitOpError("requires the number of heads");
    perKvHead = state.div(heads, kvHeads);
    if (failed(state.requireEqual(state.product({perKvHead, kvHeads}), heads)))
      return failure();
    batch = q[0];
    length = isSequenceFirst ? q[1] : q[2];
    headSize = isSequenceFirst ? state.div(q[2], heads) : q[3];
    Value keys, values;
    OpFoldResult keySize, valueSize;
    if (failed(appendToPast(op.getK(), op.getPastKey(), op.getPresentKey(), keys, keySize)) ||
        failed(appendToPast(op.getV(), op.getPastValue(), op.getPresentValue(), values, valueSize)) ||
        failed(state.requireEqual(keySize, headSize)))
      return failure();
    FailureOr<Value> scores = mask(multiplyKeys(keys));
    if (failed(scores))
      return failure();
    store(weigh(*scores, values, valueSize), valueSize);
    return success();
  }

private:
  /// Keys or values [batch, kv heads, keys, size], behind those of the past; sets `present`.
  LogicalResult appendToPast(Value added, Value past, Value present, Value &result, OpFoldResult &size) {
    Dims dims = state.dims(added), heads;
    size = isSequenceFirst ? state.div(dims[2], kvHeads) : dims[3];
    OpFoldResult count = isSequenceFirst ? dims[1] : dims[2];
    Dims to{batch, kvHeads, count, size};
    if (failed(state.requireEqual(dims[0], batch)))
      return failure();
    result = state.tensor(added);
    if (isSequenceFirst) {
      if (failed(state.requireEqual(state.product({kvHeads, size}), dims[2])))
        return failure();
      result = state.reshape(result, dims, {dims[0], count, kvHeads, size});
      result = state.generic(to, element, result, pick(state, 4, {0, 2, 1, 3}),
                             [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
    }
    OpFoldResult total = count;
    if (past) {
      Dims before = state.dims(past), all = to;
      pastCount = before[2];
      total = all[2] = state.add(before[2], count);
      for (int64_t axis : {0, 1, 3})
        if (failed(state.requireEqual(before[axis], to[axis])))
          return failure();
      Dims offsets(4, state.index(0)), strides(4, state.index(1)), sizes = to;
      sizes[2] = before[2];
      Value old = state.castTo(state.tensor(past), state.typeOf(sizes, element));
      Value both = tensor::InsertSliceOp::create(b, old, state.empty(all, element), offsets, sizes, strides);
      offsets[2] = before[2];
      result =
          tensor::InsertSliceOp::create(b, state.castTo(result, state.typeOf(to, element)), both, offsets, to, strides);
      to = all;
    }
    if (present)
      state.setTensor(present, result, to);
    // There are as many values as keys.
    OpFoldResult other = std::exchange(keyCount, total);
    return other ? state.requireEqual(other, total) : success();
  }

  /// Loops: batch, kv head, query of it, row, key, and what is summed.
  Value multiplyKeys(Value keys) {
    Dims split = isSequenceFirst ? Dims{batch, length, kvHeads, perKvHead, headSize}
                                 : Dims{batch, kvHeads, perKvHead, length, headSize};
    Value queries = state.reshape(state.tensor(op.getQ()), state.dims(op.getQ()), split);
    AffineMap q = isSequenceFirst ? pick(state, 6, {0, 3, 1, 2, 5}) : pick(state, 6, {0, 1, 2, 3, 5});
    scoreDims = {batch, kvHeads, perKvHead, length, keyCount};
    return state.fold(state.fill(scoreDims, state.constant(working, 0)), pick(state, 6, {0, 1, 2, 3, 4}),
                      {queries, keys}, {q, pick(state, 6, {0, 1, 4, 5})},
                      [&](ImplicitLocOpBuilder &b, ValueRange in) { return addProduct(b, in); });
  }

  Value addProduct(ImplicitLocOpBuilder &b, ValueRange in) {
    Value product = arith::MulFOp::create(b, widen(b, in[0], working), widen(b, in[1], working));
    return arith::AddFOp::create(b, in[2], product);
  }

  /// The mask in the five dimensions of the scores, or with 1 for some of them.
  FailureOr<Value> shapedMask(Dims &to) {
    Dims from = state.dims(op.getAttnMask()), four(4 - from.size(), state.index(1));
    llvm::append_range(four, from);
    bool isPerHead = constantOf(four[1]) != 1;
    to = {four[0], isPerHead ? kvHeads : state.index(1), isPerHead ? perKvHead : state.index(1), four[2], four[3]};
    if (isPerHead && failed(state.requireEqual(four[1], state.product({kvHeads, perKvHead}))))
      return failure();
    for (int64_t axis : {0, 3, 4})
      if (constantOf(to[axis]) != 1 && failed(state.requireEqual(to[axis], scoreDims[axis])))
        return failure();
    return state.reshape(state.tensor(op.getAttnMask()), from, to);
  }

  /// Scaled scores; what a query does not see has the most negative number.
  FailureOr<Value> mask(Value scores) {
    SmallVector<Value> inputs{scores};
    SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(5)};
    if (op.getAttnMask()) {
      Dims dims;
      FailureOr<Value> shaped = shapedMask(dims);
      if (failed(shaped))
        return failure();
      inputs.push_back(*shaped);
      maps.push_back(state.broadcastMap(dims, 5));
    }
    Value factor = scale(), before = state.value(pastCount ? pastCount : state.index(0));
    return state.generic(scoreDims, working, inputs, maps, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
      Value lowest = this->lowest(b), score = softcap(b, arith::MulFOp::create(b, in[0], factor));
      bool isBoolean = in.size() > 1 && !isa<FloatType>(in[1].getType());
      if (in.size() > 1 && !isBoolean) {
        score = arith::AddFOp::create(b, score, widen(b, in[1], working));
        score = widen(b, narrow(b, score, element), working);
      }
      score = arith::MaximumFOp::create(b, score, lowest);
      if (isBoolean)
        score = arith::SelectOp::create(b, in[1], score, lowest);
      if (!op.getIsCausal())
        return score;
      Value last = arith::AddIOp::create(b, linalg::IndexOp::create(b, 3), before);
      Value isLater = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, linalg::IndexOp::create(b, 4), last);
      return arith::SelectOp::create(b, isLater, lowest, score);
    });
  }

  /// What scores are multiplied with: by default 1 / sqrt(head size).
  Value scale() {
    if (op.getScale())
      return state.constant(working, op.getScale()->convertToFloat());
    Value size = arith::IndexCastOp::create(b, b.getI64Type(), state.value(headSize));
    Value root = math::SqrtOp::create(b, arith::SIToFPOp::create(b, working, size));
    return arith::DivFOp::create(b, state.constant(working, 1), root);
  }

  Value softcap(ImplicitLocOpBuilder &b, Value score) {
    double cap = op.getSoftcap().convertToFloat();
    if (cap <= 0)
      return score;
    Value limit = state.constant(working, cap);
    return arith::MulFOp::create(b, limit, math::TanhOp::create(b, arith::DivFOp::create(b, score, limit)));
  }

  Value lowest(ImplicitLocOpBuilder &b) {
    APFloat value = APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(), /*Negative=*/true);
    bool losesInfo;
    value.convert(cast<FloatType>(working).getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
    return arith::ConstantOp::create(b, b.getFloatAttr(working, value));
  }

  /// Softmax over the keys, times the values: [batch, kv heads, queries, length, size].
  Value weigh(Value scores, Value values, OpFoldResult size) {
    Dims rows(ArrayRef(scoreDims).drop_back());
    AffineMap all = b.getMultiDimIdentityMap(5), row = pick(state, 5, upTo(4));
    Value largest =
        state.fold(state.fill(rows, lowest(b)), row, scores, all, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
          return arith::MaximumFOp::create(b, in[1], in[0]);
        });
    Value powers = state.generic(scoreDims, working, {scores, largest}, {all, row},
                                 [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                                   return math::ExpOp::create(b, arith::SubFOp::create(b, in[0], in[1]));
                                 });
    Value sum = state.fold(
        state.fill(rows, state.constant(working, 0)), row, powers, all,
        [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value { return arith::AddFOp::create(b, in[1], in[0]); });
    Dims to = rows;
    to.push_back(size);
    // Loops: batch, kv head, query of it, row, element, key.
    Value weighted = state.fold(state.fill(to, state.constant(working, 0)), pick(state, 6, upTo(5)), {powers, values},
                                {pick(state, 6, {0, 1, 2, 3, 5}), pick(state, 6, {0, 1, 5, 4})},
                                [&](ImplicitLocOpBuilder &b, ValueRange in) { return addProduct(b, in); });
    return state.generic(to, element, {weighted, sum}, {all, row}, [&](ImplicitLocOpBuilder &b, ValueRange in) {
      return narrow(b, arith::DivFOp::create(b, in[0], in[1]), element);
    });
  }

  void store(Value result, OpFoldResult size) {
    Dims dims{batch, kvHeads, perKvHead, length, size};
    if (isSequenceFirst) {
      dims = {batch, length, kvHeads, perKvHead, size};
      result = state.generic(dims, element, result, pick(state, 5, {0, 2, 3, 1, 4}),
                             [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
    }
    state.setTensor(op.getY(), state.reshape(result, dims, state.dims(op.getY())));
  }

  onnx::AttentionOp op;
  OnnxLowering &state;
  ImplicitLocOpBuilder &b;
  Type element, working;
  bool isSequenceFirst = false;
  OpFoldResult batch, kvHeads, perKvHead, length, headSize, keyCount, pastCount;
  Dims scoreDims;
};

LogicalResult lowerAttention(onnx::AttentionOp op, OnnxLowering &state) { return AttentionLoops(op, state).run(); }

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

LogicalResult lowerRotaryEmbedding(onnx::RotaryEmbeddingOp op, OnnxLowering &state) {
  Dims from = state.dims(op.getX()), heads = from;
  bool isSequenceFirst = from.size() == 3;
  if (isSequenceFirst) {
    if (op.getNumHeads() < 1)
      return op.emitOpError("requires the number of heads");
    OpFoldResult count = state.index(op.getNumHeads());
    heads = {from[0], from[1], count, state.div(from[2], count)};
  }
  Value x = state.reshape(state.tensor(op.getX()), from, heads), cos = state.tensor(op.getCosCache()),
        sin = state.tensor(op.getSinCache()),
        positions = op.getPositionIds() ? state.tensor(op.getPositionIds()) : Value();
  Dims rows = positions ? state.dims(op.getPositionIds()) : Dims(ArrayRef(state.dims(op.getCosCache())).take_front(2));
  if (rows.size() != 2)
    return op.emitOpError("requires one position per token");
  bool isShared = constantOf(rows[0]) == 1;
  OpFoldResult length = isSequenceFirst ? heads[1] : heads[2];
  if (failed(state.requireEqual(rows[1], length)) || (!isShared && failed(state.requireEqual(rows[0], heads[0]))))
    return failure();
  if (positions)
    requirePositions(op.getPositionIds(), state.dims(op.getCosCache())[0], state);
  OpFoldResult half = state.dims(op.getCosCache()).back();
  OpFoldResult both = state.add(half, half);
  if (failed(state.requireEqual(state.max(both, heads[3]), heads[3])))
    return failure();
  for (auto [c, s] : llvm::zip_equal(state.dims(op.getCosCache()), state.dims(op.getSinCache())))
    if (failed(state.requireEqual(c, s)))
      return failure();
  Value halfSize = state.value(half), rotated = state.value(both);
  Type element = getElementTypeOrSelf(op.getX().getType());
  Type working = cast<FloatType>(element).getWidth() < 32 ? Type(state.b.getF32Type()) : element;
  Value zero = state.value(state.index(0)), two = state.value(state.index(2));
  Value result = state.generic(
      heads, element, x, state.b.getMultiDimIdentityMap(4), [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        SmallVector<Value> at;
        for (int64_t i = 0; i < 4; ++i)
          at.push_back(linalg::IndexOp::create(b, i));
        Value column = at[3], isRotated = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, column, rotated);
        // What is not rotated reads at 0 and is selected away.
        column = arith::SelectOp::create(b, isRotated, column, zero);
        Value pair, isFirst, partner;
        if (op.getInterleaved()) {
          pair = arith::DivUIOp::create(b, column, two);
          Value first = arith::MulIOp::create(b, pair, two);
          isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, first, column);
          Value one = arith::ConstantIndexOp::create(b, 1);
          partner = arith::SelectOp::create(b, isFirst, arith::AddIOp::create(b, column, one), first);
        } else {
          isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, column, halfSize);
          Value before = arith::SubIOp::create(b, column, halfSize);
          pair = arith::SelectOp::create(b, isFirst, column, before);
          partner = arith::SelectOp::create(b, isFirst, arith::AddIOp::create(b, column, halfSize), before);
        }
        SmallVector<Value> row{isShared ? zero : at[0], isSequenceFirst ? at[1] : at[2]};
        if (positions)
          row = {arith::IndexCastOp::create(b, b.getIndexType(), tensor::ExtractOp::create(b, positions, row))};
        row.push_back(pair);
        Value c = widen(b, tensor::ExtractOp::create(b, cos, row), working);
        Value s = widen(b, tensor::ExtractOp::create(b, sin, row), working);
        at[3] = partner;
        Value other = widen(b, tensor::ExtractOp::create(b, x, at), working);
        Value turned = arith::MulFOp::create(b, widen(b, in[0], working), c),
              added = arith::MulFOp::create(b, other, s);
        Value sum = arith::SelectOp::create(b, isFirst, arith::SubFOp::create(b, turned, added),
                                            arith::AddFOp::create(b, turned, added));
        return arith::SelectOp::create(b, isRotated, narrow(b, sum, element), in[0]);
      });
  state.setTensor(op.getY(), state.reshape(result, heads, state.dims(op.getY())));
  return success();
}

} // namespace

void lowering::populateAttention(Handlers &handlers) {
  handlers.add(&lowerAttention);
  handlers.add(&lowerRotaryEmbedding);
}
