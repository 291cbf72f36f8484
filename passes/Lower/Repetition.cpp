//===- Repetition.cpp - Where a list of operations repeats itself ---------===//
//
// Every period that a layer may have is tried: a model has some hundred operations that touch
// memory, and comparing numbers costs nothing. Equal numbers of operations that are not alike are found out later,
// by who compares these.
//
//===----------------------------------------------------------------------===//
#include "Repetition.h"
#include "mlir/IR/OperationSupport.h"

using namespace mlir;
using namespace qopt;

/// A layer of a mixture of some hundred experts has fewer operations.
static constexpr int64_t kLongestPeriod = 8192;

SmallVector<OpOperand *> lowering::outerOperands(Operation *op) {
  SmallVector<OpOperand *> found;
  op->walk<WalkOrder::PreOrder>([&](Operation *inner) {
    for (OpOperand &operand : inner->getOpOperands())
      if (inner == op || !op->isAncestor(operand.get().getParentBlock()->getParentOp()))
        found.push_back(&operand);
  });
  return found;
}

bool lowering::areAlike(Operation *left, Operation *right) {
  llvm::DenseMap<Value, Value> inside;
  auto areSame = [&](Value l, Value r) {
    auto known = inside.find(l);
    return success(known != inside.end() ? known->second == r : l.getType() == r.getType());
  };
  return OperationEquivalence::isEquivalentTo(
      left, right, areSame, [&](Value l, Value r) { inside[l] = r; }, OperationEquivalence::IgnoreLocations);
}

/// Equal for operations that are alike.
static llvm::hash_code hashOf(Operation *op) {
  llvm::hash_code hash = 0;
  op->walk([&](Operation *inner) {
    hash = llvm::hash_combine(hash, OperationEquivalence::computeHash(inner, OperationEquivalence::ignoreHashValue,
                                                                      OperationEquivalence::ignoreHashValue,
                                                                      OperationEquivalence::IgnoreLocations));
    for (Type type : inner->getOperandTypes())
      hash = llvm::hash_combine(hash, type);
  });
  return hash;
}

SmallVector<lowering::Run> lowering::findRuns(ArrayRef<Operation *> ops, int64_t least) {
  SmallVector<llvm::hash_code> hashes = llvm::map_to_vector(ops, hashOf);
  int64_t number = hashes.size();
  SmallVector<Run> runs;
  for (int64_t period = 1, last = std::min(number / least, kLongestPeriod); period <= last; ++period)
    for (int64_t first = 0; first + period < number;) {
      int64_t end = first;
      while (end + period < number && hashes[end] == hashes[end + period])
        ++end;
      if (int64_t length = end - first + period; length >= least * period)
        runs.push_back({first, period, length});
      first = end + 1;
    }
  llvm::sort(runs, [](const Run &l, const Run &r) {
    int64_t leftCovered = l.length / l.period * l.period, rightCovered = r.length / r.period * r.period;
    return std::tie(rightCovered, l.period, l.first) < std::tie(leftCovered, r.period, r.first);
  });
  return runs;
}
