//===- RollLayers.cpp - Equal layers to one loop ---------------------------===//
//
// The layers of a model differ in their weights and caches only, so one copy of their code
// will do. Layers are what an entry point does again and again (Repetition.cpp), and whether
// they are a loop is a question of what they use (LayerLoop.cpp). All operations run in the
// order in which they ran before and on the same data, so no result changes.
//
//===----------------------------------------------------------------------===//
#include "LayerLoop.h"
#include "Repetition.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ROLLLAYERS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// A loop of two would save little, and two equal operations are no sign of layers.
constexpr int64_t kLeastLayers = 3;
/// The first and the last layers may differ in where their values come from: so many may stay
/// outside of the loop.
constexpr int64_t kMostOutside = 3;
/// Repetitions that are tried, those that cover most first.
constexpr size_t kMostRuns = 64;

struct RollLayers : impl::RollLayersBase<RollLayers> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || function.isPrivate() || !function.getBody().hasOneBlock())
      return;
    while (rollSome(function.front()))
      eraseDeadOps(function);
  }

  bool rollSome(Block &block) {
    SmallVector<Operation *> steps;
    for (Operation &op : block.without_terminator())
      if (!lowering::isExpression(&op))
        steps.push_back(&op);
    SmallVector<lowering::Run> runs = lowering::findRuns(steps, kLeastLayers);
    for (lowering::Run run : ArrayRef(runs).take_front(kMostRuns))
      for (bool mayCopy : {false, true})
        if (rollRun(steps, run, mayCopy))
          return true;
    return false;
  }

  /// As many layers as possible, wherever a layer begins.
  bool rollRun(ArrayRef<Operation *> steps, lowering::Run run, bool mayCopy) {
    ArrayRef<Operation *> layer = steps.slice(run.first, run.period);
    if (llvm::none_of(layer, llvm::IsaPred<kernel::KernelOpInterface, kernel::GroupOp>) ||
        llvm::any_of(layer, llvm::IsaPred<RepeatOp>))
      return false;
    int64_t most = run.length / run.period;
    for (int64_t count = most; count >= std::max(kLeastLayers, most - kMostOutside); --count)
      for (int64_t start = 0; start + count * run.period <= run.length; ++start)
        if (succeeded(lowering::makeLoop(steps, {run.first + start, run.period, count}, mayCopy))) {
          numLayers += count;
          return true;
        }
    return false;
  }
};

} // namespace
} // namespace qopt
