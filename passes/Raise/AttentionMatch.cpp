//===- AttentionMatch.cpp - The parts of a decomposed attention -----------===//
//
// From the softmax backwards to the product of queries and keys, forwards to the product
// with the values, and from their factors back to the projections.
//
//===----------------------------------------------------------------------===//
#include "AttentionMatch.h"

#include "qopt/Dialect/Types.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;
using namespace qopt::raise;

/// Between scores and softmax, or softmax and values, lie a handful of operators.
static constexpr size_t kMaxOperators = 24;

bool Heads::isHeadsFirst() const {
  RankedTensorType type = typeOf(value);
  return type.getRank() == 4 && type.getDimSize(1) == heads && (type.getDimSize(2) != heads || !type.isDynamicDim(2));
}

/// Whether as many are taken as there are: fewer are a part, of queries, keys and values in one product.
static bool repeats(GatherOp gather) {
  RankedTensorType data = typeOf(gather.getData()), indices = typeOf(gather.getIndices());
  int64_t size = data.getDimSize(frontAxis(gather.getAxis(), data.getRank()));
  return !ShapedType::isDynamic(size) && indices.hasStaticShape() && indices.getNumElements() >= size;
}

/// The operand whose elements `op` moves, repeats or scales; none when it does more.
static Value skipLayout(Operation *op, const llvm::DenseSet<Value> &activations) {
  if (op->hasTrait<Rearranges>() || isa<ExpandOp, TileOp>(op))
    return op->getOperand(0);
  if (auto gather = dyn_cast<GatherOp>(op))
    return activations.contains(gather.getData()) && !activations.contains(gather.getIndices()) && repeats(gather)
               ? gather.getData()
               : Value();
  if (auto concat = dyn_cast<ConcatOp>(op))
    return llvm::all_equal(concat.getInputs()) ? concat.getInputs()[0] : Value();
  if (isa<MulOp, DivOp>(op))
    for (unsigned i : {0, 1})
      if (getConstantScalar(op->getOperand(1 - i)) && (i == 0 || isa<MulOp>(op)))
        return op->getOperand(i);
  return {};
}

/// Rules of a match, in the order in which they are tried.
enum Rule { kIsAttention = 1, kHasScores, kHasAxis, kHasSizes, kHasHeads, kHasGroups, kHasResult };

/// How many heads of `size` channels lie in `type`; nothing where it is not known.
static std::optional<int64_t> countHeads(RankedTensorType type, int64_t size) {
  if (type.getRank() == 3 && !type.isDynamicDim(2) && size > 0 && type.getDimSize(2) % size == 0)
    return type.getDimSize(2) / size;
  if (type.getRank() == 4 && type.getDimSize(3) == size && type.isDynamicDim(1) != type.isDynamicDim(2))
    return type.getDimSize(type.isDynamicDim(1) ? 2 : 1);
  return std::nullopt;
}

/// Follows a factor of a product back to the projection, or to where it is cut out of one of another
/// layout; `size` is the size of a head.
static FailureOr<Heads> findHeads(StringRef what, Value value, int64_t size, const llvm::DenseSet<Value> &activations,
                                  Reason &reason) {
  Heads heads;
  heads.size = size;
  while (true) {
    if (std::optional<int64_t> count = countHeads(typeOf(value), size)) {
      heads.value = value;
      heads.heads = *count;
    }
    Operation *op = value.getDefiningOp();
    if (auto concat = dyn_cast_if_present<ConcatOp>(op);
        concat && !heads.past && concat.getInputs().size() == 2 && isa<BlockArgument>(concat.getInputs()[0]) &&
        (static_cast<int64_t>(concat.getAxis()) == 2 || static_cast<int64_t>(concat.getAxis()) == -2)) {
      heads.past = concat.getInputs()[0];
      heads.present = concat.getConcatResult();
      heads.value = {};
      value = concat.getInputs()[1];
      continue;
    }
    Value next = op ? skipLayout(op, activations) : Value();
    if (!next)
      break;
    value = next;
  }
  if (heads.value)
    return heads;
  return reason.fail(kHasHeads, "the " + what + " come from " + typeText(value.getType()) + ", which are no heads of " +
                                    Twine(size) + " channels");
}

/// The product of two activations behind the softmax's operand, and what is done to
/// it on the way.
static FailureOr<MatMulOp> findScores(AttentionMatch &match, const llvm::DenseSet<Value> &activations, Reason &reason) {
  llvm::SetVector<Operation *> seen;
  SmallVector<Value> open = {match.logits};
  MatMulOp scores;
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op))
      continue;
    if (seen.size() > kMaxOperators)
      return reason.fail(kHasScores, "more than " + Twine(kMaxOperators) + " operators lie before the softmax");
    if (auto matmul = dyn_cast<MatMulOp>(op)) {
      if (scores)
        return reason.fail(kHasScores, "two products go into the softmax");
      if (!activations.contains(matmul.getA()) || !activations.contains(matmul.getB()))
        return reason.fail(kHasScores, "the product before the softmax is none of queries and keys");
      scores = matmul;
      continue;
    }
    if (auto add = dyn_cast<AddOp>(op)) {
      for (auto [x, mask] : {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())})
        if (activations.contains(x) && !activations.contains(mask) && typeOf(mask).getRank() >= 2)
          match.addedMask = mask;
    } else if (auto where = dyn_cast<WhereOp>(op)) {
      if (activations.contains(where.getX()) && !activations.contains(where.getCondition()))
        match.keptMask = where.getCondition();
    } else if (auto tanh = dyn_cast<TanhOp>(op)) {
      for (Operation *user : tanh->getUsers())
        if (isa<MulOp>(user))
          for (Value operand : user->getOperands())
            if (std::optional<double> cap = getConstantScalar(operand))
              match.softcap = *cap;
    } else if (!op->hasTrait<Elementwise>() && !op->hasTrait<Rearranges>()) {
      return reason.fail(kHasScores, "'" + op->getName().getStringRef() + "' lies between the scores and the softmax");
    }
    for (Value operand : op->getOperands()) {
      if (activations.contains(operand))
        open.push_back(operand);
      else if (!operand.getDefiningOp<ConstantOp>())
        match.masks.push_back(operand);
    }
  }
  if (!scores)
    return reason.fail(kHasScores, "no product of queries and keys goes into the softmax");
  return scores;
}

/// The product with the values that the probabilities go into.
static MatMulOp findMix(Operation *softmax) {
  llvm::SetVector<Operation *> seen;
  SmallVector<Value> open = {softmax->getResult(0)};
  while (!open.empty() && seen.size() <= kMaxOperators) {
    Value value = open.pop_back_val();
    for (Operation *user : value.getUsers()) {
      if (auto matmul = dyn_cast<MatMulOp>(user)) {
        if (matmul.getA() == value)
          return matmul;
        continue;
      }
      if ((user->hasTrait<Elementwise>() || user->hasTrait<Rearranges>()) && seen.insert(user))
        open.push_back(user->getResult(0));
    }
  }
  return {};
}

/// The mixed values [batch, length, heads * size], or [rows, heads * size], or as
/// the product gives them.
static Value findResult(Value mixed, int64_t columns) {
  Value value = mixed;
  while (value.hasOneUse()) {
    Operation *user = *value.getUsers().begin();
    if (!keepsValues(user))
      break;
    value = user->getResult(0);
    RankedTensorType type = typeOf(value);
    if ((type.getRank() == 3 || type.getRank() == 2) && type.getShape().back() == columns)
      return value;
  }
  return mixed;
}

FailureOr<AttentionMatch> raise::matchAttention(Operation *op, const llvm::DenseSet<Value> &activations,
                                                Reason &reason) {
  auto softmax = cast<SoftmaxOp>(op);
  AttentionMatch match;
  match.logits = softmax.getInput();
  // A softmax that nothing is mixed with is of another kind: of a router, say.
  MatMulOp mix = findMix(softmax);
  if (!mix || !activations.contains(mix.getB()))
    return failure();
  FailureOr<MatMulOp> scores = findScores(match, activations, reason);
  if (failed(scores))
    return failure();
  int64_t rank = typeOf(match.logits).getRank(), axis = softmax.getAxis();
  if (rank < 3 || (axis != -1 && axis != rank - 1))
    return reason.fail(kHasAxis, "the softmax is over dimension " + Twine(axis) + " of " + Twine(rank) +
                                     ", not over the keys in the last one");
  int64_t size = typeOf(scores->getA()).getShape().back(), valueSize = typeOf(mix.getY()).getShape().back();
  if (ShapedType::isDynamic(size) || ShapedType::isDynamic(valueSize))
    return reason.fail(kHasSizes, "the size of a head is not known: queries are " + typeText(scores->getA().getType()) +
                                      ", mixed values " + typeText(mix.getY().getType()));
  FailureOr<Heads> q = findHeads("queries", scores->getA(), size, activations, reason);
  FailureOr<Heads> k = findHeads("keys", scores->getB(), size, activations, reason);
  FailureOr<Heads> v = findHeads("values", mix.getB(), valueSize, activations, reason);
  if (failed(q) || failed(k) || failed(v))
    return failure();
  if (q->past || !k->past != !v->past)
    return reason.fail(kHasGroups, "of queries, keys and values not just the last two are appended to earlier ones");
  if (k->heads != v->heads || k->heads == 0 || q->heads % k->heads != 0)
    return reason.fail(kHasGroups, Twine(q->heads) + " heads of queries are no groups of " + Twine(k->heads) +
                                       " heads of keys and " + Twine(v->heads) + " of values");
  match.q = *q;
  match.k = *k;
  match.v = *v;
  match.result = findResult(mix.getY(), q->heads * valueSize);
  RankedTensorType result = typeOf(match.result);
  bool isLayoutKnown = result.getRank() <= 3 ? result.getShape().back() == q->heads * valueSize
                                             : result.getRank() == 4 && result.getDimSize(1) == q->heads;
  if (!isLayoutKnown || result.getElementType() != typeOf(q->value).getElementType())
    return reason.fail(kHasResult, "the mixed values are " + typeText(result) + ", not " + Twine(q->heads) +
                                       " heads of " + Twine(valueSize) + " channels of the queries' type");
  return match;
}
