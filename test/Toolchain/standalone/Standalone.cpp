//===- Standalone.cpp - The dialect and the pass of an accelerator --------===//
//
// A pattern that matches qopt's operation and makes one of another dialect.
//
//===----------------------------------------------------------------------===//
#include "Standalone.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace standalone;

#include "StandaloneDialect.cpp.inc"
#define GET_OP_CLASSES
#include "StandaloneOps.cpp.inc"

void StandaloneDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "StandaloneOps.cpp.inc"
      >();
}

namespace standalone {
#define GEN_PASS_DEF_CONVERTMATMUL
#include "StandalonePasses.h.inc"
} // namespace standalone

namespace {

struct MatmulOfInt4 : OpRewritePattern<qopt::MatmulW4A16Op> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(qopt::MatmulW4A16Op op, PatternRewriter &rewriter) const override {
    if (op.getGroupSize() % 32 != 0)
      return rewriter.notifyMatchFailure(op, "the accelerator reads groups of 32 inputs");
    auto product = MatmulOp::create(rewriter, op.getLoc(), op.getType(), op.getX(), op.getW(), op.getScale(),
                                    op.getZeros(), op.getGroupSizeAttr());
    // The layer's name and scheme, which qopt's later passes and reports ask for.
    product->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    rewriter.replaceOp(op, product);
    return success();
  }
};

struct ConvertMatmul : standalone::impl::ConvertMatmulBase<ConvertMatmul> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MatmulOfInt4>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
