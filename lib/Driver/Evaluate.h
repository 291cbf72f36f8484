//===- Evaluate.h - Float against quantized, both as compiled -------------===//
//
// What `--eval` does once the module is written.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_EVALUATE_H
#define QOPT_LIB_DRIVER_EVALUATE_H

#include "qopt/Driver/Driver.h"

namespace qopt {

/// Runs options.output beside the float model, which is compiled for it, on
/// options.evaluation.
Result<Evaluation> evaluateModel(const CompileOptions &options);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_EVALUATE_H
