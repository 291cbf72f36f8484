//===- qopt-opt.cpp - mlir-opt with qopt's dialects and passes ------------===//
//
// Runs passes and pipelines on IR. Of MLIR's own passes only those are registered that our
// tests and pipelines name, which keeps linking quick.
//
//===----------------------------------------------------------------------===//
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/InitAll.h"
#include "qopt/Plugins/Plugins.h"
#include "qopt/Support/Tool.h"

int main(int argc, char **argv) {
  if (qopt::Status status = qopt::checkPluginOptions(argc, argv); !status)
    return qopt::reportError("qopt-opt", status.error().message);
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::registerAllPasses();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "qopt optimizer\n", registry));
}
