//===- qopt-lsp-server.cpp - Serves editors .mlir with qopt's dialects ----===//
//
// Editors get completion, definitions and diagnostics for .mlir files with our dialects.
//
//===----------------------------------------------------------------------===//
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "qopt/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::registerAllPasses();
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
