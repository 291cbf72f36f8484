//===- InsertObservers.cpp - Observe what schemes need data about ---------===//
//
// One observer for all linears that read a value and want the same of it: they are a
// group.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Linear.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_INSERTOBSERVERS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// What its scheme must know about the input of a linear; empty: nothing.
StringRef neededStatistic(const Linear &linear) {
  switch (linear.kind()) {
  case SchemeKind::Int8Static:
    return "absmax";
  case SchemeKind::GptqInt4:
    return "hessian";
  case SchemeKind::LlmInt8:
    return linear.hasStaticOutliers() ? "column-absmax" : "";
  case SchemeKind::Float:
  case SchemeKind::Int8Weights:
  case SchemeKind::Int8Dynamic:
  case SchemeKind::RtnInt4:
    return "";
  }
  llvm_unreachable("unknown scheme");
}

struct InsertObservers : impl::InsertObserversBase<InsertObservers> {
  using Base::Base;

  void runOnOperation() override {
    // Linears by the value they read and what must be known of it, in order.
    llvm::MapVector<std::pair<Value, StringRef>, SmallVector<Linear>> groups;
    getOperation().walk([&](Operation *op) {
      std::optional<Linear> linear = Linear::match(op);
      StringRef statistic = linear ? neededStatistic(*linear) : "";
      if (!statistic.empty() && !linear->op.getA().getDefiningOp<ObserveOp>())
        groups[{linear->op.getA(), statistic}].push_back(*linear);
    });

    for (auto &[key, linears] : groups) {
      auto [value, statistic] = key;
      OpBuilder builder(linears.front().op);
      auto observe =
          ObserveOp::create(builder, linears.front().op.getLoc(), value, builder.getStringAttr(linears.front().name),
                            builder.getStrArrayAttr({statistic}), FloatAttr());
      for (Linear &linear : linears)
        linear.op.getAMutable().assign(observe.getResult());
      ++numObservers;
    }
  }
};

} // namespace
} // namespace qopt
