//===- EmitCudaKernels.cpp - From kernels, groups and loops to launches ----===//
//
// Every private function of the lowered form holds a kernel, a group or a loop nest
// (qopt-outline-kernels), and gets a body that launches instead.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "Loops.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Dialect/Kernel/Outline.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::cuda {
namespace {

/// Whether an operation and the return are all of a private function.
bool isAlone(Operation *op) {
  auto function = dyn_cast<func::FuncOp>(op->getParentOp());
  return function && function.isPrivate() && op->getBlock()->getOperations().size() == 2 &&
         op == &op->getBlock()->front();
}

bool isOnTensors(Operation *op) {
  return llvm::any_of(op->getOperandTypes(), llvm::IsaPred<TensorType>) ||
         llvm::any_of(op->getResultTypes(), llvm::IsaPred<TensorType>);
}

/// All is on memory, kernels and groups are alone in private functions, and so are loops: as
/// qopt-lower leaves it.
LogicalResult expectLowered(ModuleOp module) {
  WalkResult walk = module.walk([](Operation *op) -> WalkResult {
    auto kernel = dyn_cast<kernel::KernelOpInterface>(op);
    if (kernel && failed(kernel::expectMemory(kernel)))
      return failure();
    if (isOnTensors(op))
      return op->emitOpError("expected operations on memory, as bufferization leaves them");
    auto function = op->getParentOfType<func::FuncOp>();
    if (isa<linalg::LinalgOp>(op) && !(function && function.isPrivate()))
      return op->emitOpError("expected loops in a private function, as qopt-outline-kernels leaves them");
    auto hasNarrowCache = [&](OpOperand &operand) {
      return kernel && kernel.isCache(operand) && !getElementTypeOrSelf(operand.get()).isF32();
    };
    if (llvm::any_of(op->getOpOperands(), hasNarrowCache))
      return op->emitOpError("has no generator for CUDA with caches of f16");
    bool isStep = isa_and_present<kernel::StageOp>(op->getParentOp());
    if ((kernel || isa<kernel::GroupOp>(op)) && !isStep && !isAlone(op))
      return op->emitOpError("expected to be alone in a private function, as qopt-outline-kernels leaves it");
    return success();
  });
  return failure(walk.wasInterrupted());
}

/// Groups to launches; their functions. Those of kernels and loops that are parts of launches
/// only are gone then.
FailureOr<SmallVector<func::FuncOp>> emitGroups(ModuleOp module) {
  SmallVector<kernel::GroupOp> groups;
  module.walk([&](kernel::GroupOp group) { groups.push_back(group); });
  SmallVector<func::FuncOp> functions;
  if (groups.empty())
    return functions;
  SymbolTable symbols(module);
  llvm::DenseMap<Operation *, IRMapping> outside;
  for (kernel::GroupOp group : groups)
    outside[group] = kernel::callOneByOne(group, symbols);
  if (failed(kernel::shareEqualFunctions(module)))
    return failure();
  // Functions of groups may have been equal, too.
  groups.clear();
  module.walk([&](kernel::GroupOp group) { groups.push_back(group); });
  llvm::SetVector<func::FuncOp> called;
  for (kernel::GroupOp group : groups) {
    auto function = functions.emplace_back(group->getParentOfType<func::FuncOp>());
    function.walk([&](func::CallOp call) { called.insert(module.lookupSymbol<func::FuncOp>(call.getCallee())); });
    emitGroup(group, outside.at(group));
  }
  SymbolTableCollection tables;
  SymbolUserMap users(tables, module);
  for (func::FuncOp function : called)
    if (users.useEmpty(function))
      function.erase();
  return functions;
}

/// The body of the function in place of the kernel that it holds.
LogicalResult emitInPlace(kernel::KernelOpInterface op) {
  Kernel k(op->getParentOfType<func::FuncOp>(), OpBuilder(op));
  bool isKnown =
      llvm::TypeSwitch<Operation *, bool>(op)
          .Case<kernel::MatmulFloatOp, kernel::MatmulW8A16Op, kernel::MatmulW4A16Op, kernel::MatmulW4A8Op,
                kernel::MatmulW8A8Op, kernel::QuantizeOp, kernel::DynamicQuantizeOp, kernel::SplitColumnsOp,
                kernel::SplitColumnsAtOp, kernel::RmsNormOp, kernel::LayerNormOp, kernel::RotaryOp, kernel::GatherOp,
                kernel::AttentionOp, kernel::CachedAttentionOp, kernel::CacheAppendOp>([&](auto typed) {
            emit(k, typed);
            return true;
          })
          .Default(false);
  if (!isKnown)
    return op.emitOpError("has no generator for CUDA");
  op.erase();
  return success();
}

} // namespace
} // namespace qopt::cuda

LogicalResult qopt::emitCudaKernels(ModuleOp module) {
  if (failed(cuda::expectLowered(module)))
    return failure();
  FailureOr<SmallVector<func::FuncOp>> groups = cuda::emitGroups(module);
  if (failed(groups))
    return failure();
  SmallVector<kernel::KernelOpInterface> kernels;
  SmallVector<func::FuncOp> loops;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal() || !function.isPrivate() || llvm::is_contained(*groups, function))
      continue;
    if (auto kernel = dyn_cast<kernel::KernelOpInterface>(function.getBody().front().front()))
      kernels.push_back(kernel);
    else
      loops.push_back(function);
  }
  if (failed(cuda::emitLoops(module, loops)))
    return failure();
  for (kernel::KernelOpInterface kernel : kernels)
    if (failed(cuda::emitInPlace(kernel)))
      return failure();
  host::expandMath(module);
  return success();
}
