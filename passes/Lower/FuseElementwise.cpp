//===- FuseElementwise.cpp - Chains of elementwise loops to one loop -------===//
//
// The patterns are MLIR's (linalg-fuse-elementwise-ops); what is ours is an end: a loop of
// thousands of operations takes a compiler time that grows with their square, here, where
// each step copies what is fused already, and again in LLVM. What a loop gains by another
// operation is one pass over memory, whether it has fifty already or not.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_FUSEELEMENTWISE
#include "qopt/Passes/Passes.h.inc"

namespace {

/// More than any operator of a model becomes, and any few of them in a row.
constexpr size_t kMostOperations = 64;

size_t countOperations(Operation *op) {
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  return generic ? generic.getBody()->getOperations().size() : 0;
}

bool isOnlyUse(OpOperand *operand) {
  Operation *producer = operand->get().getDefiningOp();
  return producer && producer->hasOneUse();
}

bool mayFuse(OpOperand *operand) {
  return isOnlyUse(operand) &&
         countOperations(operand->get().getDefiningOp()) + countOperations(operand->getOwner()) <= kMostOperations;
}

struct FuseElementwise : impl::FuseElementwiseBase<FuseElementwise> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    linalg::populateElementwiseOpsFusionPatterns(set, mayFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(set, isOnlyUse);
    tensor::populateBubbleUpExpandShapePatterns(set);
    affine::AffineApplyOp::getCanonicalizationPatterns(set, context);
    linalg::GenericOp::getCanonicalizationPatterns(set, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(set, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(set, context);
    context->getLoadedDialect<linalg::LinalgDialect>()->getCanonicalizationPatterns(set);
    linalg::populateConstantFoldLinalgOperations(set, isOnlyUse);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    // That a limit of rounds was reached is no failure: less is fused.
    (void)applyPatternsGreedily(getOperation(), patterns, GreedyRewriteConfig().setUseTopDownTraversal());
  }

private:
  FrozenRewritePatternSet patterns;
};

} // namespace
} // namespace qopt
