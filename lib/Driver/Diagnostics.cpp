//===- Diagnostics.cpp - MLIR's diagnostics as one line -------------------===//
//
// Locations of imported operations are names of nodes; those of IR that was read are places
// in its text.
//
//===----------------------------------------------------------------------===//
#include "Diagnostics.h"
#include "mlir/IR/Location.h"
#include "qopt/Support/Utf8.h"

using namespace mlir;
using namespace qopt;

std::string qopt::firstLine(const std::string &text) {
  size_t begin = text.find_first_not_of('\n');
  return begin == std::string::npos ? std::string() : text.substr(begin, text.find('\n', begin) - begin);
}

std::string qopt::describeLocation(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return name.getName().str();
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (std::string text = describeLocation(part); !text.empty())
        return text;
  if (auto line = dyn_cast<FileLineColLoc>(location); line && line.getLine() > 0) // else the whole file
    return std::to_string(line.getLine()) + ":" + std::to_string(line.getColumn());
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return describeLocation(call.getCallee());
  return {};
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context, std::string file)
    : file(printable(file)), handler(&context, [this](Diagnostic &diagnostic) {
        std::string where = describeLocation(diagnostic.getLocation());
        std::string line =
            this->file + ": " + (where.empty() ? "" : printable(where) + ": ") + printable(firstLine(diagnostic.str()));
        std::lock_guard lock(mutex);
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
          if (firstError.empty())
            firstError = line;
        } else if (diagnostic.getSeverity() == DiagnosticSeverity::Warning) {
          warnings.push_back(line);
        }
        return success();
      }) {}

Error DiagnosticCollector::error(const std::string &fallback) const {
  return {firstError.empty() ? file + ": " + fallback : firstError};
}

void DiagnosticCollector::forwardWarnings(const std::function<void(const std::string &)> &onWarning) const {
  if (onWarning)
    for (const std::string &warning : warnings)
      onWarning(warning);
}
