#include "CudaSections.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "qopt/Codegen/Codegen.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Codegen/Sim.h"

using namespace mlir;
using namespace qopt;

/// All memory is the device's, so what is left of the functions must not touch it.
static LogicalResult checkHostFunctions(ModuleOp module) {
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    WalkResult result = function.walk([](Operation *op) {
      auto memory = dyn_cast<MemoryEffectOpInterface>(op);
      if (!memory || !(memory.hasEffect<MemoryEffects::Read>() || memory.hasEffect<MemoryEffects::Write>()) ||
          isa<gpu::LaunchFuncOp>(op))
        return WalkResult::advance();
      op->emitError() << "'" << op->getName() << "' reads or writes memory of the GPU outside of a kernel";
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return failure();
  }
  return success();
}

static std::vector<KernelInfo> describeKernels(ModuleOp module) {
  std::vector<KernelInfo> kernels;
  for (gpu::GPUFuncOp function : listKernels(module)) {
    auto sharedBytes = function->getAttrOfType<IntegerAttr>(kSharedBytesAttr);
    kernels.push_back({function.getName().str(), sharedBytes ? sharedBytes.getInt() : 0, {}});
  }
  return kernels;
}

FailureOr<CudaSections> qopt::compileCudaSections(ModuleOp module, ArrayRef<std::string> archs) {
  if (!archs.empty() && findPtxas().empty())
    return module.emitError("--cuda-arch needs ptxas of the CUDA toolkit, which is neither in $PATH nor in "
                            "$CUDA_HOME/bin or /usr/local/cuda/bin");
  OwningOpRef<ModuleOp> copy(module.clone());
  if (failed(emitCudaKernels(*copy)) || failed(checkHostFunctions(*copy)))
    return failure();
  CudaSections result;
  result.kernels = describeKernels(*copy);
  FailureOr<std::vector<char>> host = compileHost(*copy, "x86-64-v3");
  if (failed(host))
    return failure();
  result.sections.emplace_back("host:cuda", std::move(*host));
  FailureOr<std::string> ptx = compilePtx(*copy, kBaselineChip);
  if (failed(ptx))
    return failure();
  result.sections.emplace_back("ptx", std::vector<char>(ptx->begin(), ptx->end()));
  for (const std::string &arch : archs) {
    FailureOr<std::string> text = compilePtx(*copy, arch);
    if (failed(text))
      return failure();
    FailureOr<Cubin> cubin = compileCubin(module.getLoc(), *text, arch);
    if (failed(cubin))
      return failure();
    result.sections.emplace_back("cubin:" + arch, std::move(cubin->bytes));
    for (KernelInfo &kernel : result.kernels) {
      const KernelResources use = cubin->kernels.lookup(kernel.name);
      kernel.resources.push_back({arch, use.registers, use.spilledBytes});
    }
  }
  FailureOr<std::vector<char>> sim = compileSim(*copy);
  if (failed(sim))
    return failure();
  result.sections.emplace_back("sim", std::move(*sim));
  return result;
}
