//===- Compiler.h - A compiler that forgets now and then ------------------===//
//
// A context keeps all attributes that it ever saw, and takes longer to make than most
// inputs to be refused: so one serves for some hundred of them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_FUZZ_COMPILER_H
#define QOPT_TEST_FUZZ_COMPILER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/InitAll.h"
#include "qopt/Passes/Passes.h"
#include <cstdlib>
#include <memory>
#include <string>

namespace qopt::fuzz {

/// A context with all dialects, without threads and deaf to diagnostics. Now and then it is a new one: no module of the
/// one before may be alive, so a run asks once.
inline mlir::MLIRContext &context() {
  static std::unique_ptr<mlir::MLIRContext> current;
  static int uses = 0;
  if (!current || ++uses % 256 == 0) {
    registerAllPasses();
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    current = std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
    current->loadAllAvailableDialects();
    current->getDiagEngine().registerHandler([](mlir::Diagnostic &) { return mlir::success(); });
  }
  return *current;
}

/// What a fuzzer returns for a model that is refused, which takes one line.
inline int requireOneLine(const std::string &error) {
  if (error.empty() || error.find('\n') != std::string::npos)
    std::abort();
  return 0;
}

/// Runs what `pipeline` names. What it says of the module does not matter, only that it ends.
inline void run(mlir::ModuleOp module, llvm::StringRef pipeline) {
  mlir::PassManager passes(module.getContext());
  if (parsePipeline(passes, pipeline))
    (void)passes.run(module);
}

} // namespace qopt::fuzz

#endif // QOPT_TEST_FUZZ_COMPILER_H
