//===- WriteModule.h - Lowered IR to files --------------------------------===//
//
// The last phase: code for every target, the weights, the tokenizer and the header go
// into one file.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_WRITEMODULE_H
#define QOPT_LIB_DRIVER_WRITEMODULE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/Timing.h"
#include "qopt/Driver/Driver.h"
#include "qopt/Module/Module.h"
#include <string_view>

namespace qopt {

/// What a module holds besides code and weights.
struct ModuleContents {
  std::string model, pipeline;
  int64_t contextLength = 0, vocabularySize = 0;
  TextFacts text;
  std::vector<LayerReport> layers;
  std::string_view tokenizer; ///< text of tokenizer.json; empty when there is none
};

struct WrittenBytes {
  int64_t file = 0, weights = 0;
};

/// Generates code of a lowered module for all targets asked for and writes options.output.
/// `timing` gets what each step takes.
Result<WrittenBytes> writeModule(mlir::ModuleOp module, const ModuleContents &contents, const CompileOptions &options,
                                 mlir::TimingScope &timing);

/// Writes .mlirbc as bytecode, everything else as text; weights included.
Status writeIr(mlir::ModuleOp module, const std::string &path);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_WRITEMODULE_H
