//===- AttentionKernels.cpp - Attention becomes kernels -------------------===//
//
// With earlier keys and values as operands, they are joined with the new ones before the
// kernel; with a cache, kernels append to it and read it where it lies.
//
//===----------------------------------------------------------------------===//
#include "KernelPatterns.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// Keys or values [batch, length, heads, size] or heads first, appended to those of
/// earlier calls, heads first.
Value append(RowsBuilder &b, Value past, Value now, bool headsFirst) {
  if (!headsFirst)
    now = onnx::TransposeOp::create(b, now, ArrayRef<int64_t>{0, 2, 1, 3});
  return past ? onnx::ConcatOp::create(b, ValueRange{past, now}, /*axis=*/uint64_t(2)) : now;
}

/// A mask that is added to the scores. The lowest number of a narrower type means
/// "hidden" there and stays the lowest, so that a query that sees nothing still gets the
/// mean of all values.
Value widenMask(RowsBuilder &b, Value mask) {
  auto type = dyn_cast<FloatType>(typeOf(mask).getElementType());
  if (!type || type.isF32())
    return mask;
  auto lowest = [&](FloatType type) -> Value {
    APFloat value = APFloat::getLargest(type.getFloatSemantics(), /*Negative=*/true);
    return onnx::ConstantOp::create(b, DenseElementsAttr::get(RankedTensorType::get({}, type), value));
  };
  Value hidden = onnx::LessOrEqualOp::create(b, mask, lowest(type));
  return onnx::WhereOp::create(b, hidden, lowest(b.getF32Type()), widen(b, mask));
}

/// With leading dimensions of 1, up to rank 4.
Value toRank4(RowsBuilder &b, Value mask) {
  while (typeOf(mask).getRank() < 4) {
    RankedTensorType type = typeOf(mask);
    SmallVector<int64_t> shape{1};
    llvm::append_range(shape, type.getShape());
    SmallVector<OpFoldResult> sizes{b.getIndexAttr(1)};
    SmallVector<ReassociationIndices> groups;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      sizes.push_back(b.size(mask, i));
      groups.push_back({i + 1});
    }
    if (!groups.empty())
      groups[0] = {0, 1};
    mask = tensor::ExpandShapeOp::create(b, type.clone(shape), mask, groups, sizes);
  }
  return mask;
}

/// Whether a value, or a part of it, is quantized.
bool becomesCodes(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (auto slice = dyn_cast<onnx::SliceOp>(user))
      return becomesCodes(slice.getOutput());
    return isa<QuantizeOp, DynamicQuantizeOp, SplitColumnsOp, SplitColumnsAtOp>(user);
  });
}

UnitAttr flag(Builder &b, bool isSet) { return isSet ? b.getUnitAttr() : UnitAttr(); }

/// The soft cap, null where scores are not capped.
template <typename AttentionOp>
FloatAttr softcapOf(AttentionOp op) {
  return op.getSoftcap().convertToFloat() > 0 ? op.getSoftcapAttr() : Builder(op.getContext()).getF32FloatAttr(0);
}

struct Attention : KernelPattern<onnx::AttentionOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(onnx::AttentionOp op, PatternRewriter &rewriter) const override {
    if (const char *reason = whyNot(op))
      return rewriter.notifyMatchFailure(op, reason);
    RowsBuilder b(op.getLoc(), rewriter);
    Heads of(op);
    Value q = toHeads(b, op.getQ(), op.getQNumHeads()), k = toHeads(b, op.getK(), op.getKvNumHeads()),
          v = toHeads(b, op.getV(), op.getKvNumHeads());
    DenseMap<Value, Value> replacements;
    if (countsFromPast(op))
      b.requireEqual(b.dim(q, of.queriesFirst ? 2 : 1), b.dim(k, of.keysFirst ? 2 : 1));
    if (op.getPastKey() || op.getPresentKey() || op.getPresentValue()) {
      k = append(b, op.getPastKey(), k, of.keysFirst);
      v = append(b, op.getPastValue(), v, of.keysFirst);
      for (auto [present, joined] : {std::pair(op.getPresentKey(), k), std::pair(op.getPresentValue(), v)})
        if (present)
          replacements[present] = b.withShape(joined, typeOf(present).getShape());
      of.keysFirst = true;
    }
    b.requireEqual(b.dim(q, 0), b.dim(k, 0));
    b.requireEqual(b.dim(q, 0), b.dim(v, 0));
    b.requireEqual(b.dim(k, of.keysFirst ? 2 : 1), b.dim(v, of.keysFirst ? 2 : 1));

    SmallVector<OpFoldResult> sizes;
    for (int64_t i = 0; i < 3; ++i)
      sizes.push_back(b.size(q, i));
    sizes.push_back(b.getIndexAttr(of.valueSize));
    Value mask = op.getAttnMask() ? toRank4(b, widenMask(b, op.getAttnMask())) : Value();
    q = widen(b, q), k = widen(b, k), v = widen(b, v);
    Value init = b.empty(sizes, b.getF32Type());
    auto attention = kernel::AttentionOp::create(
        b, init.getType(), q, k, v, mask, init, op.getScaleAttr(), softcapOf(op), flag(b, op.getIsCausal()),
        flag(b, countsFromPast(op)), flag(b, of.queriesFirst), flag(b, of.keysFirst), flag(b, becomesCodes(op.getY())));
    Value y = attention.getResult(0);
    Type element = typeOf(op.getQ()).getElementType();
    if (!element.isF32())
      y = onnx::CastOp::create(b, y, element);
    replacements[op.getY()] = fromHeads(b, y, {sizes[0], sizes[of.queriesFirst ? 2 : 1]}, typeOf(op.getY()));
    rewriter.replaceOp(op, llvm::map_to_vector(op->getResults(), [&](Value result) { return replacements[result]; }));
    return success();
  }

private:
  /// How many heads there are, how large, and whether they come before the tokens.
  struct Heads {
    explicit Heads(onnx::AttentionOp op)
        : queriesFirst(typeOf(op.getQ()).getRank() == 4), keysFirst(typeOf(op.getK()).getRank() == 4),
          queries(queriesFirst ? typeOf(op.getQ()).getDimSize(1) : op.getQNumHeads()),
          keys(keysFirst ? typeOf(op.getK()).getDimSize(1) : op.getKvNumHeads()),
          values(keysFirst ? typeOf(op.getV()).getDimSize(1) : op.getKvNumHeads()),
          size(widthOf(op.getQ()) / (queriesFirst ? 1 : queries)), keySize(widthOf(op.getK()) / (keysFirst ? 1 : keys)),
          valueSize(widthOf(op.getV()) / (keysFirst ? 1 : values)) {}

    bool queriesFirst, keysFirst;
    int64_t queries, keys, values, size, keySize, valueSize;
  };

  /// Whether the first query sees the earlier keys and the first new one: the kernel counts from the last key, which
  /// is the same where queries and new keys are as many.
  static bool countsFromPast(onnx::AttentionOp op) { return op.getIsCausal() && op.getPastKey(); }

  static int64_t lengthOf(Value x) { return typeOf(x).getDimSize(typeOf(x).getRank() == 4 ? 2 : 1); }

  static const char *whyNot(onnx::AttentionOp op) {
    Value mask = op.getAttnMask();
    if (!fitsF32(op.getQ()) || !fitsF32(op.getK()) || !fitsF32(op.getV()))
      return "requires floats of at most 32 bits";
    if (mask && ((!fitsF32(mask) && !typeOf(mask).getElementType().isInteger(1)) || typeOf(mask).getRank() > 4))
      return "requires a mask of booleans or floats, of rank 4 or less";
    if (static_cast<bool>(op.getPastKey()) != static_cast<bool>(op.getPastValue()))
      return "requires both earlier keys and earlier values, or none";
    for (auto [x, heads] : {std::pair(op.getQ(), op.getQNumHeads()), std::pair(op.getK(), op.getKvNumHeads()),
                            std::pair(op.getV(), op.getKvNumHeads())})
      if (const char *reason = whyNotHeads(x, heads))
        return reason;
    if (typeOf(op.getK()).getRank() != typeOf(op.getV()).getRank())
      return "requires keys and values in one layout";
    Heads of(op);
    if (of.keySize != of.size || of.values != of.keys || of.queries % of.keys)
      return "requires query heads in groups of key heads, and keys as large as queries";
    if (countsFromPast(op) && ShapedType::isStatic(lengthOf(op.getQ())) && ShapedType::isStatic(lengthOf(op.getK())) &&
        lengthOf(op.getQ()) != lengthOf(op.getK()))
      return "requires as many new keys as queries where tokens do not see later ones";
    return nullptr;
  }
};

struct CachedAttention : KernelPattern<CachedAttentionOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(CachedAttentionOp op, PatternRewriter &rewriter) const override {
    RowsBuilder b(op.getLoc(), rewriter);
    Value keys = op.getKeyCache(), values = op.getValueCache(), past = op.getPastLength();
    auto keyType = cast<MemRefType>(keys.getType()), valueType = cast<MemRefType>(values.getType());
    int64_t keyHeads = keyType.getDimSize(1), valueSize = valueType.getDimSize(3);
    int64_t heads = op.getQ().getType().getDimSize(2) / keyType.getDimSize(3);
    Value q = toHeads(b, op.getQ(), heads), k = toHeads(b, op.getK(), keyHeads), v = toHeads(b, op.getV(), keyHeads);
    auto dim = [&](Value cache, int64_t i) { return b.createOrFold<memref::DimOp>(cache, i); };
    Value batch = b.dim(q, 0), length = b.dim(q, 1);
    for (Value other : {b.dim(k, 0), b.dim(v, 0), dim(keys, 0), dim(values, 0)})
      b.requireEqual(batch, other);
    for (Value other : {b.dim(k, 1), b.dim(v, 1)})
      b.requireEqual(length, other);
    b.requireEqual(dim(keys, 2), dim(values, 2));
    if (typeOf(past).isDynamicDim(0))
      b.requireEqual(batch, b.dim(past, 0));

    kernel::CacheAppendOp::create(b, TypeRange(), k, past, keys);
    kernel::CacheAppendOp::create(b, TypeRange(), v, past, values);
    SmallVector<OpFoldResult> sizes{b.size(q, 0), b.size(q, 1), b.getIndexAttr(heads), b.getIndexAttr(valueSize)};
    Value init = b.empty(sizes, b.getF32Type());
    auto attention = kernel::CachedAttentionOp::create(b, init.getType(), q, keys, values, past, op.getSlopes(),
                                                       op.getSinks(), init, op.getScaleAttr(), softcapOf(op),
                                                       op.getWindowAttr(), flag(b, becomesCodes(op.getY())));
    rewriter.replaceOp(op, fromHeads(b, attention.getResult(0), {sizes[0], sizes[1]}, op.getType()));
    return success();
  }
};

} // namespace

void lowering::populateAttentionKernels(RewritePatternSet &patterns, PackedParameters &parameters) {
  patterns.add<Attention, CachedAttention>(patterns.getContext(), parameters);
}
