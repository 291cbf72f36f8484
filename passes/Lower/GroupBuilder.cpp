//===- GroupBuilder.cpp - Building kernel.group ------------------------------===//
//
// A group is isolated: all that its operations use comes in as an argument, but for
// constants and views of what the group writes, which are made again inside, so that the
// group shows whose memory they are.
//
//===----------------------------------------------------------------------===//
#include "GroupBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;
using qopt::kernel::KernelRole;

bool lowering::isUsedOutside(Value memory, ArrayRef<Stage> stages) {
  if (!memory.getDefiningOp<memref::AllocOp>())
    return true;
  auto isInside = [&](Operation *user) {
    return llvm::any_of(stages, [&](const Stage &stage) {
      return llvm::any_of(stage, [&](const Step &step) { return step.op->isAncestor(user); });
    });
  };
  SmallVector<Value> aliases{memory};
  while (!aliases.empty())
    for (Operation *user : aliases.pop_back_val().getUsers()) {
      if (isa<ViewLikeOpInterface>(user))
        aliases.push_back(user->getResult(0));
      else if (!isa<memref::DimOp>(user) && !isInside(user))
        return true;
    }
  return false;
}

namespace {

class GroupMaker {
public:
  explicit GroupMaker(ArrayRef<Stage> stages) : stages(stages), b(stages.back().back().op) {}

  kernel::GroupOp run() {
    forEachStep([&](const Step &step) {
      for (Value value : valuesOf(step))
        collect(value);
    });
    SmallVector<Value> inputs;
    SmallVector<int64_t> scratch;
    for (auto [i, argument] : llvm::enumerate(arguments)) {
      inputs.push_back(generalize(argument));
      if (isWritten(argument) && !isUsedOutside(argument, stages))
        scratch.push_back(i);
    }
    auto group = kernel::GroupOp::create(b, stages.back().back().op->getLoc(), inputs, scratch);
    IRMapping mapping;
    mapping.map(arguments, group.getArguments());
    b.setInsertionPointToStart(&group.getBody().front());
    for (Operation *op : remade)
      b.clone(*op, mapping);
    for (const Stage &stage : stages)
      build(stage, mapping);
    SmallVector<Operation *> old;
    forEachStep([&](const Step &step) { old.push_back(step.op); });
    for (Operation *op : llvm::reverse(old))
      op->erase();
    return group;
  }

private:
  void forEachStep(function_ref<void(const Step &)> body) {
    for (const Stage &stage : stages)
      for (const Step &step : stage)
        body(step);
  }

  bool isWritten(Value memory) const {
    return llvm::any_of(stages, [&](const Stage &stage) {
      return llvm::any_of(stage, [&](const Step &step) { return llvm::is_contained(step.access.written, memory); });
    });
  }

  static SmallVector<Value> valuesOf(const Step &step) {
    llvm::SetVector<Value> used(step.op->operand_begin(), step.op->operand_end());
    for (Region &region : step.op->getRegions())
      getUsedValuesDefinedAbove(region, used);
    return used.takeVector();
  }

  /// Decides whether a value becomes an argument or is made again, in the order of use.
  void collect(Value value) {
    Operation *op = value.getDefiningOp();
    bool isView = op && isa<ViewLikeOpInterface>(op) && isWritten(kernel::getMemory(value));
    if (!op || !(isView || op->hasTrait<OpTrait::ConstantLike>())) {
      arguments.insert(value);
      return;
    }
    for (Value operand : op->getOperands())
      collect(operand);
    remade.insert(op);
  }

  /// As the argument of kernels only, memory is passed in the form in which layers share
  /// code, whatever sizes are known of it.
  Value generalize(Value value) {
    Type wanted;
    auto want = [&](Type type) { wanted = !wanted || wanted == type ? type : value.getType(); };
    forEachStep([&](const Step &step) {
      auto kernel = dyn_cast<kernel::KernelOpInterface>(step.op);
      for (OpOperand &operand : step.op->getOpOperands())
        if (operand.get() == value)
          want(kernel ? Type(kernel::getFunctionType(kernel, operand.getOperandNumber())) : value.getType());
    });
    bool isViewed = llvm::any_of(remade, [&](Operation *op) { return llvm::is_contained(op->getOperands(), value); });
    if (!wanted || isViewed || wanted == value.getType())
      return value;
    return memref::CastOp::create(b, value.getLoc(), wanted, value);
  }

  void build(const Stage &stage, IRMapping &mapping) {
    auto op = kernel::StageOp::create(b, stage.back().op->getLoc());
    for (const Step &step : stage) {
      Region &region = step.role < KernelRole::Product    ? op.getPreparation()
                       : step.role == KernelRole::Product ? op.getProducts()
                                                          : op.getEpilogue();
      OpBuilder inside = OpBuilder::atBlockEnd(region.empty() ? &region.emplaceBlock() : &region.front());
      inside.clone(*step.op, mapping);
    }
  }

  ArrayRef<Stage> stages;
  OpBuilder b;
  llvm::SetVector<Value> arguments;
  llvm::SetVector<Operation *> remade; ///< constants and views
};

} // namespace

kernel::GroupOp lowering::buildGroup(ArrayRef<Stage> stages) { return GroupMaker(stages).run(); }
