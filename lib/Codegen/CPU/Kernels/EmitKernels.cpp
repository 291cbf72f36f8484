//===- EmitKernels.cpp - From kernel operations to loops -------------------===//
//
// Each kernel is the only operation of a function (qopt-outline-kernels), whose body the
// generator writes in its place.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Kernel/Outline.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

LogicalResult emitInPlace(kernel::KernelOpInterface op, Target target) {
  if (failed(kernel::expectMemory(op)))
    return failure();
  if (!isa<func::FuncOp>(op->getParentOp()))
    return op.emitOpError("expected a kernel at the top of a function, as qopt-outline-kernels leaves it");
  Kernel k(op, target, OpBuilder(op));
  LogicalResult isKnown =
      llvm::TypeSwitch<Operation *, LogicalResult>(op)
          .Case<kernel::MatmulFloatOp, kernel::MatmulW8A16Op, kernel::MatmulW4A16Op, kernel::MatmulW4A8Op,
                kernel::MatmulW8A8Op, kernel::QuantizeOp, kernel::DynamicQuantizeOp, kernel::SplitColumnsOp,
                kernel::SplitColumnsAtOp, kernel::RmsNormOp, kernel::LayerNormOp, kernel::RotaryOp, kernel::GatherOp,
                kernel::AttentionOp, kernel::CachedAttentionOp, kernel::CacheAppendOp>([&](auto typed) {
            emit(k, typed);
            return success();
          })
          .Default([](Operation *other) { return other->emitOpError("has no generator for CPUs"); });
  if (succeeded(isKnown))
    op.erase();
  return isKnown;
}

} // namespace
} // namespace qopt::kernels

FailureOr<int64_t> qopt::emitKernels(ModuleOp module, const HostLevel &level) {
  // A CPU has nothing to gain from a group: calls cost it little.
  if (failed(kernel::inlineGroups(module)))
    return failure();
  SmallVector<kernel::KernelOpInterface> found;
  module.walk([&](kernel::KernelOpInterface op) { found.push_back(op); });
  kernels::Target target{level.hasVnni512};
  for (kernel::KernelOpInterface op : found)
    if (failed(kernels::emitInPlace(op, target)))
      return failure();
  return static_cast<int64_t>(found.size());
}
