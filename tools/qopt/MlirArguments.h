//===- MlirArguments.h - MLIR's own debugging options ---------------------===//
//
// --mlir-print-ir-after-all, --mlir-timing and the like, which MLIR registers and reads itself.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TOOLS_QOPT_MLIRARGUMENTS_H
#define QOPT_TOOLS_QOPT_MLIRARGUMENTS_H

#include "qopt/Driver/CompileOptions.h"
#include "qopt/Support/Result.h"

namespace qopt {

/// Takes MLIR's arguments out of the command line, into `mlirArguments`; gives the rest.
std::vector<const char *> takeMlirArguments(int argc, char **argv, std::vector<std::string> &mlirArguments);

/// Hands them to LLVM's parser, which keeps them in global variables, and tells the compilation.
Status applyMlirArguments(const std::vector<std::string> &mlirArguments, CompileOptions &options);

} // namespace qopt

#endif // QOPT_TOOLS_QOPT_MLIRARGUMENTS_H
