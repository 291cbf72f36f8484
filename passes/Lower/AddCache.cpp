//===- AddCache.cpp - Entry points that keep keys and values --------------===//
//
// A decoder computes each token alone, but for attention, which sees the keys and
// values of the tokens before it, and for rotary embeddings, which count them. Where
// these are kept between calls, a call needs to compute its own tokens only. So
// @forward is copied twice; in a copy attention reads and fills a cache, positions
// start at the number of tokens in it, and masks of padding are gone. A copy in which
// then anything is left that is not known to treat tokens alone is given up.
//
// Only the last token's logits matter to who generates text: what all users compute
// for the last token alone (the rest of the last layer, and the head) is computed for
// it alone. Types inside stay those of @forward: all entry points share kernels and loops.
//
//===----------------------------------------------------------------------===//
#include "CacheInputs.h"
#include "TokenRows.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Remarks.h"
#include "qopt/Reference/ModelInputs.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ADDCACHE
#include "qopt/Passes/Passes.h.inc"

namespace {

/// Turns a copy of @forward into an entry point with a cache.
class CachedEntry {
public:
  CachedEntry(func::FuncOp copy, bool isOneToken, Type cacheType)
      : function(copy), body(copy.front()), b(copy.getContext()), isOneToken(isOneToken), cacheType(cacheType),
        inputs(copy), given(body.getArguments().begin(), body.getArguments().end()), culprit(copy.getLoc()) {}

  LogicalResult run() {
    keepAllRows();
    if (failed(keepTokens()) || failed(keepLogits()) || failed(replacePositions()) || failed(replaceAttention()) ||
        failed(dropArguments()))
      return failure();
    lowering::TokenRows rows;
    if (Operation *other = rows.find(function, inputs.tokens, counting))
      return fail(other, "'" + other->getName().getStringRef() +
                             "' is not known to compute each token's row from the same token's alone");
    if (!isOneToken)
      rows.cutToLast(function);
    returnOneRow();
    updateResultTypes(function);
    function.setResultAttrs(0, describe("logits", Role::LastLogits, {"batch", "", ""}));
    return success();
  }

  /// Why run() failed, and at which operation.
  const std::string &reason() const { return why; }
  Location where() const { return culprit; }
  /// Whether the function is a decoder but for what failed: one that nobody would generate
  /// text with misses no cache.
  bool isDecoder() const { return decodes; }

private:
  LogicalResult fail(Operation *op, const Twine &text) {
    culprit = op->getLoc();
    why = text.str();
    return failure();
  }

  void keepAllRows();
  LogicalResult keepTokens();
  LogicalResult keepLogits();
  void returnOneRow();
  Value countTokens();
  LogicalResult replacePositions();
  bool isPadding(Value mask);
  LogicalResult canBeCached(onnx::AttentionOp op);
  LogicalResult replaceAttention();
  LogicalResult dropArguments();

  DictionaryAttr describe(StringRef name, Role role, ArrayRef<StringRef> dims) {
    MLIRContext *context = b.getContext();
    return b.getDictionaryAttr({namedAttr<onnx::attrs::Name>(context, b.getStringAttr(name)),
                                namedAttr<onnx::attrs::Dims>(context, b.getStrArrayAttr(dims)),
                                namedAttr<attrs::Role>(context, RoleAttr::get(context, role))});
  }
  BlockArgument addArgument(Type type, const Twine &name, Role role, ArrayRef<StringRef> dims) {
    unsigned at = function.getNumArguments();
    (void)function.insertArgument(at, type, describe(name.str(), role, dims), function.getLoc());
    return function.getArgument(at);
  }

  func::FuncOp function;
  Block &body;
  OpBuilder b;
  bool isOneToken;
  Type cacheType;                ///< of elements
  reference::ModelInputs inputs; ///< of @forward
  SmallVector<BlockArgument> given;
  BlockArgument pastLength;
  llvm::DenseSet<Operation *> counting;     ///< what computes the positions
  llvm::DenseMap<Value, bool> paddingMasks; ///< what was found of masks
  bool decodes = false;
  std::string why;
  Location culprit;
};

//===----------------------------------------------------------------------===//
// Inputs and results
//===----------------------------------------------------------------------===//

/// Where an input says of how many last tokens logits are wanted: of all, of which the last
/// is kept later.
void CachedEntry::keepAllRows() {
  b.setInsertionPointToStart(&body);
  for (BlockArgument argument : body.getArguments())
    if (getArgRole(function, argument.getArgNumber()) == Role::LogitsToKeep) {
      SmallVector<int64_t> shape(typeOf(argument).getRank(), 1);
      auto all =
          DenseElementsAttr::get(typeOf(argument).clone(shape), b.getZeroAttr(typeOf(argument).getElementType()));
      Value none = onnx::ConstantOp::create(b, function.getLoc(), all);
      argument.replaceAllUsesWith(b.createOrFold<tensor::CastOp>(function.getLoc(), argument.getType(), none));
    }
  lowering::dropWholeSlices(function);
  eraseDeadOps(function);
}

LogicalResult CachedEntry::keepTokens() {
  if (!inputs.tokens || getArgRole(function, inputs.tokens.getArgNumber()) != Role::TokenIds)
    return fail(function, "no input holds token ids");
  RankedTensorType type = typeOf(inputs.tokens);
  if (!type.getElementType().isInteger() || type.getRank() != 2 || !type.isDynamicDim(1))
    return fail(function, "expected token ids [batch, sequence] for any sequence but got " + typeText(type));
  unsigned at = inputs.tokens.getArgNumber();
  function.setArgAttrs(at, describe("input_ids", Role::TokenIds, {"batch", isOneToken ? "" : "sequence"}));
  pastLength = addArgument(RankedTensorType::get({1}, b.getI64Type()), "past_length", Role::PastLength, {""});
  return success();
}

/// Of the results the logits.
LogicalResult CachedEntry::keepLogits() {
  auto terminator = cast<func::ReturnOp>(body.getTerminator());
  std::optional<unsigned> logits;
  for (auto [i, value] : llvm::enumerate(terminator.getOperands())) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (getResultRole(function, i) == Role::Logits && type && type.getRank() == 3)
      logits = i;
  }
  if (!logits)
    return fail(function, "no result of " + Twine(function.getNumResults()) + " holds the logits of all tokens");
  decodes = true;
  llvm::BitVector others(function.getNumResults(), true);
  others.reset(*logits);
  terminator->setOperands(ValueRange(terminator.getOperand(*logits)));
  (void)function.eraseResults(others);
  eraseDeadOps(function);
  return success();
}

/// Says that the logits are [batch, 1, vocabulary].
void CachedEntry::returnOneRow() {
  OpOperand &logits = body.getTerminator()->getOpOperand(0);
  SmallVector<int64_t> shape(typeOf(logits.get()).getShape());
  shape[1] = 1;
  b.setInsertionPoint(logits.getOwner());
  logits.set(tensor::CastOp::create(b, function.getLoc(), typeOf(logits.get()).clone(shape), logits.get()));
}

/// All inputs but the tokens must have lost their users.
LogicalResult CachedEntry::dropArguments() {
  eraseDeadOps(function);
  llvm::BitVector dropped(function.getNumArguments());
  for (BlockArgument argument : given) {
    if (argument == inputs.tokens)
      continue;
    if (!argument.use_empty())
      return fail(*argument.user_begin(), "input " + Twine(argument.getArgNumber()) + " is still used by '" +
                                              argument.user_begin()->getName().getStringRef() + "'");
    dropped.set(argument.getArgNumber());
  }
  (void)function.eraseArguments(dropped);
  if (isOneToken) {
    auto type = RankedTensorType::get({typeOf(inputs.tokens).getDimSize(0), 1}, typeOf(inputs.tokens).getElementType());
    inputs.tokens.setType(type);
    function.setType(b.getFunctionType(body.getArgumentTypes(), function.getResultTypes()));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

/// past_length .., [1, sequence].
Value CachedEntry::countTokens() {
  Location loc = function.getLoc();
  b.setInsertionPointToStart(&body);
  auto ints = [&](ArrayRef<int64_t> shape, int64_t value) -> Value {
    return onnx::ConstantOp::create(b, loc,
                                    DenseElementsAttr::get(RankedTensorType::get(shape, b.getI64Type()), value));
  };
  Value axis = ints({1}, 0), result;
  if (isOneToken) {
    result = onnx::UnsqueezeOp::create(b, loc, pastLength, axis);
  } else {
    Value shape = onnx::ShapeOp::create(b, loc, inputs.tokens, 1, b.getI64IntegerAttr(2));
    Value length = onnx::SqueezeOp::create(b, loc, shape, axis);
    Value range = onnx::RangeOp::create(b, loc, ints({}, 0), length, ints({}, 1));
    result = onnx::AddOp::create(b, loc, onnx::UnsqueezeOp::create(b, loc, range, axis), pastLength);
  }
  for (Operation &op : llvm::make_range(body.begin(), b.getInsertionPoint()))
    counting.insert(&op);
  return result;
}

LogicalResult CachedEntry::replacePositions() {
  SmallVector<onnx::RotaryEmbeddingOp> rotations(body.getOps<onnx::RotaryEmbeddingOp>());
  llvm::DenseSet<Value> known;
  for (onnx::RotaryEmbeddingOp rotary : rotations) {
    OpOperand *use = lowering::positionsOf(rotary);
    Value old = use ? use->get() : Value();
    if (!old || typeOf(rotary.getX()).getRank() != 3)
      return fail(rotary, "this rotary embedding has no positions, or not the form [batch, sequence, features]: " +
                              typeText(rotary.getX().getType()));
    if (known.insert(old).second && !lowering::areCounted(old, inputs))
      return fail(rotary, "the positions of this rotary embedding are not the numbers of the tokens from 0 on");
  }
  Value positions = countTokens();
  for (onnx::RotaryEmbeddingOp rotary : rotations)
    for (OpOperand *use : {lowering::positionsOf(rotary), lowering::tablePositions(rotary.getSinCache())})
      if (use && use->get() != positions)
        use->set(positions);
  // Tables that are computed of the positions stand where these do.
  for (Operation &op : body)
    if (llvm::any_of(op.getOperands(), [&](Value v) { return counting.contains(v.getDefiningOp()); }) &&
        !isa<onnx::RotaryEmbeddingOp, func::ReturnOp>(op))
      counting.insert(&op);
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

bool CachedEntry::isPadding(Value mask) {
  auto [entry, isNew] = paddingMasks.try_emplace(mask, false);
  if (isNew)
    entry->second = lowering::isPaddingMask(mask, inputs);
  return entry->second;
}

LogicalResult CachedEntry::canBeCached(onnx::AttentionOp op) {
  auto isRow = [](Value value) {
    return typeOf(value).getRank() == 3 && typeOf(value).getElementType().isF32() && !typeOf(value).isDynamicDim(2);
  };
  auto isUnused = [](Value present) { return !present || present.use_empty(); };
  // Who fills an input that is added to the scores hides later tokens by it.
  bool isBiased = lowering::isGivenBias(op.getAttnMask(), inputs);
  // Without a mask of any kind tokens may see later ones because the model is no decoder.
  if (!op.getIsCausal() && !isBiased)
    decodes = op.getAttnMask() && !isPadding(op.getAttnMask());
  if (!op.getIsCausal() && !isBiased)
    return fail(op, "this attention is not causal, so tokens see later ones");
  if (op.getAttnMask() && !isBiased && !isPadding(op.getAttnMask()))
    return fail(op, "the mask " + typeText(op.getAttnMask().getType()) + " of this attention is not one of padding");
  if (!lowering::isPastInput(op.getPastKey()) || !lowering::isPastInput(op.getPastValue()))
    return fail(op, "earlier keys or values of this attention are computed, not inputs");
  if (!isUnused(op.getPresentKey()) || !isUnused(op.getPresentValue()))
    return fail(op, "the keys or values of this attention are used by something else");
  for (Value rows : {op.getQ(), op.getK(), op.getV()})
    if (!isRow(rows))
      return fail(op,
                  "expected float32 rows [batch, sequence, features] in attention but got " + typeText(rows.getType()));
  int64_t q = typeOf(op.getQ()).getDimSize(2), k = typeOf(op.getK()).getDimSize(2), v = typeOf(op.getV()).getDimSize(2);
  int64_t heads = op.getQNumHeads(), keyHeads = op.getKvNumHeads();
  bool fits = heads > 0 && keyHeads > 0 && heads % keyHeads == 0 && k > 0 && v > 0 && k % keyHeads == 0 &&
              v % keyHeads == 0 && q == heads * (k / keyHeads);
  if (!fits)
    return fail(op, Twine(q) + ", " + Twine(k) + " and " + Twine(v) + " features of queries, keys and values are not " +
                        Twine(heads) + " and " + Twine(keyHeads) + " heads of one size");
  return success();
}

LogicalResult CachedEntry::replaceAttention() {
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
  for (auto [i, op] : llvm::enumerate(attentions)) {
    auto cache = [&](Value now, const char *what, Role role) {
      int64_t heads = op.getKvNumHeads(), size = typeOf(now).getDimSize(2) / heads;
      auto type = MemRefType::get({typeOf(inputs.tokens).getDimSize(0), heads, ShapedType::kDynamic, size}, cacheType);
      return addArgument(type, "cache." + Twine(i) + "." + what, role, {"batch", "", "capacity", ""});
    };
    Value keys = cache(op.getK(), "key", Role::KeyCache), values = cache(op.getV(), "value", Role::ValueCache);
    b.setInsertionPoint(op);
    auto cached = CachedAttentionOp::create(b, op.getLoc(), op.getQ(), op.getK(), op.getV(), keys, values, pastLength,
                                            op.getScaleAttr(), op.getSoftcapAttr());
    // The attention may have known less or more of its batch than q does.
    op.getY().replaceAllUsesWith(b.createOrFold<tensor::CastOp>(op.getLoc(), op.getY().getType(), cached.getY()));
    op.erase();
  }
  return success();
}

struct AddCache : impl::AddCacheBase<AddCache> {
  using Base::Base;

  void runOnOperation() override {
    if (cacheType != "f32" && cacheType != "f16") {
      getOperation().emitError("expected a cache-type of f32 or f16 but got '") << cacheType << "'";
      return signalPassFailure();
    }
    Type element = cacheType == "f16" ? Type(Float16Type::get(&getContext())) : Float32Type::get(&getContext());
    SymbolTable symbols(getOperation());
    auto forward = symbols.lookup<func::FuncOp>("forward");
    if (!forward || forward.isPrivate() || !forward.getBody().hasOneBlock() ||
        !isa<func::ReturnOp>(forward.front().getTerminator()))
      return;
    Operation *last = forward;
    for (auto [name, isOneToken] : {std::pair("prefill", false), std::pair("decode", true)}) {
      if (symbols.lookup(name))
        return;
      func::FuncOp copy = forward.clone();
      copy.setName(name);
      CachedEntry entry(copy, isOneToken, element);
      if (failed(entry.run())) {
        (entry.isDecoder() ? remarkMissed : remarkChosen)(entry.where(), topics::kCache,
                                                          "the model gets no key-value cache: " + entry.reason());
        copy.erase();
        return;
      }
      symbols.insert(copy, ++Block::iterator(last));
      last = copy;
      ++numEntries;
    }
  }
};

} // namespace
} // namespace qopt
