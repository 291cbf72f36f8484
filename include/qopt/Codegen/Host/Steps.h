//===- Steps.h - Steps of making host code ---------------------------------===//
//
// Each step takes functions on memrefs and leaves them lower. passes/Codegen makes a pass
// of each but the last two, and the pipeline `qopt-host` runs them in the order of this
// file. Those that can fail emit a diagnostic that names the operation.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_HOST_STEPS_H
#define QOPT_CODEGEN_HOST_STEPS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Support/Targets.h"
#include "llvm/Support/CodeGen.h"
#include <vector>

namespace qopt::host {

/// linalg operations on memrefs become loops: the leading parallel dimensions one
/// scf.parallel, the others scf.for. Where all are parallel the last one is kept for
/// vectors, unless `parallelInnermost`. Returns how many operations there were in `root`.
mlir::FailureOr<int64_t> lowerToLoops(mlir::Operation *root, bool parallelInnermost = false);

/// Public functions become QrtEntry. Private ones get the call frame {QrtApi*,
/// QrtContext*, i64 status} as first argument. Allocations, parameters, qrt_fail,
/// qrt_require and qrt_errors become uses of the runtime; after a call that failed, and when
/// there is no memory, functions release what they hold and return. Returns how many entry
/// points there are.
mlir::FailureOr<int64_t> lowerAbi(mlir::ModuleOp module);

/// Every gpu.launch_func becomes a call of QrtApi::launch, which knows the kernel by
/// its number (listKernels); the gpu.modules go. Returns how many launches there were.
mlir::FailureOr<int64_t> lowerLaunches(mlir::ModuleOp module);

/// The body of every outermost scf.parallel becomes a QrtTask. Returns how many there are.
mlir::FailureOr<int64_t> outlineTasks(mlir::ModuleOp module);

/// math operations become arithmetic: no call of libm, the same result for the
/// same level in every place, f32 within about two units in the last place.
void expandMath(mlir::ModuleOp module);

/// Makes of expand_shape what upstream lowers to LLVM, and moves buffers of a known size to
/// the beginning of their function.
void prepareForLlvm(mlir::ModuleOp module);

/// Adds the passes that lower what prepareForLlvm() leaves to the LLVM dialect: host code, and
/// the functions of simulated threads.
void addLlvmLowering(mlir::OpPassManager &passes);

struct ObjectOptions {
  /// None for code that is to be there soon and runs seldom.
  llvm::CodeGenOptLevel effort = llvm::CodeGenOptLevel::Aggressive;
  /// Accesses of memory are announced to ThreadSanitizer.
  bool detectRaces = false;
};

/// LLVM dialect to the bytes of an object file.
mlir::FailureOr<std::vector<char>> emitObject(mlir::ModuleOp module, const HostLevel &level,
                                              const ObjectOptions &options = {});

/// One object file to a shared object; without imports unless `mayImport`.
mlir::FailureOr<std::vector<char>> linkShared(mlir::Location loc, llvm::ArrayRef<char> object, bool mayImport = false);

} // namespace qopt::host

#endif // QOPT_CODEGEN_HOST_STEPS_H
