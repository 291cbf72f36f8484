//===- RoleUses.cpp - What a graph does with an input ---------------------===//
//
// A walk over uses. It ends where the use is known, so that it does not run through the
// layers of a model: behind a product with a weight everything depends on everything.
//
//===----------------------------------------------------------------------===//
#include "RoleUses.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Logits.h"
#include "qopt/Dialect/Onnx/Onnx.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;
using namespace qopt::raise;

/// Null for what is no ranked tensor, as an argument of a function may be.
static RankedTensorType rankedTypeOf(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }

Value raise::skipCasts(Value value) {
  while (value.getDefiningOp<CastOp>() || value.getDefiningOp<IdentityOp>())
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

/// A constant matrix of floats, also one in 16 bits or transposed.
static bool isWeight(Value value) {
  value = skipCasts(value);
  if (auto transpose = value.getDefiningOp<TransposeOp>())
    value = skipCasts(transpose.getOperand());
  RankedTensorType type = rankedTypeOf(value);
  return type && type.getRank() == 2 && isa<FloatType>(type.getElementType()) && matchConstant(value);
}

/// Whether `value` is the softmax of something, perhaps with places set to 0.
static bool isSoftmax(Value value) {
  constexpr int kMaxSteps = 8;
  for (int step = 0; step < kMaxSteps; ++step) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return false;
    if (isa<SoftmaxOp>(op))
      return true;
    if (isa<WhereOp>(op))
      value = isSoftmax(op->getOperand(1)) ? op->getOperand(1) : op->getOperand(2);
    else if (isa<CastOp, IdentityOp, MulOp, ReshapeOp, SliceOp, ExpandOp>(op))
      value = op->getOperand(0);
    else
      return false;
  }
  return false;
}

namespace {

/// How a value came to be. The walk sees each value once for each history.
struct History {
  bool isCounted = false;    ///< by a running sum: a mask that became positions
  bool isMultiplied = false; ///< by another value
  bool isNegated = false;    ///< true became false
  bool isChanged = false;    ///< other numbers than it had, or chosen by it

  unsigned number() const { return isCounted + 2 * isMultiplied + 4 * isNegated + 8 * isChanged; }
};

/// What leaves the elements of its operands as they are, or adds to them.
bool keepsMeaning(Operation *op) {
  return op->hasTrait<Rearranges>() || isa<AddOp, CastOp, IdentityOp, AndOp, SliceOp, ExpandOp, ConcatOp>(op);
}

/// Whether all elements are so low that a softmax makes 0 of them.
bool isHiding(Value value) {
  std::optional<double> number = getConstantScalar(value);
  return number && *number <= -1e4;
}

class UseWalk {
public:
  Uses run(Value start) {
    push(start, {});
    bool isOnlyBound = true;
    while (!work.empty()) {
      auto [value, history] = work.pop_back_val();
      for (OpOperand &use : value.getUses())
        isOnlyBound &= visit(use, history);
    }
    uses.isBound &= isOnlyBound;
    uses.biases &= !isUnclear;
    return std::move(uses);
  }

private:
  void push(Value value, History history) {
    if (seen.insert({value, history.number()}).second)
      work.push_back({value, history});
  }

  /// Returns false where this is a use of the value that is no sum or product of few integers on
  /// the way to a bound.
  bool visit(OpOperand &use, History history) {
    if (auto slice = dyn_cast<SliceOp>(use.getOwner()); slice && use.getOperandNumber() > 0) {
      RankedTensorType data = rankedTypeOf(slice.getData());
      uses.isBound |=
          use.get() == slice.getStarts() && data && data.getRank() == 3 && isa<FloatType>(data.getElementType());
      return uses.isBound;
    }
    follow(use, history);
    return isa<NegOp, MulOp, SubOp, CastOp, UnsqueezeOp, ReshapeOp, IdentityOp, ConcatOp>(use.getOwner());
  }

  void follow(OpOperand &use, History history) {
    Operation *op = use.getOwner();
    if (isa<func::ReturnOp>(op)) {
      if (!history.isMultiplied)
        uses.results.push_back(use.getOperandNumber());
      return;
    }
    if (isa<ShapeOp>(op))
      return;
    if (isa<CosOp, SinOp>(op)) {
      uses.rotates |= !history.isCounted;
      return;
    }
    if (auto gather = dyn_cast<GatherOp>(op); gather && use.getOperandNumber() == 1)
      return visitGather(gather, history);
    if (isa<MatMulOp, GemmOp>(op))
      return visitProduct(use, history);
    if (auto rotary = dyn_cast<RotaryEmbeddingOp>(op); rotary && rotary.getPositionIds() == use.get()) {
      uses.rotates |= !history.isCounted;
      return;
    }
    if (auto attention = dyn_cast<AttentionOp>(op))
      return visitAttention(attention, use, history);
    if (isa<SoftmaxOp>(op)) {
      (history.isMultiplied ? uses.isKey : uses.masks) = true;
      if (!history.isMultiplied)
        (history.isChanged || history.isNegated ? isUnclear : uses.biases) = true;
      return;
    }
    history.isCounted |= isa<CumSumOp, ReduceSumOp>(op);
    if (auto choice = dyn_cast<WhereOp>(op); choice && use.getOperandNumber() == 0) {
      // Which of the two is seen?
      bool shows = isHiding(choice.getY()), hides = isHiding(choice.getX());
      history.isChanged |= shows == hides || hides != history.isNegated;
      history.isNegated = false;
    } else if (isa<NotOp>(op)) {
      history.isNegated = !history.isNegated;
    } else {
      history.isChanged |= !keepsMeaning(op) && !isa<WhereOp>(op);
    }
    for (Value result : op->getResults())
      push(result, history);
  }

  /// As the index of a gather.
  void visitGather(GatherOp gather, History history) {
    RankedTensorType data = rankedTypeOf(gather.getData());
    if (data && isa<FloatType>(data.getElementType())) {
      if (history.isCounted)
        return;
      if (isWeight(gather.getData()))
        uses.tables.insert(gather.getData());
      else
        uses.rotates = true; // sines and cosines that the graph computes
      return;
    }
    push(gather->getResult(0), history);
  }

  void visitProduct(OpOperand &use, History history) {
    Value other = use.getOwner()->getOperand(use.getOperandNumber() == 0 ? 1 : 0);
    if (use.getOperandNumber() > 1) // a bias
      return;
    if (isWeight(other)) {
      uses.isProjected = true;
      return;
    }
    if (isSoftmax(other)) {
      uses.isValue = true;
      return;
    }
    history.isMultiplied = true;
    push(use.getOwner()->getResult(0), history);
  }

  void visitAttention(AttentionOp attention, OpOperand &use, History history) {
    Value value = use.get();
    if (value == attention.getAttnMask()) {
      uses.masks = true;
      (history.isChanged || history.isNegated ? isUnclear : uses.biases) = true;
    }
    uses.isKey |= value == attention.getPastKey() || value == attention.getK();
    uses.isValue |= value == attention.getPastValue() || value == attention.getV();
  }

  Uses uses;
  bool isUnclear = false; ///< a way to the scores on which it is no bias
  SmallVector<std::pair<Value, History>> work;
  llvm::DenseSet<std::pair<Value, unsigned>> seen;
};

} // namespace

Uses raise::findUses(Value value) { return UseWalk().run(value); }

std::optional<int64_t> raise::findProductWidth(Value value) {
  Operation *product = findProduct(value);
  RankedTensorType type = product ? rankedTypeOf(product->getResult(0)) : RankedTensorType();
  if (!type || !isWeight(product->getOperand(1)) || type.isDynamicDim(type.getRank() - 1))
    return std::nullopt;
  return type.getShape().back();
}

/// Whether `value` is [_, 1, _], or the last of any number of rows.
static bool isOneRow(Value value) {
  RankedTensorType type = rankedTypeOf(value);
  if (type && type.getRank() == 3 && type.getDimSize(1) == 1)
    return true;
  auto slice = value.getDefiningOp<SliceOp>();
  if (!slice || slice.getSteps() || !slice.getAxes())
    return false;
  auto starts = getConstantInts(slice.getStarts()), ends = getConstantInts(slice.getEnds()),
       axes = getConstantInts(slice.getAxes());
  bool isRows = type && type.getRank() == 3 && axes && axes->size() == 1 && (axes->front() == 1 || axes->front() == -2);
  return isRows && starts && ends && starts->front() == -1 && ends->front() >= std::numeric_limits<int32_t>::max();
}

bool raise::hasOneRow(Value value) {
  bool found = false;
  walkBack(value, [&](Value at) {
    found |= isOneRow(at);
    // Behind the product are the rows that went into it.
    if (Operation *op = at.getDefiningOp(); isa_and_present<MatMulOp>(op)) {
      found |= isOneRow(op->getOperand(0));
      return false;
    }
    return !found;
  });
  return found;
}
