//===- qopt-lsp-server.cpp - Serves editors .mlir with qopt's dialects ----===//
//
// Editors get completion, definitions and diagnostics for .mlir files with our dialects,
// and completion and explanations for pipelines where such a file says how it is run.
//
//===----------------------------------------------------------------------===//
#include "Editor.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "qopt/InitAll.h"
#include <unistd.h>

/// Options that ask for something else than to speak with an editor: help, or MLIR's form for tests.
static bool isForServerAlone(llvm::StringRef argument) {
  argument = argument.ltrim('-');
  return argument.starts_with("help") || argument == "h" || argument == "version" || argument == "lit-test" ||
         argument.starts_with("input-style");
}

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::registerAllPasses();
  if (llvm::any_of(llvm::drop_begin(llvm::ArrayRef(argv, argc)), isForServerAlone))
    return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
  qopt::lsp::Editor editor;
  bool hasFailed = mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
  editor.finish();
  // The thread that listens to the editor may still do so.
  ::_exit(hasFailed);
}
