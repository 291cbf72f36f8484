//===- Driver.h - One model from file to file -----------------------------===//
//
// What `qopt` does, as a library: import, raise, quantize, lower, generate code,
// write. Everything that the command prints comes back as data.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_DRIVER_H
#define QOPT_DRIVER_DRIVER_H

#include "qopt/Driver/CompileOptions.h"
#include "qopt/Driver/CompileReport.h"
#include "qopt/Support/Result.h"

namespace qopt {

/// Compiles the model, evaluates it and writes the reports, as far as the options ask
/// for it. Errors: one line "FILE[: where]: what, with numbers". On error no output is
/// left and an older file at `output` is untouched; so it is where the report has a refusal.
Result<CompileReport> compileModel(const CompileOptions &options);

/// The linears of a model: name, shape, group, scheme; written to the reports that the
/// options ask for. Does nothing else.
Result<CompileReport> listModelLayers(const CompileOptions &options);

} // namespace qopt

#endif // QOPT_DRIVER_DRIVER_H
