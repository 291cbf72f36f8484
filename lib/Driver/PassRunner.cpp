//===- PassRunner.cpp - Passes of one compilation -------------------------===//
//
// MLIR keeps its debugging options in global variables of LLVM's command line; they may
// only be looked at where a tool has registered and parsed them.
//
//===----------------------------------------------------------------------===//
#include "PassRunner.h"
#include "Diagnostics.h"

using namespace mlir;
using namespace qopt;

PassRunner::PassRunner(const CompileOptions &options) : options(options) {
  if (options.mlirOptions)
    applyDefaultTimingManagerCLOptions(manager);
  // Without --mlir-timing this is an empty scope, and so are all nested in it.
  all = manager.getRootScope();
}

Status PassRunner::run(ModuleOp module, StringRef phase, function_ref<Status(OpPassManager &)> build) {
  DiagnosticCollector diagnostics(*module.getContext(), options.model);
  PassManager passes(module.getContext());
  if (options.mlirOptions && failed(applyPassManagerCLOptions(passes)))
    return diagnostics.error("cannot apply the MLIR options");
  if (Status status = build(passes); !status)
    return status;
  TimingScope scope = all.nest(phase);
  passes.enableTiming(scope);
  if (failed(passes.run(module)))
    return diagnostics.error("a pass failed");
  diagnostics.forwardWarnings(options.onWarning);
  return {};
}
