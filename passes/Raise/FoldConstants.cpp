//===- FoldConstants.cpp - Compute what depends on constants only ---------===//
//
// With the evaluator, so a folded value is what the reference computes. Big
// results stay as they are: they would be arrays in the IR, and those that matter
// (weights in another layout) are the business of normalize-linears.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_FOLDCONSTANTS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// A cast of 16-bit weights belongs to the products that read it.
bool castsWeights(Operation *op) {
  auto cast = dyn_cast<onnx::CastOp>(op);
  auto from = cast ? dyn_cast<RankedTensorType>(cast.getInput().getType()) : RankedTensorType();
  return from && from.getRank() == 2 && (from.getElementType().isF16() || from.getElementType().isBF16()) &&
         llvm::all_of(op->getUsers(),
                      [](Operation *user) { return isa<onnx::MatMulOp, onnx::GemmOp, onnx::TransposeOp>(user); });
}

/// Results of `op` from constant operands; fails when one is no small constant.
FailureOr<std::vector<reference::Tensor>> foldOp(Operation *op, int64_t maxElements) {
  SmallVector<reference::Tensor> operands;
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!operand.getDefiningOp<onnx::ConstantOp>() || !type || type.getNumElements() > maxElements)
      return failure();
    FailureOr<reference::Tensor> tensor = reference::getConstant(operand);
    if (failed(tensor))
      return failure();
    operands.push_back(std::move(*tensor));
  }
  for (Value result : op->getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type || (type.hasStaticShape() && type.getNumElements() > maxElements))
      return failure();
  }
  reference::Quiet quiet(op->getContext());
  return reference::evaluate(op, operands);
}

struct FoldConstants : impl::FoldConstantsBase<FoldConstants> {
  using Base::Base;

  void runOnOperation() override {
    if (!raise::isGraph(getOperation()))
      return;
    for (Operation &op : llvm::make_early_inc_range(getOperation().front())) {
      if (!isa_and_present<onnx::OnnxDialect>(op.getDialect()) || isa<onnx::ConstantOp>(op) || castsWeights(&op))
        continue;
      auto results = foldOp(&op, maxElements);
      if (failed(results) ||
          llvm::any_of(*results, [&](const reference::Tensor &result) { return result.numElements() > maxElements; }))
        continue;
      OpBuilder builder(&op);
      for (auto [value, tensor] : llvm::zip(op.getResults(), *results))
        value.replaceAllUsesWith(onnx::ConstantOp::create(builder, op.getLoc(), reference::toAttribute(tensor)));
      op.erase();
      ++numFolded;
    }
    updateResultTypes(getOperation());
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace qopt
