//===- FoldNorms.cpp - Scales of normalizations into weights --------------===//
//
// (scale * x) W = x (diag(scale) W).
//
//===----------------------------------------------------------------------===//
#include "Transforming.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Transforms.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_FOLDNORMS
#include "qopt/Passes/Transforms.h.inc"

namespace {

struct FoldNorms : impl::FoldNormsBase<FoldNorms> {
  using Base::Base;

  void runOnOperation() override {
    transform::LeftOut left("fold-norms");
    for (func::FuncOp function : transform::functionsOf(getOperation())) {
      auto onMissed = [&](Operation *op, const Twine &reason) { left.add(op, reason); };
      for (const transform::NormGroup &group : transform::findNormGroups(function, onMissed))
        fold(group, left);
      eraseDeadOps(function);
    }
    if (failed(left.check(getOperation().getLoc(), "a normalization whose result linear layers alone read")))
      signalPassFailure();
  }

private:
  void fold(const transform::NormGroup &group, transform::LeftOut &left) {
    std::vector<float> scale = transform::readConstant(group.scale().get());
    // What is added is divided by the scale.
    if (group.hasBias() && llvm::is_contained(scale, 0.0f))
      return left.add(group.norm, "the normalization in front of " + transform::layerName(group.linears.front()) +
                                      ": its scale has a zero, and something is added behind it");
    ++numFolded;
    left.countDone();
    if (llvm::all_of(scale, [](float value) { return value == 1; }))
      return;
    transform::moveFactors(group.constants(), group.linears, scale);
    // Also where it was 0.
    transform::setConstant(group.scale(), std::vector<float>(scale.size(), 1));
  }
};

} // namespace
} // namespace qopt
