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
#include "CachedEntry.h"
#include "TokenRows.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Remarks.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

LogicalResult CachedEntry::run() {
  keepAllRows();
  dropTokenTypes();
  separateHeads();
  if (failed(keepTokens()) || failed(keepLogits()) || failed(replaceAttention()))
    return failure();
  dropPadding();
  if (failed(replacePositions()) || failed(dropArguments()))
    return failure();
  lowering::TokenRows rows;
  if (Operation *other = rows.find(function, {inputs.tokens, positions}, counting))
    return fail(other, "'" + other->getName().getStringRef() +
                           "' is not known to compute each token's row from the same token's alone");
  if (!isOneToken)
    rows.cutToLast(function);
  returnOneRow();
  updateResultTypes(function);
  function.setResultAttrs(0, describe("logits", Role::LastLogits, {"batch", "", ""}));
  return success();
}

//===----------------------------------------------------------------------===//
// Inputs and results
//===----------------------------------------------------------------------===//

DictionaryAttr CachedEntry::describe(StringRef name, Role role, ArrayRef<StringRef> dims) {
  MLIRContext *context = b.getContext();
  return b.getDictionaryAttr({namedAttr<onnx::attrs::Name>(context, b.getStringAttr(name)),
                              namedAttr<onnx::attrs::Dims>(context, b.getStrArrayAttr(dims)),
                              namedAttr<attrs::Role>(context, RoleAttr::get(context, role))});
}
BlockArgument CachedEntry::addArgument(Type type, const Twine &name, Role role, ArrayRef<StringRef> dims) {
  unsigned at = function.getNumArguments();
  (void)function.insertArgument(at, type, describe(name.str(), role, dims), function.getLoc());
  return function.getArgument(at);
}

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
  dropWholeSlices(function);
  eraseDeadOps(function);
}

/// A norm of heads that lie in the place of tokens, [batch, sequence * heads, size], is one of heads behind tokens.
void CachedEntry::separateHeads() {
  for (onnx::RMSNormalizationOp norm : body.getOps<onnx::RMSNormalizationOp>()) {
    auto apart = norm.getX().getDefiningOp<onnx::ReshapeOp>();
    auto back = norm->hasOneUse() ? dyn_cast<onnx::ReshapeOp>(*norm->getUsers().begin()) : onnx::ReshapeOp();
    if (!apart || !back || !apart->hasOneUse() || onnx::frontAxis(norm.getAxis(), 3) != 2)
      continue;
    RankedTensorType from = typeOf(apart.getData()), heads = typeOf(apart.getResult()), to = typeOf(back.getResult());
    auto isFlat = [](onnx::ReshapeOp op, int64_t size) {
      auto shape = onnx::getConstantInts(op.getShape());
      return shape && *shape == SmallVector<int64_t>{0, -1, size} && !op.getAllowzero();
    };
    int64_t width = from.getShape().back(), size = heads.getShape().back();
    if (from.getRank() != 3 || heads.getRank() != 3 || to != from || size < 1 || width < 1 || width % size != 0 ||
        !isFlat(apart, size) || !isFlat(back, width))
      continue;
    auto type =
        RankedTensorType::get({from.getDimSize(0), from.getDimSize(1), width / size, size}, from.getElementType());
    auto reshape = [&](onnx::ReshapeOp op, ArrayRef<int64_t> shape) {
      b.setInsertionPoint(op);
      op.getShapeMutable().assign(onnx::ConstantOp::create(b, op.getLoc(), b.getI64TensorAttr(shape)));
    };
    reshape(apart, {0, 0, width / size, size});
    reshape(back, {0, 0, width});
    apart.getResult().setType(type);
    norm.getResult().setType(type);
    norm.setAxis(-1);
  }
}

/// A text without parts is all of type 0.
void CachedEntry::dropTokenTypes() {
  for (BlockArgument argument : body.getArguments()) {
    if (getArgRole(function, argument.getArgNumber()) != Role::TokenTypes || !inputs.tokens || argument.use_empty())
      continue;
    b.setInsertionPointToStart(&body);
    Value zeros = onnx::SubOp::create(b, function.getLoc(), inputs.tokens, inputs.tokens);
    Type element = typeOf(argument).getElementType();
    if (typeOf(zeros).getElementType() != element)
      zeros = onnx::CastOp::create(b, function.getLoc(), zeros, element);
    argument.replaceAllUsesWith(b.createOrFold<tensor::CastOp>(function.getLoc(), argument.getType(), zeros));
  }
}

/// Whether something of all texts together is computed: rows then grow together only.
static bool mixesTexts(Block &body) {
  return llvm::any_of(body, [](Operation &op) {
    if (auto quantize = dyn_cast<DynamicQuantizeOp>(op))
      return typeOf(quantize->getResult(1)).getRank() == 0;
    return isa<SplitColumnsOp>(op);
  });
}

LogicalResult CachedEntry::keepTokens() {
  if (!inputs.tokens || getArgRole(function, inputs.tokens.getArgNumber()) != Role::TokenIds)
    return fail(function, "no input holds token ids");
  RankedTensorType type = typeOf(inputs.tokens);
  if (!type.getElementType().isInteger() || type.getRank() != 2 || !type.isDynamicDim(1))
    return fail(function, "expected token ids [batch, sequence] for any sequence but got " + typeText(type));
  unsigned at = inputs.tokens.getArgNumber();
  function.setArgAttrs(at, describe("input_ids", Role::TokenIds, {"batch", isOneToken ? "" : "sequence"}));
  int64_t numLengths = mixesTexts(body) ? 1 : type.getDimSize(0);
  pastLength = addArgument(RankedTensorType::get({numLengths}, b.getI64Type()), "past_length", Role::PastLength,
                           {numLengths == 1 ? "" : "batch"});
  return success();
}

/// Of the results the logits.
LogicalResult CachedEntry::keepLogits() {
  auto terminator = cast<func::ReturnOp>(body.getTerminator());
  std::optional<unsigned> logits;
  for (auto [i, value] : llvm::enumerate(terminator.getOperands())) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    Role role = getResultRole(function, i);
    if (type && ((role == Role::Logits && type.getRank() == 3) || (role == Role::LastLogits && type.getRank() >= 2)))
      logits = i;
  }
  if (!logits)
    return fail(function,
                "no result of " + Twine(function.getNumResults()) + " holds logits [batch, sequence, vocabulary]");
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
  b.setInsertionPoint(logits.getOwner());
  if (typeOf(logits.get()).getRank() == 2) {
    Value axis = onnx::ConstantOp::create(b, function.getLoc(), b.getI64TensorAttr({1}));
    return logits.set(onnx::UnsqueezeOp::create(b, function.getLoc(), logits.get(), axis));
  }
  SmallVector<int64_t> shape(typeOf(logits.get()).getShape());
  shape[1] = 1;
  logits.set(b.createOrFold<tensor::CastOp>(function.getLoc(), typeOf(logits.get()).clone(shape), logits.get()));
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
// The pass
//===----------------------------------------------------------------------===//

namespace qopt {
#define GEN_PASS_DEF_ADDCACHE
#include "qopt/Passes/Passes.h.inc"

namespace {

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
