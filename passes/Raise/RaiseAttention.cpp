//===- RaiseAttention.cpp - Find attention --------------------------------===//
//
// Scaled dot-product attention with grouped heads (Vaswani et al., arXiv 1706.03762;
// Ainslie et al., arXiv 2305.13245). What exporters put between the projections and
// the result differs most in the mask, which no pattern could list: the pass asks
// which of the masks it knows gives the same result, for padding on either side and
// in between.
//
//===----------------------------------------------------------------------===//
#include "AttentionMatch.h"
#include "Raising.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Remarks.h"
#include "qopt/Reference/LongCalls.h"
#include <cmath>

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_RAISEATTENTION
#include "qopt/Passes/Passes.h.inc"

namespace {

using namespace raise;
using reference::Tensor;

/// Calls with which both ways are compared.
constexpr std::pair<Sizes, Padding> kTrials[] = {{{2, 6, 3}, Padding::None},
                                                 {{2, 6, 2}, Padding::Left},
                                                 {{2, 5, 4}, Padding::Right},
                                                 {{2, 7, 3}, Padding::Holes},
                                                 {{1, 40, 2}, Padding::None}};
static_assert(kTrials[std::size(kTrials) - 1].first.length > reference::kSeenDistance);

/// Rules behind those of AttentionMatch; the calls of kTrials follow one by one.
enum Rule { kHasScale = kFirstComputedRule, kHasMask, kIsSame };

/// How scores may be hidden.
struct Mask {
  bool causal;
  Value value; ///< may be null
};

class Raiser {
public:
  Raiser(func::FuncOp function, int64_t context)
      : function(function), inputs(function), activations(inputs.activations()), context(context) {}

  LogicalResult raise(onnx::SoftmaxOp softmax, Reason &reason) {
    FailureOr<AttentionMatch> match = matchAttention(softmax, activations, reason);
    if (failed(match))
      return failure();
    reference::Quiet quiet(function.getContext());
    std::optional<double> scale = measureScale(*match);
    if (!scale)
      return reason.fail(kHasScale, "the scores of tokens with themselves show no scale");
    SmallVector<Mask> masks;
    if (!llvm::any_of(match->masks, [&](Value mask) { return changesLater(mask); })) {
      masks.push_back({true, {}});
      if (inputs.attentionMask)
        masks.push_back({true, paddingMask()});
      masks.push_back({false, {}});
      if (inputs.attentionMask)
        masks.push_back({false, paddingMask()});
    }
    for (Value own : {match->addedMask, match->keptMask})
      if (own && typeOf(own).getRank() <= 4)
        masks.push_back({false, own});
    if (masks.empty())
      return reason.fail(kHasMask, "the mask is neither added to the scores nor chooses among them");
    for (const Mask &mask : masks)
      if (succeeded(replace(*match, *scale, mask, reason)))
        return success();
    return failure();
  }

private:
  static RankedTensorType typeFor(Value value, Sizes sizes) {
    RankedTensorType type = typeOf(value);
    SmallVector<int64_t> dims(type.getShape());
    for (auto [i, dim] : llvm::enumerate(dims))
      if (dim == ShapedType::kDynamic)
        dim = i == 0 ? sizes.batch : sizes.length;
    return RankedTensorType::get(dims, type.getElementType());
  }

  void fill(reference::Slice &slice, const AttentionMatch &match, Sizes sizes, Padding padding, std::mt19937 &random) {
    inputs.fill(slice, sizes, padding, /*maxPosition=*/sizes.length, random);
    for (const Heads *heads : {&match.q, &match.k, &match.v})
      slice.set(heads->value, randomTensor(typeFor(heads->value, sizes), random));
  }

  /// Whatever the mask, a query sees its own token: that score is their product
  /// times the scale.
  std::optional<double> measureScale(const AttentionMatch &match) {
    Sizes sizes = inputs.adapt({2, 6, 0});
    reference::Slice slice;
    std::mt19937 random(2);
    fill(slice, match, sizes, Padding::None, random);
    FailureOr<Tensor> logits = slice.get(match.logits), q = slice.get(match.q.value), k = slice.get(match.k.value);
    if (failed(logits) || failed(q) || failed(k) ||
        logits->numElements() != sizes.batch * match.q.heads * sizes.length * sizes.length)
      return std::nullopt;
    auto at = [&](const Heads &heads, int64_t s) { return s * heads.size * (heads.isHeadsFirst() ? 1 : heads.heads); };
    double numerator = 0, denominator = 0;
    for (int64_t i = 0; i < sizes.length; ++i) {
      double product = 0, score = logits->floats[i * sizes.length + i];
      for (int64_t d = 0; d < match.q.size; ++d)
        product += q->floats[at(match.q, i) + d] * k->floats[at(match.k, i) + d];
      if (match.softcap)
        score = *match.softcap * std::atanh(score / *match.softcap);
      numerator += score * product;
      denominator += product * product;
    }
    double scale = numerator / denominator, usual = 1 / std::sqrt(static_cast<double>(match.q.size));
    if (!std::isfinite(scale))
      return std::nullopt;
    return std::abs(scale / usual - 1) < toleranceOf(logits->type.getElementType()) ? usual : scale;
  }

  /// Whether the mask does something that only sequences longer than a trial show, a
  /// window of 4096 tokens say.
  bool changesLater(Value mask) {
    auto [entry, isNew] = later.try_emplace(mask, false);
    if (isNew)
      entry->second = reference::changesInLongCalls(mask, inputs, context);
    return entry->second;
  }

  /// attention_mask as booleans [batch, 1, 1, keys], one for all layers.
  Value paddingMask() {
    if (padding)
      return padding;
    OpBuilder builder = OpBuilder::atBlockBegin(&function.front());
    Location loc = function.getLoc();
    Value axes = createInts(builder, loc, {1, 2});
    Value shown = inputs.attentionMask;
    if (!typeOf(shown).getElementType().isInteger(1))
      shown = onnx::CastOp::create(builder, loc, shown, builder.getI1Type());
    return padding = onnx::UnsqueezeOp::create(builder, loc, shown, axes);
  }

  /// The heads as [batch, length, heads * size].
  static Value joinHeads(OpBuilder &builder, Location loc, const Heads &heads) {
    Value value = heads.value;
    if (typeOf(value).getRank() == 3)
      return value;
    if (heads.isHeadsFirst())
      value = onnx::TransposeOp::create(builder, loc, value, ArrayRef<int64_t>{0, 2, 1, 3});
    return onnx::ReshapeOp::create(builder, loc, value, createInts(builder, loc, {0, 0, heads.heads * heads.size}));
  }

  LogicalResult replace(const AttentionMatch &match, double scale, const Mask &mask, Reason &reason) {
    Operation *last = match.result.getDefiningOp(), *before = last->getPrevNode();
    OpBuilder builder(last);
    Location loc = last->getLoc();
    Value q = joinHeads(builder, loc, match.q), k = joinHeads(builder, loc, match.k),
          v = joinHeads(builder, loc, match.v);
    auto attention = onnx::AttentionOp::create(
        builder, loc, q, k, v, mask.value, match.k.past, match.v.past, mask.causal, match.q.heads, match.k.heads,
        builder.getF32FloatAttr(static_cast<float>(scale)), APFloat(static_cast<float>(match.softcap.value_or(0))));
    onnx::copyScope(last, attention);
    Value result = attention.getY();
    int64_t columns = match.q.heads * match.v.size;
    if (typeOf(match.result).getRank() == 2) {
      result = onnx::ReshapeOp::create(builder, loc, result, createInts(builder, loc, {-1, columns}));
    } else if (typeOf(match.result).getRank() == 4) {
      result =
          onnx::ReshapeOp::create(builder, loc, result, createInts(builder, loc, {0, 0, match.q.heads, match.v.size}));
      result = onnx::TransposeOp::create(builder, loc, result, ArrayRef<int64_t>{0, 2, 1, 3});
    }
    if (std::optional<size_t> trial = findDifference(match, result, attention)) {
      while (last->getPrevNode() != before)
        last->getPrevNode()->erase();
      Sizes sizes = kTrials[*trial].first;
      return reason.fail(kIsSame + static_cast<int>(*trial),
                         "attention " + Twine(mask.causal ? "with" : "without") +
                             " a causal mask gives another result" + " for " + Twine(sizes.batch) + " texts of " +
                             Twine(sizes.length) + " tokens after " + Twine(sizes.past) + " earlier ones");
    }
    if (match.k.past) {
      Value(match.k.present).replaceAllUsesExcept(attention.getPresentKey(), attention);
      Value(match.v.present).replaceAllUsesExcept(attention.getPresentValue(), attention);
    }
    Value(match.result).replaceAllUsesWith(result);
    return success();
  }

  /// Sets the rows of `tensor` that `expected` leaves undefined (NaN, or 0 by a guard
  /// against NaN) to 0 in both.
  static void dropUndefinedRows(Tensor &expected, Tensor &actual, int64_t columns, int64_t valueSize) {
    int64_t size = expected.type.getRank() == 4 ? valueSize : columns;
    for (int64_t start = 0; start < expected.numElements(); start += size) {
      ArrayRef<double> row = ArrayRef(expected.floats).slice(start, size);
      if (!llvm::any_of(row, [](double x) { return std::isnan(x); }) &&
          !llvm::all_of(row, [](double x) { return x == 0; }))
        continue;
      std::fill_n(expected.floats.begin() + start, size, 0.0);
      std::fill_n(actual.floats.begin() + start, size, 0.0);
    }
  }

  /// The first trial in which both ways differ; nothing if they are the same.
  std::optional<size_t> findDifference(const AttentionMatch &match, Value replacement, onnx::AttentionOp attention) {
    std::mt19937 random(3);
    for (auto [trial, call] : llvm::enumerate(kTrials)) {
      auto [wanted, padding] = call;
      Sizes sizes = inputs.adapt(wanted);
      reference::Slice slice;
      fill(slice, match, sizes, padding, random);
      SmallVector<std::pair<Value, Value>> pairs = {{match.result, replacement}};
      if (match.k.past) {
        pairs.push_back({match.k.present, attention.getPresentKey()});
        pairs.push_back({match.v.present, attention.getPresentValue()});
      }
      for (auto [i, pair] : llvm::enumerate(pairs)) {
        FailureOr<Tensor> expected = slice.get(pair.first), actual = slice.get(pair.second);
        if (failed(expected) || failed(actual) || expected->type.getShape() != actual->type.getShape())
          return trial;
        if (i == 0)
          dropUndefinedRows(*expected, *actual, match.q.heads * match.v.size, match.v.size);
        if (!reference::isClose(*expected, *actual, toleranceOf(expected->type.getElementType())))
          return trial;
      }
    }
    return std::nullopt;
  }

  func::FuncOp function;
  ModelInputs inputs;
  llvm::DenseSet<Value> activations;
  int64_t context;
  Value padding;
  llvm::DenseMap<Value, bool> later;
};

struct RaiseAttention : impl::RaiseAttentionBase<RaiseAttention> {
  using Base::Base;

  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    FailureOr<int64_t> context = contextLength(getOperation(), maxPosition);
    if (failed(context))
      return signalPassFailure();
    // What nobody states may be as long as any.
    bool isAssumed = isContextAssumed(getOperation(), maxPosition);
    Raiser raiser(getOperation(), isAssumed ? kLongestContext : std::min(*context, kLongestContext));
    SmallVector<onnx::SoftmaxOp> softmaxes(getOperation().front().getOps<onnx::SoftmaxOp>());
    for (onnx::SoftmaxOp softmax : softmaxes) {
      Reason reason;
      if (succeeded(raiser.raise(softmax, reason)))
        ++numRaised;
      else if (reason.step())
        remarkMissed(softmax.getLoc(), topics::kAttention, "this softmax is in no attention: " + reason.text());
    }
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace qopt
