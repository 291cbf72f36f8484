//===- LowerModule.cpp - A graph to functions and a parameter table -------===//
//
// The pipeline is run as any other; only its result is described for callers.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/Transforms/FuncBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Passes/Lower.h"

using namespace mlir;
using namespace qopt;

void qopt::registerLowerInterfaces(DialectRegistry &registry) {
  arith::registerBufferizableOpInterfaceExternalModels(registry);
  bufferization::func_ext::registerBufferizableOpInterfaceExternalModels(registry);
  kernel::registerBufferization(registry);
  linalg::registerBufferizableOpInterfaceExternalModels(registry);
  scf::registerBufferizableOpInterfaceExternalModels(registry);
  tensor::registerBufferizableOpInterfaceExternalModels(registry);
}

FailureOr<LoweredModule> qopt::lowerModule(ModuleOp module, TimingScope timing) {
  if (failed(runPipeline(module, timing, [](OpPassManager &pm) { buildLowerPipeline(pm); })))
    return failure();
  return describeLoweredModule(module);
}
