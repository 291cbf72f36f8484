//===- AttentionMatch.cpp - The parts of a decomposed attention -----------===//
#include "AttentionMatch.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;
using namespace qopt::raise;

/// Between scores and softmax, or softmax and values, lie a handful of operators.
static constexpr size_t kMaxOperators = 24;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

bool Heads::isHeadsFirst() const {
  RankedTensorType type = typeOf(value);
  return type.getRank() == 4 && type.getDimSize(1) == heads && (type.getDimSize(2) != heads || !type.isDynamicDim(2));
}

/// The operand whose elements `op` moves, repeats or scales; none when it does more.
static Value skipLayout(Operation *op, const llvm::DenseSet<Value> &activations) {
  if (op->hasTrait<Rearranges>() || isa<ExpandOp, TileOp>(op))
    return op->getOperand(0);
  if (auto gather = dyn_cast<GatherOp>(op))
    return activations.contains(gather.getData()) && !activations.contains(gather.getIndices()) ? gather.getData()
                                                                                                : Value();
  if (auto concat = dyn_cast<ConcatOp>(op))
    return llvm::all_equal(concat.getInputs()) ? concat.getInputs()[0] : Value();
  if (isa<MulOp, DivOp>(op))
    for (unsigned i : {0, 1})
      if (getConstantScalar(op->getOperand(1 - i)) && (i == 0 || isa<MulOp>(op)))
        return op->getOperand(i);
  return {};
}

/// Follows a factor of a product back to the projection; `size` is the size of a head.
static std::optional<Heads> findHeads(Value value, int64_t size, const llvm::DenseSet<Value> &activations) {
  Heads heads;
  heads.size = size;
  while (Operation *op = value.getDefiningOp()) {
    if (auto concat = dyn_cast<ConcatOp>(op);
        concat && !heads.past && concat.getInputs().size() == 2 && isa<BlockArgument>(concat.getInputs()[0]) &&
        (static_cast<int64_t>(concat.getAxis()) == 2 || static_cast<int64_t>(concat.getAxis()) == -2)) {
      heads.past = concat.getInputs()[0];
      heads.present = concat.getConcatResult();
      value = concat.getInputs()[1];
      continue;
    }
    Value next = skipLayout(op, activations);
    if (!next)
      break;
    value = next;
  }
  heads.value = value;
  RankedTensorType type = typeOf(value);
  if (type.getRank() == 3 && !type.isDynamicDim(2) && size > 0 && type.getDimSize(2) % size == 0) {
    heads.heads = type.getDimSize(2) / size;
    return heads;
  }
  if (type.getRank() == 4 && type.getDimSize(3) == size && type.isDynamicDim(1) != type.isDynamicDim(2)) {
    heads.heads = type.getDimSize(type.isDynamicDim(1) ? 2 : 1);
    return heads;
  }
  return std::nullopt;
}

/// The product of two activations behind the softmax's operand, and what is done to
/// it on the way.
static MatMulOp findScores(AttentionMatch &match, const llvm::DenseSet<Value> &activations) {
  llvm::SetVector<Operation *> seen;
  SmallVector<Value> open = {match.logits};
  MatMulOp scores;
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op))
      continue;
    if (seen.size() > kMaxOperators)
      return {};
    if (auto matmul = dyn_cast<MatMulOp>(op)) {
      if (scores || !activations.contains(matmul.getA()) || !activations.contains(matmul.getB()))
        return {};
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
      return {};
    }
    for (Value operand : op->getOperands()) {
      if (activations.contains(operand))
        open.push_back(operand);
      else if (!operand.getDefiningOp<ConstantOp>())
        match.masks.push_back(operand);
    }
  }
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

std::optional<AttentionMatch> raise::matchAttention(Operation *op, const llvm::DenseSet<Value> &activations) {
  auto softmax = cast<SoftmaxOp>(op);
  AttentionMatch match;
  match.logits = softmax.getInput();
  int64_t rank = typeOf(match.logits).getRank(), axis = softmax.getAxis();
  if (rank < 3 || (axis != -1 && axis != rank - 1))
    return std::nullopt;
  MatMulOp scores = findScores(match, activations), mix = findMix(softmax);
  if (!scores || !mix)
    return std::nullopt;
  int64_t size = typeOf(scores.getA()).getShape().back(), valueSize = typeOf(mix.getY()).getShape().back();
  if (ShapedType::isDynamic(size) || ShapedType::isDynamic(valueSize))
    return std::nullopt;
  auto q = findHeads(scores.getA(), size, activations), k = findHeads(scores.getB(), size, activations),
       v = findHeads(mix.getB(), valueSize, activations);
  if (!q || !k || !v || q->past || !k->past != !v->past || k->heads != v->heads || k->heads == 0 ||
      q->heads % k->heads != 0)
    return std::nullopt;
  match.q = *q;
  match.k = *k;
  match.v = *v;
  match.result = findResult(mix.getY(), q->heads * valueSize);
  RankedTensorType result = typeOf(match.result);
  bool isLayoutKnown = result.getRank() <= 3 ? result.getShape().back() == q->heads * valueSize
                                             : result.getRank() == 4 && result.getDimSize(1) == q->heads;
  if (!isLayoutKnown || result.getElementType() != typeOf(q->value).getElementType())
    return std::nullopt;
  return match;
}
