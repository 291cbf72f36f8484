//===- Reproducer.h - Pipelines that replay elsewhere ---------------------===//
//
// What MLIR writes of a pipeline that failed is its text and the IR; what passes get from the
// driver beside these has to be in the text.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_REPRODUCER_H
#define QOPT_LIB_DRIVER_REPRODUCER_H

#include "mlir/Pass/PassManager.h"
#include "qopt/Driver/CompileOptions.h"
#include "qopt/Support/Result.h"

namespace qopt {

/// Where a reproducer was asked for: gives passes the overrides and the calibration data as
/// options, the latter in a file beside the reproducer, "REPRODUCER.calibration.npy". Windows of
/// different lengths cannot be in one: a warning.
Status makeReplayable(mlir::OpPassManager &passes, const CompileOptions &options, mlir::MLIRContext &context);

/// Removes that file, when the passes are done and nothing is to be replayed.
Status removeReplayed(const CompileOptions &options);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_REPRODUCER_H
