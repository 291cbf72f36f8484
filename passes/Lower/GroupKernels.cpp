//===- GroupKernels.cpp - Sequences of kernels to groups -------------------===//
//
// At decode a kernel takes about as long as the gap between two launches, so what can
// be one launch should be. Which sequences can, is a question of the data flow only and
// is answered here, for all targets; how they run as one is up to the target.
//
// What makes a sequence safe to run as one: its results are computed element by element
// of the products' results, and no memory that a part of it reads as a whole (an input
// row, a weight, a table) is written by it, except what it prepares for itself. Memory
// is compared by the allocation behind views. The verifiers of kernel.group and
// kernel.stage state the same rules.
//
// A group whose last loop only makes the input that the next one quantizes is one with
// it: what is one launch for one row and what for many differ there (in rows, all
// elements of a row come before its first code).
//
//===----------------------------------------------------------------------===//
#include "GroupBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Kernel/Outline.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using qopt::kernel::KernelRole;

namespace qopt {
#define GEN_PASS_DEF_GROUPKERNELS
#include "qopt/Passes/Passes.h.inc"

namespace {

using lowering::Stage;
using lowering::Step;

bool hasAny(ArrayRef<Value> values, ArrayRef<Value> of) {
  return llvm::any_of(values, [&](Value value) { return llvm::is_contained(of, value); });
}

/// More are not made one launch of.
constexpr size_t kMostSteps = 64;

/// Whether an operation has no part in the order of what happens to memory.
bool isTransparent(Operation &op) { return isMemoryEffectFree(&op) || isa<memref::AllocOp, RequireOp>(op); }

/// A stage that grows step by step.
class Sequence {
public:
  /// Whether the step continues the sequence.
  bool takes(const Step &step) const {
    bool isFirst = steps.empty();
    if (steps.size() == kMostSteps)
      return false;
    for (const Step &other : steps)
      if (hasAny(step.access.written, other.access.whole))
        return false;
    switch (step.role) {
    case KernelRole::None:
      return false;
    case KernelRole::Norm:
      return isFirst;
    case KernelRole::Quantization:
      return isFirst || (steps.back().role == KernelRole::Norm && readsResultOf(steps.back(), step));
    case KernelRole::Product:
      if (results.empty())
        return isFirst || readsResultOf(steps.back(), step);
      return takesProduct(step);
    case KernelRole::Epilogue:
      return hasAny(step.access.elements, results) &&
             llvm::none_of(steps, [&](const Step &other) { return hasAny(step.access.whole, other.access.written); });
    }
    llvm_unreachable("a role");
  }

  void add(const Step &step) {
    if (step.role >= KernelRole::Product)
      llvm::append_range(results, step.access.written);
    steps.push_back(step);
  }

  /// Leaves alone what prepares an input for others, too. Whether there is a group then.
  bool finish() {
    size_t firstKept = 0;
    for (auto [i, step] : llvm::enumerate(steps))
      if (step.role < KernelRole::Product &&
          llvm::any_of(step.access.written, [&](Value root) { return lowering::isUsedOutside(root, {steps}); }))
        firstKept = i + 1;
    steps.erase(steps.begin(), steps.begin() + firstKept);
    return !results.empty() && steps.size() > 1;
  }

  Stage steps;

private:
  static bool readsResultOf(const Step &made, const Step &step) {
    return step.access.whole[0] == made.access.written[0];
  }

  /// Another product of the same input. It comes before all that follows products, so nothing
  /// there may touch what it writes.
  bool takesProduct(const Step &step) const {
    auto isProduct = [](const Step &other) { return other.role == KernelRole::Product; };
    const Step &first = *llvm::find_if(steps, isProduct);
    bool isTouched = llvm::any_of(steps, [&](const Step &other) {
      return hasAny(step.access.written, other.access.written) || hasAny(step.access.written, other.access.elements);
    });
    return kernel::areOfOneKind(cast<kernel::ProductOpInterface>(step.op),
                                cast<kernel::ProductOpInterface>(first.op)) &&
           step.access.whole[0] == first.access.whole[0] && !hasAny(step.access.whole, results) && !isTouched;
  }

  SmallVector<Value> results; ///< written by products and what follows them
};

/// Whether all that the last loop of `stages` writes is quantized by `next`, which has come
/// right behind, and not seen by anybody else.
bool feeds(ArrayRef<Stage> stages, const Stage &next) {
  const Step &last = stages.back().back(), &first = next.front();
  if (!isa<linalg::GenericOp>(last.op) || last.access.written.size() != 1 || first.role != KernelRole::Quantization ||
      first.access.whole[0] != last.access.written[0])
    return false;
  SmallVector<Stage> all(stages);
  all.push_back(next);
  int64_t uses = 0;
  for (const Stage &stage : all)
    uses += llvm::count_if(stage, [&](const Step &step) {
      return hasAny(step.access.whole, last.access.written) || hasAny(step.access.elements, last.access.written);
    });
  return uses == 2 && !lowering::isUsedOutside(last.access.written[0], all);
}

struct GroupKernels : impl::GroupKernelsBase<GroupKernels> {
  using Base::Base;

  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal() || function.isPrivate())
        continue;
      for (auto kernel : function.getBody().front().getOps<kernel::KernelOpInterface>())
        if (failed(kernel::expectMemory(kernel)))
          return signalPassFailure();
      for (ArrayRef<Stage> group : joinGroups(findSequences(function))) {
        lowering::buildGroup(group);
        ++numGroups;
      }
    }
  }

  static std::vector<SmallVector<Stage>> joinGroups(std::vector<Sequence> found) {
    std::vector<SmallVector<Stage>> joined;
    bool isBehind = false; // the one before
    for (Sequence &sequence : found) {
      bool isGroup = sequence.finish();
      if (isGroup && isBehind && feeds(joined.back(), sequence.steps))
        joined.back().push_back(sequence.steps);
      else if (isGroup)
        joined.push_back({sequence.steps});
      isBehind = isGroup;
    }
    return joined;
  }

  static std::vector<Sequence> findSequences(func::FuncOp function) {
    std::vector<Sequence> sequences(1);
    for (Operation &op : function.getBody().front()) {
      if (isTransparent(op))
        continue;
      Step step{&op, kernel::getRole(&op), {}};
      if (step.role != KernelRole::None)
        step.access = kernel::getMemoryAccess(&op);
      if (!sequences.back().takes(step))
        sequences.emplace_back();
      if (sequences.back().takes(step))
        sequences.back().add(step);
    }
    return sequences;
  }
};

} // namespace
} // namespace qopt
