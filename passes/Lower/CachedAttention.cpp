//===- CachedAttention.cpp - Attention to keys in a cache ------------------===//
//
// Attention of a decoder, in whatever layout and with whatever past an exporter gave it, becomes
// qopt.cached_attention of the new tokens' rows.
//
//===----------------------------------------------------------------------===//
#include "CacheInputs.h"
#include "CachedEntry.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Remarks.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

bool CachedEntry::isPadding(Value mask) {
  auto [entry, isNew] = paddingMasks.try_emplace(mask, false);
  if (isNew)
    entry->second = isPaddingMask(mask, inputs);
  return entry->second;
}

/// What the queries of an attention see, where it is one of a decoder.
std::optional<SeenKeys> CachedEntry::seenKeys(onnx::AttentionOp op) {
  Value mask = op.getAttnMask();
  // Who fills an input that is added to the scores hides later tokens by it.
  if (isGivenBias(mask, inputs))
    return SeenKeys();
  if (!mask || isPadding(mask))
    return op.getIsCausal() ? std::optional(SeenKeys()) : std::nullopt;
  auto [entry, isNew] = seen.try_emplace({mask, op.getIsCausal() ? 1 : 0}, std::nullopt);
  if (isNew)
    entry->second = measureSeenKeys(mask, op.getIsCausal(), inputs);
  return entry->second;
}

/// Heads behind tokens, or before them, and their size.
static std::pair<int64_t, int64_t> headsOf(Value value, int64_t heads) {
  RankedTensorType type = typeOf(value);
  if (type.getRank() == 4)
    return {type.getDimSize(1), type.getDimSize(3)};
  int64_t columns = type.getDimSize(2);
  return {heads, heads > 0 && columns > 0 && columns % heads == 0 ? columns / heads : ShapedType::kDynamic};
}

/// Keys or values [batch, heads, sequence, size] before an exporter repeated them for the heads of queries.
static Value withoutRepeats(Value value) {
  auto reshape = value.getDefiningOp<onnx::ReshapeOp>();
  auto expand = reshape ? reshape.getData().getDefiningOp<onnx::ExpandOp>() : onnx::ExpandOp();
  auto unsqueeze = expand ? expand.getInput().getDefiningOp<onnx::UnsqueezeOp>() : onnx::UnsqueezeOp();
  if (!unsqueeze || typeOf(unsqueeze.getData()).getRank() != 4 || typeOf(value).getRank() != 4)
    return value;
  RankedTensorType from = typeOf(unsqueeze.getData()), apart = typeOf(expand.getResult()), to = typeOf(value);
  auto axes = onnx::getConstantInts(unsqueeze.getAxes());
  bool isRepeat = axes && *axes == SmallVector<int64_t>{2} && apart.getRank() == 5 &&
                  apart.getDimSize(1) == from.getDimSize(1) && apart.getDimSize(4) == from.getDimSize(3) &&
                  !apart.isDynamicDim(1) && !apart.isDynamicDim(2) && !apart.isDynamicDim(4) &&
                  to.getDimSize(1) == apart.getDimSize(1) * apart.getDimSize(2) &&
                  to.getDimSize(3) == from.getDimSize(3);
  return isRepeat ? unsqueeze.getData() : value;
}

/// The new ones of keys or values [batch, heads, sequence, size] that stand behind earlier ones.
static Value withoutPast(Value value) {
  auto concat = value.getDefiningOp<onnx::ConcatOp>();
  bool isAppended = concat && concat.getInputs().size() == 2 && typeOf(value).getRank() == 4 &&
                    onnx::frontAxis(concat.getAxis(), 4) == 2 && isPastInput(concat.getInputs()[0]);
  return isAppended ? concat.getInputs()[1] : value;
}

LogicalResult CachedEntry::canBeCached(onnx::AttentionOp op) {
  auto isUnused = [](Value present) { return !present || present.use_empty(); };
  Value mask = op.getAttnMask();
  // Without a mask of any kind tokens may see later ones because the model is no decoder.
  if (!seenKeys(op) && !op.getIsCausal())
    decodes = mask && !isPadding(mask);
  if (!seenKeys(op) && (!mask || isPadding(mask)))
    return fail(op, "this attention is not causal, so tokens see later ones");
  if (!seenKeys(op))
    return fail(op, "the mask " + typeText(mask.getType()) +
                        " of this attention does not just hide padding, and keys by their distance from a query");
  if (!isPastInput(op.getPastKey()) || !isPastInput(op.getPastValue()))
    return fail(op, "earlier keys or values of this attention are computed, not inputs");
  if (!isUnused(op.getPresentKey()) || !isUnused(op.getPresentValue()))
    return fail(op, "the keys or values of this attention are used by something else");
  for (Value rows : {op.getQ(), op.getK(), op.getV()})
    if (!typeOf(rows).getElementType().isF32() || (typeOf(rows).getRank() != 3 && typeOf(rows).getRank() != 4))
      return fail(op,
                  "expected float32 rows [batch, sequence, features] in attention but got " + typeText(rows.getType()));
  auto [heads, size] = headsOf(op.getQ(), op.getQNumHeads());
  auto [keyHeads, keySize] = headsOf(op.getK(), op.getKvNumHeads());
  auto [valueHeads, valueSize] = headsOf(op.getV(), op.getKvNumHeads());
  bool fits = heads > 0 && keyHeads > 0 && heads % keyHeads == 0 && valueHeads == keyHeads && size > 0 &&
              size == keySize && valueSize > 0;
  if (!fits)
    return fail(op, "queries " + typeText(op.getQ().getType()) + ", keys " + typeText(op.getK().getType()) +
                        " and values " + typeText(op.getV().getType()) + " are not heads of one size");
  return success();
}

void CachedEntry::replace(onnx::AttentionOp op, unsigned layer) {
  Location loc = op.getLoc();
  b.setInsertionPoint(op);
  auto ints = [&](ArrayRef<int64_t> values) {
    return onnx::ConstantOp::create(b, loc, b.getI64TensorAttr(values)).getResult();
  };
  auto toRows = [&](Value heads) -> Value {
    RankedTensorType type = typeOf(heads);
    if (type.getRank() == 3)
      return heads;
    heads = onnx::TransposeOp::create(b, loc, heads, ArrayRef<int64_t>{0, 2, 1, 3});
    return onnx::ReshapeOp::create(b, loc, heads, ints({0, 0, type.getDimSize(1) * type.getDimSize(3)}));
  };
  Value key = withoutPast(withoutRepeats(op.getK())), value = withoutPast(withoutRepeats(op.getV()));
  if (typeOf(key).getRank() != 4 || typeOf(value).getRank() != 4 ||
      typeOf(key).getDimSize(1) != typeOf(value).getDimSize(1))
    key = op.getK(), value = op.getV();
  auto cache = [&](Value now, const char *what, Role role) {
    auto [heads, size] = headsOf(now, op.getKvNumHeads());
    auto type = MemRefType::get({typeOf(inputs.tokens).getDimSize(0), heads, ShapedType::kDynamic, size}, cacheType);
    return addArgument(type, "cache." + Twine(layer) + "." + what, role, {"batch", "", "capacity", ""});
  };
  Value keys = cache(key, "key", Role::KeyCache), values = cache(value, "value", Role::ValueCache);
  SeenKeys shown = *seenKeys(op);
  auto [heads, size] = headsOf(op.getQ(), op.getQNumHeads());
  Value slopes;
  if (!shown.slopes.empty()) {
    SmallVector<float> all(heads, static_cast<float>(shown.slopes[0]));
    if (shown.slopes.size() > 1)
      llvm::copy(shown.slopes, all.begin());
    slopes = onnx::ConstantOp::create(
        b, loc, DenseElementsAttr::get(RankedTensorType::get({heads}, b.getF32Type()), ArrayRef(all)));
  }
  Value sinks = sinksOf.lookup(op);
  if (sinks)
    sinks = onnx::ReshapeOp::create(b, loc, sinks, ints({heads}));
  auto cached = CachedAttentionOp::create(b, loc, toRows(op.getQ()), toRows(key), toRows(value), keys, values,
                                          pastLength, slopes, sinks, op.getScaleAttr(), op.getSoftcapAttr(),
                                          shown.window ? b.getI64IntegerAttr(shown.window) : IntegerAttr());
  Value y = cached.getY();
  if (typeOf(op.getY()).getRank() == 4) {
    y = onnx::ReshapeOp::create(b, loc, y, ints({0, 0, heads, headsOf(value, op.getKvNumHeads()).second}));
    y = onnx::TransposeOp::create(b, loc, y, ArrayRef<int64_t>{0, 2, 1, 3});
  }
  // The attention may have known less or more of its batch than q does.
  op.getY().replaceAllUsesWith(b.createOrFold<tensor::CastOp>(loc, op.getY().getType(), y));
}

LogicalResult CachedEntry::replaceAttention() {
  raiseSoftmaxes();
  SmallVector<onnx::AttentionOp> attentions(body.getOps<onnx::AttentionOp>());
  if (attentions.empty()) {
    // A model that mixes no tokens is no decoder either, or one whose attention is still
    // the exporter's.
    decodes = !body.getOps<onnx::SoftmaxOp>().empty();
    return fail(function, "there is no onnx.Attention");
  }
  for (onnx::AttentionOp op : attentions)
    if (failed(canBeCached(op)))
      return failure();
  for (auto [layer, op] : llvm::enumerate(attentions))
    replace(op, layer);
  for (onnx::AttentionOp op : attentions)
    op.erase();
  return success();
}
