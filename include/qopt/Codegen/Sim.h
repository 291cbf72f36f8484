//===- Sim.h - GPU kernels to code for the simulator ----------------------===//
//
// The same gpu.funcs that become PTX become host functions, of which the simulator
// calls one per GPU thread.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_SIM_H
#define QOPT_CODEGEN_SIM_H

#include "mlir/IR/BuiltinOps.h"
#include <vector>

namespace qopt {

namespace sim {

/// Turns the gpu.funcs of a module of gpu.modules alone into functions (QrtSimThread *,
/// args *) of the same names. Thread numbers become reads of fields; gpu operations
/// become nvvm ones; llvm.nvvm.* intrinsics that compute become arithmetic. Emits a
/// diagnostic that names the operation and the kernel for what the simulator does not
/// know.
mlir::LogicalResult lowerKernels(mlir::ModuleOp module);

/// In the LLVM dialect: nvvm operations become calls of the simulator, and all
/// pointers ordinary ones. Accesses of memory are checked.
mlir::LogicalResult lowerDeviceOps(mlir::ModuleOp module);

} // namespace sim

/// Makes an ELF shared object for x86-64-v3 of what the pipeline `qopt-sim` leaves. It
/// exports a QrtSimKernel (SimAbi.h) for each kernel, of the same name.
///
/// With `detectRaces` all accesses are announced to ThreadSanitizer; such code
/// imports its functions and only loads into a program that has it.
mlir::FailureOr<std::vector<char>> emitSim(mlir::ModuleOp module, bool detectRaces = false);

} // namespace qopt

#endif // QOPT_CODEGEN_SIM_H
