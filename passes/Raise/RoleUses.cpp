//===- RoleUses.cpp - What a graph does with an input ---------------------===//
//
// A walk over uses. It ends where the use is known, so that it does not run through the
// layers of a model: behind a product with a weight everything depends on everything.
//
//===----------------------------------------------------------------------===//
#include "RoleUses.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Dialect/Constants.h"
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

  unsigned number() const { return isCounted + 2 * isMultiplied; }
};

class UseWalk {
public:
  Uses run(Value start) {
    push(start, {});
    while (!work.empty()) {
      auto [value, history] = work.pop_back_val();
      for (OpOperand &use : value.getUses())
        visit(use, history);
    }
    return std::move(uses);
  }

private:
  void push(Value value, History history) {
    if (seen.insert({value, history.number()}).second)
      work.push_back({value, history});
  }

  void visit(OpOperand &use, History history) {
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
      return visitAttention(attention, use);
    if (isa<SoftmaxOp>(op)) {
      (history.isMultiplied ? uses.isKey : uses.masks) = true;
      return;
    }
    history.isCounted |= isa<CumSumOp, ReduceSumOp>(op);
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

  void visitAttention(AttentionOp attention, OpOperand &use) {
    Value value = use.get();
    uses.masks |= value == attention.getAttnMask();
    uses.isKey |= value == attention.getPastKey() || value == attention.getK();
    uses.isValue |= value == attention.getPastValue() || value == attention.getV();
  }

  Uses uses;
  SmallVector<std::pair<Value, History>> work;
  llvm::DenseSet<std::pair<Value, unsigned>> seen;
};

} // namespace

Uses raise::findUses(Value value) { return UseWalk().run(value); }

/// Visits the values on the way back from an output to the product it comes out of;
/// `visit` returns whether to go on.
template <typename Visit>
static void walkBack(Value value, const Visit &visit) {
  while (visit(value)) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return;
    if (isa<CastOp, IdentityOp, TanhOp, ReshapeOp, SqueezeOp, UnsqueezeOp, ClipOp, SliceOp, GatherOp, DivOp, SubOp>(
            op)) {
      value = op->getOperand(0);
    } else if (isa<AddOp, MulOp>(op)) {
      // A bias or a factor; a residual connection is no way back.
      auto isConstant = [](Value operand) { return matchConstant(skipCasts(operand)).has_value(); };
      if (!isConstant(op->getOperand(0)) && !isConstant(op->getOperand(1)))
        return;
      value = op->getOperand(isConstant(op->getOperand(0)) ? 1 : 0);
    } else {
      return;
    }
  }
}

std::optional<int64_t> raise::findProductWidth(Value value) {
  std::optional<int64_t> width;
  walkBack(value, [&](Value at) {
    Operation *op = at.getDefiningOp();
    if (!isa_and_present<MatMulOp, GemmOp>(op))
      return true;
    RankedTensorType type = rankedTypeOf(at);
    if (isWeight(op->getOperand(1)) && type && !type.isDynamicDim(type.getRank() - 1))
      width = type.getShape().back();
    return false;
  });
  return width;
}

bool raise::hasOneRow(Value value) {
  bool found = false;
  walkBack(value, [&](Value at) {
    RankedTensorType type = rankedTypeOf(at);
    found |= type && type.getRank() == 3 && type.getDimSize(1) == 1;
    // Behind the product are the rows that went into it.
    if (Operation *op = at.getDefiningOp(); isa_and_present<MatMulOp>(op)) {
      RankedTensorType rows = rankedTypeOf(op->getOperand(0));
      found |= rows && rows.getRank() == 3 && rows.getDimSize(1) == 1;
      return false;
    }
    return !found;
  });
  return found;
}
