//===- CompiledRunner.h - Stages as host code of this machine -------------===//
//
// It stands with the passes because it lowers stages with their pipeline.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_QUANTIZE_COMPILEDRUNNER_H
#define QOPT_PASSES_QUANTIZE_COMPILEDRUNNER_H

#include "qopt/Calibration/StageRunner.h"

namespace qopt {

/// Lowers `module` by the pipeline that modules are made with, compiles it for the
/// best level of this machine and loads it: what is measured is what will run.
mlir::FailureOr<std::unique_ptr<StageRunner>> createCompiledRunner(mlir::ModuleOp module, qrt::ThreadPool &threads);

/// What the driver computes activations with, else compiled code.
StageRunnerFactory chooseRunner(mlir::MLIRContext &context);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_COMPILEDRUNNER_H
