//===- Sim.h - GPU kernels to code for the simulator ----------------------===//
#ifndef QOPT_CODEGEN_SIM_H
#define QOPT_CODEGEN_SIM_H

#include "mlir/IR/BuiltinOps.h"
#include <vector>

namespace qopt {

/// Compiles every gpu.func in the gpu.modules of `module` for x86-64-v3 into an ELF
/// shared object that exports a QrtSimKernel (SimAbi.h) of the same name. Kernels
/// take pointers, i32, i64, f32; shared memory is the external global of address
/// space 3 without a size. Leaves `module` as it was. Emits a diagnostic that names
/// the operation and the kernel for what the simulator does not know.
///
/// With `detectRaces` all accesses are announced to ThreadSanitizer; such code
/// imports its functions and only loads into a program that has it.
mlir::FailureOr<std::vector<char>> compileSim(mlir::ModuleOp module, bool detectRaces = false);

} // namespace qopt

#endif // QOPT_CODEGEN_SIM_H
