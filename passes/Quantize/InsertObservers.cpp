//===- InsertObservers.cpp - Observe what schemes need data about ---------===//
//
// One observer for all linears that read a value and want the same of it: they are a
// group.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Linear.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_INSERTOBSERVERS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// What must be measured of the input of a linear, and how: the scheme where its options say so. Linears for which both
/// are equal can share an observer.
std::pair<StatisticSet, SchemeAttr> neededStatistics(const Linear &linear) {
  const SchemeVariant &variant = linear.variant();
  return {variant.weightStatistics | variant.activationStatistics,
          linear.scheme.getValue().has(options::observer) ? linear.scheme : SchemeAttr()};
}

struct InsertObservers : impl::InsertObserversBase<InsertObservers> {
  using Base::Base;

  void runOnOperation() override {
    // Linears by the value they read and what must be known of it, in order.
    llvm::MapVector<std::pair<Value, std::pair<int64_t, Attribute>>, SmallVector<Linear>> groups;
    WalkResult result = getOperation().walk([&](Operation *op) {
      std::optional<Linear> linear = Linear::match(op);
      if (!linear)
        return WalkResult::advance();
      if (!linear->scheme) {
        op->emitOpError() << "requires a scheme for layer \"" << linear->name << "\" (qopt-assign-scheme)";
        return WalkResult::interrupt();
      }
      auto [statistics, how] = neededStatistics(*linear);
      Value value = linear->op.getA();
      if (statistics != StatisticSet::None && !value.getDefiningOp<ObserveOp>())
        groups[{value, {int64_t(statistics), how}}].push_back(*linear);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();

    for (auto &[key, linears] : groups) {
      auto [value, needed] = key;
      OpBuilder builder(linears.front().op);
      auto observe =
          ObserveOp::create(builder, linears.front().op.getLoc(), value, builder.getStringAttr(linears.front().name),
                            StatisticSetAttr::get(&getContext(), StatisticSet(needed.first)), FloatAttr());
      for (Linear &linear : linears)
        linear.op.getAMutable().assign(observe.getResult());
      ++numObservers;
    }
  }
};

} // namespace
} // namespace qopt
