//===- standalone-opt.cpp - mlir-opt with qopt and an own dialect ---------===//
//
// Registers what qopt has beside what this project has.
//
//===----------------------------------------------------------------------===//
#include "Standalone.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "qopt/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::registerAllPasses();
  registry.insert<standalone::StandaloneDialect>();
  standalone::registerStandalonePasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "standalone optimizer\n", registry));
}
