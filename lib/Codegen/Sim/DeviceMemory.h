//===- DeviceMemory.h - Checked accesses in one address space -------------===//
//
// A GPU faults on a misaligned access, and the simulator must as well.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_SIM_DEVICEMEMORY_H
#define QOPT_LIB_CODEGEN_SIM_DEVICEMEMORY_H

#include "SimCodegen.h"

namespace qopt::sim {

/// Emits a call that does not return; operands are kind, address, bytes, alignment.
using EmitTrap = llvm::function_ref<void(host::LlvmBuilder &b, mlir::ValueRange operands)>;

/// Every load, store and atomic operation of a kernel is checked for the alignment
/// it needs, those of address space 3 also for the bounds of shared memory. Then
/// all pointers become those of address space 0; @shared is the thread's shared
/// memory. Emits a diagnostic on other operations on shared memory.
mlir::LogicalResult checkMemory(mlir::LLVM::LLVMFuncOp function, EmitTrap emitTrap);

} // namespace qopt::sim

#endif // QOPT_LIB_CODEGEN_SIM_DEVICEMEMORY_H
