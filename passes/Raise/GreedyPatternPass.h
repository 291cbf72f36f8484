//===- GreedyPatternPass.h - A pass that is nothing but its patterns ------===//
#ifndef QOPT_PASSES_RAISE_GREEDYPATTERNPASS_H
#define QOPT_PASSES_RAISE_GREEDYPATTERNPASS_H

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace qopt {

/// Applies `Patterns` until none matches. `GeneratedBase` is the pass's impl::XBase<X>.
/// The patterns are collected once per context, not once per function.
template <typename GeneratedBase, typename... Patterns>
struct GreedyPatternPass : GeneratedBase {
  mlir::LogicalResult initialize(mlir::MLIRContext *context) override {
    mlir::RewritePatternSet set(context);
    set.add<Patterns...>(context);
    patterns = std::move(set);
    return mlir::success();
  }

  void runOnOperation() override {
    if (failed(mlir::applyPatternsGreedily(this->getOperation(), patterns)))
      this->signalPassFailure();
  }

private:
  mlir::FrozenRewritePatternSet patterns;
};

} // namespace qopt

#endif // QOPT_PASSES_RAISE_GREEDYPATTERNPASS_H
