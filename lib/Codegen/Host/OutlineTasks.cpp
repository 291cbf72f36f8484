//===- OutlineTasks.cpp - Parallel loops to tasks of the runtime ----------===//
//
// The values that a loop's body uses are packed into a struct on the stack; the
// task unpacks them. When there is no more than one grain of work the task is
// called at once.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/RegionUtils.h"
#include "qopt/Codegen/Host/LlvmBuilder.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::host;

namespace {

class TaskOutliner {
public:
  TaskOutliner(scf::ParallelOp loop, func::FuncOp function, const LLVMTypeConverter &types, unsigned number)
      : loop(loop), function(function), types(types), number(number) {}

  LogicalResult run() {
    if (loop.getNumLoops() != 1 || loop.getNumReductions() != 0 || !isOneInteger(loop.getStep()[0]) ||
        !isZeroInteger(loop.getLowerBound()[0]))
      return loop.emitOpError("expected one loop from 0 in steps of 1 without reductions");
    frame = getFrame(function);
    if (!frame)
      return loop.emitOpError("expected a function with a call frame, as qopt-lower-host-abi leaves it");
    sinkConstants();
    llvm::SetVector<Value> used;
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    captured.assign(used.begin(), used.end());
    SmallVector<Type> fields;
    for (Value value : captured) {
      Type type = types.convertType(value.getType());
      if (!type)
        return loop.emitOpError("uses a value of type ") << value.getType() << " that cannot be passed to a task";
      fields.push_back(type);
    }
    packed = LLVM::LLVMStructType::getLiteral(loop.getContext(), fields);
    emitTask();
    emitLaunch();
    loop.erase();
    return success();
  }

private:
  /// Constants are made again inside rather than passed.
  void sinkConstants() {
    llvm::SetVector<Value> used;
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    OpBuilder b = OpBuilder::atBlockBegin(loop.getBody());
    for (Value value : used)
      if (Operation *op = value.getDefiningOp();
          op && (op->hasTrait<OpTrait::ConstantLike>() || isa<memref::GetGlobalOp>(op)))
        replaceAllUsesInRegionWith(value, b.clone(*op)->getResult(0), loop.getRegion());
  }

  void emitTask() {
    OpBuilder top(function);
    std::string name = (function.getName() + "_task_" + Twine(number)).str();
    auto pointer = LLVM::LLVMPointerType::get(loop.getContext());
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(loop.getContext()),
                                            {pointer, top.getI64Type(), top.getI64Type()});
    task = LLVM::LLVMFuncOp::create(top, loop.getLoc(), name, type, LLVM::Linkage::Internal);
    // Called from one place and through a pointer: a second copy would gain nothing.
    task.setNoInline(true);
    Block *entry = task.addEntryBlock(top);
    LlvmBuilder b(loop.getLoc(), OpBuilder::atBlockBegin(entry));
    IRMapping mapping;
    for (auto [i, value] : llvm::enumerate(captured)) {
      Value field = b.load(packed.getBody()[i], b.field(packed, entry->getArgument(0), i));
      mapping.map(value, b.castTo(field, value.getType()));
    }
    Value begin = b.toIndex(entry->getArgument(1)), end = b.toIndex(entry->getArgument(2));
    auto inner = scf::ForOp::create(b, begin, end, arith::ConstantIndexOp::create(b, 1));
    LLVM::ReturnOp::create(b, ValueRange());
    b.setInsertionPointToStart(inner.getBody());
    mapping.map(loop.getInductionVars()[0], inner.getInductionVar());
    for (Operation &op : loop.getBody()->without_terminator())
      b.clone(op, mapping);
  }

  void emitLaunch() {
    Block &first = function.getBody().front();
    LlvmBuilder top(loop.getLoc(), OpBuilder::atBlockBegin(&first));
    Value arguments = top.stackSlot(packed);
    LlvmBuilder b(loop.getLoc(), OpBuilder(loop));
    for (auto [i, value] : llvm::enumerate(captured))
      b.store(b.castTo(value, packed.getBody()[i]), b.field(packed, arguments, i));
    Value count = b.toI64(loop.getUpperBound()[0]);
    auto grainAttr = getAttr<attrs::Grain>(loop);
    Value grain = b.i64(grainAttr ? std::max<int64_t>(grainAttr.getInt(), 1) : 1);
    Value isSmall = arith::CmpIOp::create(b, arith::CmpIPredicate::sle, count, grain);
    auto choice = scf::IfOp::create(b, TypeRange(), isSmall, /*withElseRegion=*/true);
    b.setInsertionPointToStart(choice.thenBlock());
    LLVM::CallOp::create(b, task, ValueRange{arguments, b.i64(0), count});
    b.setInsertionPointToStart(choice.elseBlock());
    Value address = LLVM::AddressOfOp::create(b, task);
    b.callApi(frame, ApiFunction::ParallelFor, {address, arguments, count, grain});
  }

  scf::ParallelOp loop;
  func::FuncOp function;
  const LLVMTypeConverter &types;
  unsigned number;
  Value frame;
  SmallVector<Value> captured;
  LLVM::LLVMStructType packed;
  LLVM::LLVMFuncOp task;
};

} // namespace

FailureOr<int64_t> host::outlineTasks(ModuleOp module) {
  LLVMTypeConverter types(module.getContext());
  int64_t numTasks = 0;
  for (func::FuncOp function : llvm::to_vector(module.getOps<func::FuncOp>())) {
    SmallVector<scf::ParallelOp> loops;
    function.walk<WalkOrder::PreOrder>([&](scf::ParallelOp loop) {
      loops.push_back(loop);
      return WalkResult::skip();
    });
    for (auto [i, loop] : llvm::enumerate(loops))
      if (failed(TaskOutliner(loop, function, types, i).run()))
        return failure();
    numTasks += loops.size();
  }
  return numTasks;
}
