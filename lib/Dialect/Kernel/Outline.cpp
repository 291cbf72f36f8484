//===- Outline.cpp - Functions of kernels, groups and loops ---------------===//
//
// Names are chosen late and by what an operation says of itself: two operations share a
// function if that would have the same body, and get numbered names where only the name is
// the same.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Kernel/Outline.h"
#include "mlir/Dialect/Func/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace qopt::kernel;

LogicalResult qopt::kernel::expectMemory(KernelOpInterface kernel) {
  for (Type type : kernel->getOperandTypes())
    if (!isa<MemRefType>(type))
      return kernel.emitOpError() << "expected a kernel on memory, as bufferization leaves it, but got " << type;
  return success();
}

/// A private function of these arguments, not in a module yet. The builder stands in it.
static func::FuncOp makeFunction(OpBuilder &b, Location loc, const Twine &name, TypeRange types) {
  SmallString<64> text;
  auto function = func::FuncOp::create(loc, name.toStringRef(text), b.getFunctionType(types, {}));
  function.setPrivate();
  b.setInsertionPointToEnd(function.addEntryBlock());
  return function;
}

/// The function, or one in the module that does the same and differs at most in the number
/// behind its name.
static func::FuncOp share(func::FuncOp function, SymbolTable &symbols) {
  std::string name = function.getName().str();
  for (int64_t i = 1; Operation *existing = symbols.lookup(function.getName()); ++i) {
    if (OperationEquivalence::isEquivalentTo(existing, function, OperationEquivalence::IgnoreLocations)) {
      function.erase();
      return cast<func::FuncOp>(existing);
    }
    function.setName(name + "_" + std::to_string(i));
  }
  symbols.insert(function);
  return function;
}

static func::CallOp replaceByCall(Operation *op, func::FuncOp function, ValueRange arguments) {
  OpBuilder b(op);
  auto call = func::CallOp::create(b, op->getLoc(), function, arguments);
  op->erase();
  return call;
}

func::CallOp qopt::kernel::outline(KernelOpInterface kernel, SymbolTable &symbols) {
  OpBuilder b(kernel);
  SmallVector<Value> arguments;
  for (auto [i, operand] : llvm::enumerate(kernel->getOperands())) {
    MemRefType type = getFunctionType(kernel, i);
    arguments.push_back(
        type == operand.getType() ? operand : memref::CastOp::create(b, kernel.getLoc(), type, operand).getResult());
  }
  func::FuncOp function = makeFunction(b, kernel.getLoc(), kernel.getFunctionName(), ValueRange(arguments).getTypes());
  IRMapping mapping;
  mapping.map(kernel->getOperands(), function.getArguments());
  Operation *inside = b.cloneWithoutRegions(*kernel, mapping);
  // Operands may be the same value: each has an argument of its own.
  inside->setOperands(function.getArguments());
  func::ReturnOp::create(b, kernel.getLoc());
  return replaceByCall(kernel, share(function, symbols), arguments);
}

func::CallOp qopt::kernel::outline(GroupOp group, SymbolTable &symbols) {
  OpBuilder b(group);
  SmallVector<Value> arguments(group.getInputs());
  func::FuncOp function = makeFunction(b, group.getLoc(), group.getFunctionName(), ValueRange(arguments).getTypes());
  Operation *inside = b.clone(*group);
  inside->setOperands(function.getArguments());
  func::ReturnOp::create(b, group.getLoc());
  return replaceByCall(group, share(function, symbols), arguments);
}

func::CallOp qopt::kernel::outlineLoop(Operation *loop, const Twine &name, SymbolTable &symbols) {
  llvm::SetVector<Value> used(loop->operand_begin(), loop->operand_end());
  for (Region &region : loop->getRegions())
    getUsedValuesDefinedAbove(region, used);
  SmallVector<Value> arguments;
  SmallVector<Operation *> constants;
  for (Value value : used) {
    Operation *maker = value.getDefiningOp();
    if (maker && maker->hasTrait<OpTrait::ConstantLike>())
      constants.push_back(maker);
    else
      arguments.push_back(value);
  }
  OpBuilder b(loop);
  func::FuncOp function = makeFunction(b, loop->getLoc(), name, ValueRange(arguments).getTypes());
  symbols.insert(function);
  IRMapping mapping;
  mapping.map(arguments, function.getArguments());
  for (Operation *constant : constants)
    b.clone(*constant, mapping);
  b.clone(*loop, mapping);
  func::ReturnOp::create(b, loop->getLoc());
  return replaceByCall(loop, function, arguments);
}

/// Loops get the name of the function that holds the group, and a number.
IRMapping qopt::kernel::callOneByOne(GroupOp group, SymbolTable &symbols) {
  std::string name = group->getParentOfType<func::FuncOp>().getName().str();
  OpBuilder b(group);
  IRMapping outside;
  outside.map(group.getArguments(), group.getInputs());
  for (Operation &op : group.getBody().front())
    if (!isa<StageOp>(op))
      b.clone(op, outside);
  unsigned loops = 0;
  for (StageOp stage : group.getStages())
    for (Operation *op : stage.getOperationsInOrder()) {
      Operation *copy = b.clone(*op, outside);
      auto kernel = dyn_cast<KernelOpInterface>(copy);
      Operation *call =
          kernel ? outline(kernel, symbols) : outlineLoop(copy, name + "_loop_" + Twine(loops++), symbols);
      outside.map(op, call);
    }
  return outside;
}

LogicalResult qopt::kernel::inlineGroups(ModuleOp module) {
  SmallVector<GroupOp> groups;
  module.walk([&](GroupOp group) { groups.push_back(group); });
  if (groups.empty())
    return success();
  SymbolTable symbols(module);
  for (GroupOp group : groups) {
    callOneByOne(group, symbols);
    group.erase();
  }
  return shareEqualFunctions(module);
}

LogicalResult qopt::kernel::shareEqualFunctions(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(func::createDuplicateFunctionEliminationPass());
  return passes.run(module);
}
