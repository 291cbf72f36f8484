//===- ReportFiles.h - The files beside a module --------------------------===//
//
// Which files a compilation writes and reads at its end, and that they can be.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_REPORTFILES_H
#define QOPT_LIB_DRIVER_REPORTFILES_H

#include "qopt/Driver/Driver.h"

namespace qopt {

/// What must not fail after hours of work: text to evaluate on that is not there,
/// results that cannot be written.
Status checkFiles(const CompileOptions &options);

/// Whether no output is one of the files that are mapped since they were `before`
/// (mappedFiles()): those that the model names.
Status checkOutputs(const CompileOptions &options, std::vector<std::string> before);

/// Writes options.report and options.log, where given.
Status writeReports(const CompileReport &report, const CompileOptions &options);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_REPORTFILES_H
