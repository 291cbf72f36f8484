//===- Codegen.h - Lowered modules to code, by the pipelines of Pipelines.cpp -===//
//
// Each function runs a pipeline on a copy and then writes what it leaves. `timing` gets
// what each step takes; MLIR's debugging options (--mlir-print-ir-after-all, ...) apply
// where a tool has registered them. All emit a diagnostic on failure.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_CODEGEN_H
#define QOPT_PASSES_CODEGEN_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/Timing.h"
#include "qopt/Support/Targets.h"
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace qopt {

/// Runs the passes that `build` adds on `module`, as MLIR's options say.
mlir::LogicalResult runPipeline(mlir::ModuleOp module, mlir::TimingScope &timing,
                                llvm::function_ref<void(mlir::OpPassManager &)> build);

/// Compiles a lowered module (functions on memrefs: kernel, linalg, memref, scf, arith, math,
/// func, and launches of kernels) for one level into an ELF shared object without imports whose
/// public functions are QrtEntry, by the pipeline `qopt-host`, emitObject() and linkShared().
/// `signature`: what code of a module exports, signatureOf() of Module/Module.h; else empty.
mlir::FailureOr<std::vector<char>> compileHost(mlir::ModuleOp module, const HostLevel &level,
                                               llvm::StringRef signature = {}, mlir::TimingScope timing = {});

/// Runs `qopt-emit-cuda-kernels` on a lowered module, in place.
mlir::LogicalResult emitKernelsForCuda(mlir::ModuleOp module, mlir::TimingScope timing = {});

/// The kernels of `module`, of all architectures, in the LLVM dialect: what the pipeline
/// `qopt-ptx` makes of them is the same for every chip.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> lowerKernels(mlir::ModuleOp module, mlir::TimingScope timing = {});

/// Writes those of these kernels that `chip` has as PTX, by translateToPtx().
mlir::FailureOr<std::string> emitPtx(mlir::ModuleOp kernels, llvm::StringRef chip, mlir::TimingScope timing = {});

/// Both, for one chip.
mlir::FailureOr<std::string> compilePtx(mlir::ModuleOp module, llvm::StringRef chip);

/// Compiles every gpu.func in the gpu.modules of `module` for the simulator, by the
/// pipeline `qopt-sim` and emitSim(). Kernels take pointers, i32, i64, f32; shared memory
/// is the external global of address space 3 without a size.
mlir::FailureOr<std::vector<char>> compileSim(mlir::ModuleOp module, bool detectRaces = false,
                                              mlir::TimingScope timing = {});

} // namespace qopt

#endif // QOPT_PASSES_CODEGEN_H
