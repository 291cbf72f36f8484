//===- Compilation.h - The state of one compilation -----------------------===//
//
// The context, the IR and what was read beside the model. A phase is a method, or passes
// alone; Driver.cpp has the table of them and the loop over it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_COMPILATION_H
#define QOPT_LIB_DRIVER_COMPILATION_H

#include "Configuration.h"
#include "ModelFiles.h"
#include "PassRunner.h"
#include "RemarkCollector.h"
#include "qopt/Driver/Driver.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt {

struct PhaseInfo;

/// One compilation: the context, the IR and what was read beside the model.
class Compilation {
public:
  /// `onlyAssigns`: of the pipeline, only that every layer gets its scheme.
  explicit Compilation(const CompileOptions &given, bool onlyAssigns = false);

  /// Runs the phases up to `last` and says what came out.
  Result<CompileReport> run(Phase last);

  // The phases.
  Status import();
  Status raise();
  Status quantize();
  Status write();

private:
  Status run(const PhaseInfo &phase);
  /// Runs the passes that a text names, or of them only those called `only`.
  Status runPipeline(llvm::StringRef phase, const std::string &pipeline, const std::string &compat = "",
                     llvm::StringRef only = "");
  void forwardRemarks();
  /// The model's entry point; null where passes took it away.
  mlir::func::FuncOp forward() { return module->lookupSymbol<mlir::func::FuncOp>("forward"); }

  CompileOptions options;
  bool onlyAssigns;
  RemarkCollector remarks;
  mlir::MLIRContext context;
  PassRunner passes;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  TokenizerFile tokenizer;
  Configuration configuration;
  int64_t vocabularySize = 0;
  CompileReport report;
};

} // namespace qopt

#endif // QOPT_LIB_DRIVER_COMPILATION_H
