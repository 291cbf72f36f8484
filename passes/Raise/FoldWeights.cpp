//===- FoldWeights.cpp - Weights that a graph computes of constants ---------------===//
//
// A part of a larger matrix, several joined, one that is scaled, normalised, or the sum of a
// weight and an adapter: what products multiply with and tables that are read is computed
// here, whatever its size. Constants in another layout stay, as do casts of 16-bit weights:
// normalize-linears sees through these without a copy.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/StoredWeights.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_FOLDWEIGHTS
#include "qopt/Passes/Passes.h.inc"

namespace {

class Folding {
public:
  /// Whether `value` depends on nothing but constants of the function, which are no codes.
  bool isConstant(Value value) {
    auto [known, isNew] = constants.try_emplace(value, false);
    if (!isNew)
      return known->second;
    Operation *op = value.getDefiningOp();
    bool result = op && isa_and_present<OnnxDialect>(op->getDialect()) && op->getNumRegions() == 0 &&
                  llvm::all_of(op->getOperands(), [&](Value operand) { return isConstant(operand); });
    return constants[value] = result;
  }

  /// Replaces `value` where it is computed of weights; returns whether it is.
  bool fold(Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !isa<FloatType>(type.getElementType()) || isWritten(value) || !isConstant(value))
      return false;
    StringRef name = nameOf(value);
    if (name.empty()) // nothing but small numbers: a mask, a table of angles
      return false;
    reference::Quiet quiet(value.getContext());
    reference::Slice slice;
    FailureOr<reference::Tensor> tensor = slice.get(value);
    if (failed(tensor))
      return false;
    OpBuilder builder(value.getDefiningOp());
    std::vector<float> numbers(tensor->floats.begin(), tensor->floats.end());
    Value folded = createFloats(builder, value.getLoc(), tensor->type.getShape(), numbers, name);
    if (!type.getElementType().isF32())
      folded = CastOp::create(builder, value.getLoc(), tensor->type, folded, TypeAttr::get(type.getElementType()));
    value.replaceAllUsesWith(folded);
    constants[folded] = true;
    return true;
  }

private:
  /// A constant as a file has it, perhaps cast and transposed.
  static bool isWritten(Value value) {
    Operation *op = value.getDefiningOp();
    while (isa_and_present<CastOp, TransposeOp>(op)) {
      if (auto transpose = dyn_cast<TransposeOp>(op); transpose && transpose.getPerm() != ArrayRef<int64_t>{1, 0})
        return false;
      op = op->getOperand(0).getDefiningOp();
    }
    return isa_and_present<ConstantOp>(op);
  }

  /// The name of the largest array that `value` is computed of; empty where none is a resource.
  static StringRef nameOf(Value value) {
    StringRef name;
    int64_t largest = 0;
    SmallVector<Value> open{value};
    llvm::DenseSet<Value> seen;
    while (!open.empty()) {
      Value next = open.pop_back_val();
      if (!seen.insert(next).second)
        continue;
      std::optional<ConstantView> view = matchConstant(next);
      if (view && isa<DenseResourceElementsAttr>(view->value) && view->numElements() > largest) {
        largest = view->numElements();
        name = view->name;
      }
      if (Operation *op = next.getDefiningOp())
        open.append(op->operand_begin(), op->operand_end());
    }
    return name;
  }

  llvm::DenseMap<Value, bool> constants;
};

struct FoldWeights : impl::FoldWeightsBase<FoldWeights> {
  using Base::Base;

  void runOnOperation() override {
    if (!raise::isGraph(getOperation()))
      return;
    Folding folding;
    SmallVector<Value> weights;
    for (Operation &op : getOperation().front()) {
      if (isa<MatMulOp, GemmOp>(op))
        weights.append(op.operand_begin(), op.operand_end());
      else if (auto gather = dyn_cast<GatherOp>(op))
        weights.push_back(gather.getData());
    }
    // Products of constants are part of what is computed.
    llvm::erase_if(weights, [&](Value value) {
      return llvm::all_of(value.getUsers(), [&](Operation *user) {
        return user->getNumResults() > 0 && folding.isConstant(user->getResult(0));
      });
    });
    llvm::DenseSet<Value> seen;
    for (Value value : weights)
      if (seen.insert(value).second && folding.fold(value))
        ++numFolded;
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace qopt
