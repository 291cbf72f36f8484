//===- EmitGroup.cpp - Which launches a group of kernels becomes -----------===//
//
// For one row each stage is one launch where that can be (Fused.cpp). Where there is more
// than one row, operations run one by one, but for quantization and what comes right before
// it (Prepare.cpp).
//
//===----------------------------------------------------------------------===//
#include "FusedGroup.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

/// The launches of one group.
class GroupLaunches {
public:
  GroupLaunches(kernel::GroupOp group, const IRMapping &outside) : stages(group.getStages()), outside(outside) {
    for (size_t i = 0; i < stages.size(); ++i) {
      fused.push_back(FusedGroup::read(stages[i]));
      if (fused.back())
        rows = outside.lookup(fused.back()->x);
      if (auto preparation = Preparation::find(stages[i], i ? stages[i - 1] : kernel::StageOp()))
        preparations.push_back(*preparation);
    }
  }

  /// Whether anything is another launch than that of an operation of its own.
  bool areAny() const { return rows || !preparations.empty(); }

  void emit(Kernel &k) const {
    if (rows)
      k.ifThen(k.equal(k.dim(rows, 0), 1), [&] { runOneRow(k); }, [&] { runRows(k); });
    else
      runRows(k);
  }

private:
  void runOneRow(Kernel &k) const {
    for (auto [i, stage] : llvm::enumerate(stages)) {
      if (fused[i])
        launchFused(k, *fused[i], outside, numbered("_fused", i));
      else
        for (Operation *op : kernel::StageOp(stage).getOperationsInOrder())
          k.clone(*outside.lookup(op));
    }
  }

  void runRows(Kernel &k) const {
    for (kernel::StageOp stage : stages)
      for (Operation *op : stage.getOperationsInOrder()) {
        auto isPartOf = [&](const Preparation &p) { return op == p.maker || op == p.quantization; };
        const auto *found = llvm::find_if(preparations, isPartOf);
        if (found == preparations.end())
          k.clone(*outside.lookup(op));
        else if (op == found->quantization)
          found->launch(k, outside, numbered("_prepare", found - preparations.begin()));
      }
  }

  static std::string numbered(StringRef name, size_t i) { return i ? (name + "_" + Twine(i)).str() : name.str(); }

  SmallVector<kernel::StageOp, 4> stages;
  const IRMapping &outside;
  SmallVector<std::optional<FusedGroup>, 2> fused; ///< of each stage
  SmallVector<Preparation> preparations;           ///< in order
  Value rows;                                      ///< what has as many rows as all; null if no stage is one launch
};

} // namespace

void emitGroup(kernel::GroupOp group, const IRMapping &outside) {
  GroupLaunches launches(group, outside);
  if (launches.areAny()) {
    Kernel k(group->getParentOfType<func::FuncOp>(), OpBuilder(group));
    launches.emit(k);
    for (kernel::StageOp stage : group.getStages())
      for (Operation *op : stage.getOperationsInOrder())
        outside.lookup(op)->erase();
  }
  group.erase();
}

} // namespace qopt::cuda
