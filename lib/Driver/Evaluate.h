//===- Evaluate.h - Float against quantized, both as compiled -------------===//
//
// What `--eval` does before the module is put in place.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_EVALUATE_H
#define QOPT_LIB_DRIVER_EVALUATE_H

#include "qopt/Driver/Driver.h"

namespace qopt {

/// Runs options.output beside the float model, which is compiled for it, on
/// options.evaluation.
Result<Evaluation> evaluateModel(const CompileOptions &options);

/// Why the limits of `options` refuse what was measured; empty where they do not.
std::string whyRefused(const Evaluation &evaluation, const CompileOptions &options);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_EVALUATE_H
