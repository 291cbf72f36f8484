//===- Compile.cpp - Pipelines for code, and what writes the rest ----------===//
//
// Code is made of a copy of the lowered module, once for each kind: of all of it for a host,
// of the gpu.modules alone for a device.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Verifier.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Dialect/Cancellation.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt;

LogicalResult qopt::runPipeline(ModuleOp module, TimingScope &timing, function_ref<void(OpPassManager &)> build) {
  PassManager passes(module.getContext());
#ifdef NDEBUG
  // Kernels are tens of thousands of operations: looking at all of them after each of twenty
  // passes takes two fifths of the time.
  passes.enableVerifier(false);
#endif
  // Fails where no tool has registered such options: then there are none to apply.
  (void)applyPassManagerCLOptions(passes);
  passes.enableTiming(timing);
  build(passes);
  return failure(failed(passes.run(module)) || isCancelled(*module.getContext()) || failed(verify(module)));
}

/// Only the device's part is worth a copy.
static OwningOpRef<ModuleOp> copyKernels(ModuleOp module) {
  OwningOpRef<ModuleOp> copy(ModuleOp::create(module.getLoc()));
  OpBuilder b = OpBuilder::atBlockEnd(copy->getBody());
  for (auto kernels : module.getOps<gpu::GPUModuleOp>())
    b.clone(*kernels);
  return copy;
}

/// The text is read by the runtime, which compares it with what a module declares.
static void addSignature(ModuleOp module, StringRef signature) {
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  StringAttr text = b.getStringAttr(signature + Twine('\0'));
  LLVM::GlobalOp::create(b, module.getLoc(), LLVM::LLVMArrayType::get(b.getI8Type(), text.size()), /*isConstant=*/true,
                         LLVM::Linkage::External, "qrt_signature", text);
}

FailureOr<std::vector<char>> qopt::compileHost(ModuleOp module, const HostLevel &level, StringRef signature,
                                               TimingScope timing) {
  OwningOpRef<ModuleOp> copy(module.clone());
  if (failed(runPipeline(*copy, timing, [&](OpPassManager &pm) { buildHostPipeline(pm, level.name); })))
    return failure();
  if (!signature.empty())
    addSignature(*copy, signature);
  TimingScope emission = timing.nest("emit object");
  FailureOr<std::vector<char>> object = host::emitObject(*copy, level);
  emission.stop();
  if (failed(object))
    return failure();
  TimingScope link = timing.nest("link");
  return host::linkShared(module.getLoc(), *object);
}

LogicalResult qopt::emitKernelsForCuda(ModuleOp module, TimingScope timing) {
  return runPipeline(module, timing, [](OpPassManager &pm) { pm.addPass(createEmitCudaKernels()); });
}

FailureOr<OwningOpRef<ModuleOp>> qopt::lowerKernels(ModuleOp module, TimingScope timing) {
  OwningOpRef<ModuleOp> copy = copyKernels(module);
  if (failed(runPipeline(*copy, timing, [](OpPassManager &pm) { buildPtxPipeline(pm, /*chip=*/""); })))
    return failure();
  return copy;
}

FailureOr<std::string> qopt::emitPtx(ModuleOp kernels, StringRef chip, TimingScope timing) {
  OwningOpRef<ModuleOp> copy(kernels.clone());
  SelectKernelsOptions select;
  select.chip = chip.str();
  if (failed(runPipeline(*copy, timing, [&](OpPassManager &pm) { pm.addPass(createSelectKernels(select)); })))
    return failure();
  TimingScope emission = timing.nest("emit PTX");
  return translateToPtx(*copy, chip);
}

FailureOr<std::string> qopt::compilePtx(ModuleOp module, StringRef chip) {
  FailureOr<OwningOpRef<ModuleOp>> kernels = lowerKernels(module);
  if (failed(kernels))
    return failure();
  return emitPtx(**kernels, chip);
}

FailureOr<std::vector<char>> qopt::compileSim(ModuleOp module, bool detectRaces, TimingScope timing) {
  OwningOpRef<ModuleOp> copy = copyKernels(module);
  if (failed(runPipeline(*copy, timing, buildSimPipeline)))
    return failure();
  TimingScope emission = timing.nest("emit and link object");
  return emitSim(*copy, detectRaces);
}
