//===- PassRunner.h - Passes of one compilation ---------------------------===//
//
// The one place where the driver makes pass managers.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_PASSRUNNER_H
#define QOPT_LIB_DRIVER_PASSRUNNER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "qopt/Driver/CompileOptions.h"
#include "qopt/Support/Result.h"

namespace qopt {

/// Runs passes so that MLIR's debugging options (--mlir-print-ir-after-all, --mlir-timing,
/// --mlir-pass-pipeline-crash-reproducer, ...) reach all phases. There is one timing
/// report for all, at the end of the object's life.
class PassRunner {
public:
  explicit PassRunner(const CompileOptions &options);

  /// Runs the passes that `build` adds, under the name `phase` in the timing report.
  /// Warnings go to options.onWarning. An error names the model and, where known, the node.
  Status run(mlir::ModuleOp module, llvm::StringRef phase, llvm::function_ref<Status(mlir::OpPassManager &)> build);

  /// For what takes time outside of passes.
  mlir::TimingScope &timing() { return all; }

private:
  const CompileOptions &options;
  mlir::DefaultTimingManager manager;
  mlir::TimingScope all;
};

} // namespace qopt

#endif // QOPT_LIB_DRIVER_PASSRUNNER_H
