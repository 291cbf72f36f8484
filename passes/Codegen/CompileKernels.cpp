//===- CompileKernels.cpp - Pipelines for kernels, and what writes the rest -===//
//
// Kernels are compiled in a copy of their gpu.modules, once for each kind of code.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt;

/// Runs a pipeline as a tool's options of MLIR say; without such options, plainly.
static LogicalResult runPipeline(ModuleOp module, llvm::function_ref<void(OpPassManager &)> build) {
  PassManager passes(module.getContext());
  (void)applyPassManagerCLOptions(passes);
  build(passes);
  return passes.run(module);
}

/// Only the device's part is worth a copy.
static OwningOpRef<ModuleOp> copyKernels(ModuleOp module) {
  OwningOpRef<ModuleOp> copy(ModuleOp::create(module.getLoc()));
  OpBuilder b = OpBuilder::atBlockEnd(copy->getBody());
  for (auto kernels : module.getOps<gpu::GPUModuleOp>())
    b.clone(*kernels);
  return copy;
}

LogicalResult qopt::emitKernelsForCuda(ModuleOp module) {
  return runPipeline(module, [](OpPassManager &pm) { pm.addPass(createEmitCudaKernels()); });
}

FailureOr<std::string> qopt::compilePtx(ModuleOp module, StringRef chip) {
  OwningOpRef<ModuleOp> copy = copyKernels(module);
  if (failed(runPipeline(*copy, [&](OpPassManager &pm) { buildPtxPipeline(pm, chip); })))
    return failure();
  return translateToPtx(*copy, chip);
}

FailureOr<std::vector<char>> qopt::compileSim(ModuleOp module, bool detectRaces) {
  OwningOpRef<ModuleOp> copy = copyKernels(module);
  if (failed(runPipeline(*copy, buildSimPipeline)))
    return failure();
  return emitSim(*copy, detectRaces);
}
