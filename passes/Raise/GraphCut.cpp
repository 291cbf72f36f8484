//===- GraphCut.cpp - Where a computation narrows to one value ------------===//
//
// Operators are followed from one activation; a cut is a value through which all paths
// go.
//
//===----------------------------------------------------------------------===//
#include "GraphCut.h"

#include "qopt/Dialect/Onnx/Onnx.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::raise;

/// A decomposed rotary embedding with a repeat of heads has about twenty.
static constexpr size_t kMaxOperators = 100;

static bool isTable(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !isa<FloatType>(type.getElementType()))
    return false;
  // Biases and factors are constants of rank 0 or 1, or all ones but the last.
  bool isVector = type.hasStaticShape() && (type.getRank() == 0 || type.getNumElements() == type.getShape().back());
  return !(value.getDefiningOp<onnx::ConstantOp>() && isVector);
}

/// Operators that end the way back: what they compute is an activation of its own.
static bool isSource(Operation *op) {
  if (op->hasTrait<onnx::MakesActivation>())
    return true;
  // A bias belongs to its product.
  auto add = dyn_cast<onnx::AddOp>(op);
  return add && ((add.getLhs().getDefiningOp<onnx::ConstantOp>() && !isTable(add.getLhs())) ||
                 (add.getRhs().getDefiningOp<onnx::ConstantOp>() && !isTable(add.getRhs())));
}

std::optional<Chain> raise::findChain(Value value, const llvm::DenseSet<Value> &activations) {
  llvm::SetVector<Operation *> ops;
  llvm::SetVector<Value> sources;
  SmallVector<Value> open = {value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (!op || isSource(op)) {
      sources.insert(next);
      continue;
    }
    if (op->getNumResults() != 1 && !isa<onnx::SplitOp>(op))
      return std::nullopt;
    if (!ops.insert(op))
      continue;
    if (ops.size() > kMaxOperators)
      return std::nullopt;
    for (Value operand : op->getOperands())
      if (activations.contains(operand))
        open.push_back(operand);
  }
  if (sources.size() != 1)
    return std::nullopt;
  SmallVector<Operation *> ordered = ops.takeVector();
  llvm::sort(ordered, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });

  Chain chain;
  chain.values.push_back(sources[0]);
  llvm::SetVector<Value> tables;
  // lastUser[i]: the last position that uses anything up to position i.
  llvm::DenseMap<Value, size_t> positions = {{sources[0], 0}};
  SmallVector<size_t> lastUser = {0};
  for (Operation *op : ordered) {
    size_t position = chain.values.size();
    for (Value operand : op->getOperands()) {
      if (auto found = positions.find(operand); found != positions.end()) {
        lastUser[found->second] = position;
      } else if (isTable(operand)) {
        if (tables.empty())
          chain.firstUse = position;
        chain.lastUse = position;
        tables.insert(operand);
      }
    }
    for (Value result : op->getResults())
      positions[result] = position;
    chain.values.push_back(op->getResult(0));
    lastUser.push_back(position);
  }
  size_t reach = 0;
  for (size_t i = 0; i < chain.values.size(); ++i) {
    // Nothing before i may be used after it; parts of a split are several values.
    bool isSplit = chain.values[i].getDefiningOp<onnx::SplitOp>() != nullptr;
    if (reach <= i && !isSplit)
      chain.cuts.push_back(i);
    reach = std::max(reach, lastUser[i]);
  }
  chain.tables = tables.takeVector();
  return chain;
}
