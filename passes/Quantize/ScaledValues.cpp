//===- ScaledValues.cpp - Values whose scale can move into weights --------===//
//
// A factor passes an elementwise product, and what attention makes of values; it passes
// nothing else.
//
//===----------------------------------------------------------------------===//
#include "ScaledValues.h"
#include "FeatureSpace.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Remarks.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transform;

int64_t ScaledValue::features() const { return typeOf(input()).getShape().back(); }

/// Calls `visit` for the operands that values computed of `from` go to. Where it returns false the way ends.
static void followForward(ArrayRef<Value> from, function_ref<bool(OpOperand &)> visit) {
  SmallVector<Value> open(from);
  llvm::DenseSet<Operation *> seen;
  while (!open.empty())
    for (OpOperand &use : open.pop_back_val().getUses())
      if (visit(use) && seen.insert(use.getOwner()).second)
        open.append(use.getOwner()->result_begin(), use.getOwner()->result_end());
}

static SmallVector<Value> resultsOf(ArrayRef<onnx::MatMulOp> products) {
  SmallVector<Value> results;
  for (onnx::MatMulOp product : products)
    results.push_back(product.getY());
  return results;
}

static Value findJudged(ArrayRef<onnx::MatMulOp> linears) {
  llvm::SetVector<Operation *> products;
  followForward(resultsOf(linears), [&](OpOperand &use) {
    auto product = dyn_cast<onnx::MatMulOp>(use.getOwner());
    if (!product || !hasConstantWeights(product))
      return true;
    products.insert(product);
    return false;
  });
  return products.size() == 1 ? products.front()->getResult(0) : Value();
}

bool transform::feedsScores(onnx::MatMulOp op) {
  bool result = false;
  followForward(op.getY(), [&](OpOperand &use) {
    if (isa<onnx::AttentionOp>(use.getOwner())) {
      result |= use.getOperandNumber() < 2;
      return false;
    }
    return !isa<onnx::MatMulOp>(use.getOwner());
  });
  return result;
}

/// The weights, and what is added to their product, that alone make `value`; none where it is made otherwise.
static SmallVector<OpOperand *> findWriter(Value value, int64_t features) {
  SmallVector<OpOperand *> constants;
  while (value.hasOneUse()) {
    Operation *op = value.getDefiningOp();
    if (auto product = dyn_cast_or_null<onnx::MatMulOp>(op); product && hasConstantWeights(product)) {
      constants.push_back(&product.getBMutable());
      return constants;
    }
    OpOperand *bias = isa_and_present<onnx::AddOp>(op) ? findAddedConstant(op, features) : nullptr;
    if (!bias)
      break;
    constants.push_back(bias);
    value = op->getOperand(1 - bias->getOperandNumber());
  }
  return {};
}

/// What in front of a value that is no normalization's result can divide it; nothing, and why, where it cannot be.
static SmallVector<OpOperand *> findDivided(const ScaledValue &value, std::string &why) {
  Operation *op = value.input().getDefiningOp();
  for (Operation *user : value.input().getUsers())
    if (!llvm::is_contained(value.linears, user)) {
      why = "its input also goes to '" + user->getName().getStringRef().str() + "'";
      return {};
    }
  if (auto product = dyn_cast<onnx::MulOp>(op)) {
    for (Value factor : {product.getRhs(), product.getLhs()})
      if (typeOf(factor).getRank() && typeOf(factor).getShape().back() == value.features())
        if (SmallVector<OpOperand *> constants = findWriter(factor, value.features()); !constants.empty())
          return constants;
    why = "no factor of its input is a product of its own";
    return {};
  }
  auto attention = dyn_cast<onnx::AttentionOp>(op);
  if (!attention) {
    why = "its input comes from '" + op->getName().getStringRef().str() + "'";
    return {};
  }
  std::optional<ValueHeads> heads = ValueHeads::match(attention, why);
  if (heads && attention.getKvNumHeads() != attention.getQNumHeads())
    why = "several heads of queries share one of values";
  if (!why.empty())
    return {};
  heads->biases.push_back(&heads->writer.getBMutable());
  return heads->biases;
}

std::vector<ScaledValue> transform::findScaledValues(func::FuncOp function,
                                                     function_ref<void(Operation *, const Twine &)> onMissed) {
  llvm::MapVector<Value, ScaledValue> values;
  llvm::DenseMap<Value, SmallVector<OpOperand *>> scales;
  for (const NormGroup &group : findNormGroups(function, onMissed))
    scales[group.norm->getResult(0)] = group.constants();
  for (auto product : function.getOps<onnx::MatMulOp>())
    if (hasConstantWeights(product) && product.getA().getDefiningOp())
      values[product.getA()].linears.push_back(product);
  std::vector<ScaledValue> result;
  for (auto &[input, value] : values) {
    if (isHead(value.linears) || typeOf(input).getRank() == 0 || ShapedType::isDynamic(value.features()))
      continue;
    std::string why;
    if (auto found = scales.find(input); found != scales.end()) {
      value.divided = found->second;
      value.judged = findJudged(value.linears);
    } else if (!isa<onnx::RMSNormalizationOp, onnx::LayerNormalizationOp>(input.getDefiningOp())) {
      value.divided = findDivided(value, why);
    }
    if (!why.empty())
      remarkChosen(input.getLoc(), topics::kTransformation,
                   "awq scales no weights of " + layerName(value.linears.front()) + ": " + why);
    result.push_back(std::move(value));
  }
  return result;
}
