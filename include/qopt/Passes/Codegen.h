//===- Codegen.h - Kernels to code, by the pipelines of Pipelines.cpp -------===//
//
// Each function runs a pipeline and then writes what it leaves. MLIR's debugging
// options (--mlir-print-ir-after-all, ...) apply where a tool has registered them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_CODEGEN_H
#define QOPT_PASSES_CODEGEN_H

#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace qopt {

/// Runs `qopt-emit-cuda-kernels` on a lowered module.
mlir::LogicalResult emitKernelsForCuda(mlir::ModuleOp module);

/// Compiles the kernels of `module` to PTX for `chip`, by the pipeline `qopt-ptx` and
/// translateToPtx(). Leaves `module` as it was. Emits a diagnostic on failure.
mlir::FailureOr<std::string> compilePtx(mlir::ModuleOp module, llvm::StringRef chip);

/// Compiles every gpu.func in the gpu.modules of `module` for the simulator, by the
/// pipeline `qopt-sim` and emitSim(). Kernels take pointers, i32, i64, f32; shared memory
/// is the external global of address space 3 without a size. Leaves `module` as it was.
/// Emits a diagnostic on failure.
mlir::FailureOr<std::vector<char>> compileSim(mlir::ModuleOp module, bool detectRaces = false);

} // namespace qopt

#endif // QOPT_PASSES_CODEGEN_H
