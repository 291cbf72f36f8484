//===- Lower.h - From a graph to what host code is made of ----------------===//
//
// Calibration and the driver lower modules in the same way, and both need what the
// result looks like to a caller.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_H
#define QOPT_PASSES_LOWER_H

#include "mlir/Support/Timing.h"
#include "qopt/Codegen/Codegen.h"
#include "qopt/Passes/Passes.h"

namespace qopt {

/// Runs the pipeline `qopt-lower` on `module` (the onnx and qopt dialects) and
/// says what compileHost's code of it has for entry points and parameters. Every
/// public function is an entry point; all share one parameter table.
mlir::FailureOr<LoweredModule> lowerModule(mlir::ModuleOp module, mlir::TimingScope timing = {});

} // namespace qopt

#endif // QOPT_PASSES_LOWER_H
