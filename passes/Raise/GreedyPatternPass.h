//===- GreedyPatternPass.h - A pass that is nothing but its patterns ------===//
//
// What patterns say when they do not match is heard while they run, so that a pass can make
// remarks of it at what is left.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_GREEDYPATTERNPASS_H
#define QOPT_PASSES_RAISE_GREEDYPATTERNPASS_H

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "qopt/Passes/Remarks.h"

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
    ReasonListener reasons(this->getOperation());
    mlir::GreedyRewriteConfig config;
    config.setListener(&reasons);
    if (failed(mlir::applyPatternsGreedily(this->getOperation(), patterns, config)))
      return this->signalPassFailure();
    if (areRemarksWanted(this->getOperation()))
      explain(reasons);
  }

protected:
  /// Makes remarks on what is left; called only where they are wanted.
  virtual void explain(const ReasonListener &reasons) {}

private:
  mlir::FrozenRewritePatternSet patterns;
};

} // namespace qopt

#endif // QOPT_PASSES_RAISE_GREEDYPATTERNPASS_H
