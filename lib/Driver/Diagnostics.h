//===- Diagnostics.h - MLIR's diagnostics as one line ---------------------===//
//
// What passes report, as lines for the user: errors and warnings, and remarks.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_DIAGNOSTICS_H
#define QOPT_LIB_DRIVER_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "qopt/Support/Result.h"
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace qopt {

std::string firstLine(const std::string &text);

/// The node's name, or line and column of a .mlir file; empty when neither is known.
std::string describeLocation(mlir::Location location);

/// Collects what passes report while it lives: the first error becomes the one
/// line that the user sees, with the file and, where known, the node.
class DiagnosticCollector {
public:
  DiagnosticCollector(mlir::MLIRContext &context, std::string file);

  /// "FILE: node: message" of the first error, or `fallback`.
  Error error(const std::string &fallback) const;
  void forwardWarnings(const std::function<void(const std::string &)> &onWarning) const;

private:
  std::string file, firstError;
  std::vector<std::string> warnings;
  std::mutex mutex;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace qopt

#endif // QOPT_LIB_DRIVER_DIAGNOSTICS_H
