#include "CudaSections.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "qopt/Codegen/Codegen.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Dialect/Qopt/Qopt.h"

#include <map>

using namespace mlir;
using namespace qopt;

/// All memory is the device's, so what is left of the functions must not touch it.
static LogicalResult checkHostFunctions(ModuleOp module) {
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    WalkResult result = function.walk([](Operation *op) {
      auto memory = dyn_cast<MemoryEffectOpInterface>(op);
      if (!memory || !(memory.hasEffect<MemoryEffects::Read>() || memory.hasEffect<MemoryEffects::Write>()) ||
          isa<gpu::LaunchFuncOp, RequireOp, FailOp>(op))
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
    auto arch = function->getAttrOfType<StringAttr>(kArchAttr);
    kernels.push_back({function.getName().str(), sharedBytes ? sharedBytes.getInt() : 0, {}, arch ? arch.str() : ""});
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
  // PTX for one architecture serves its cubin, too, and a driver where there is no cubin.
  std::map<std::string, std::string> texts;
  auto ptx = [&](const std::string &arch) -> FailureOr<StringRef> {
    auto [at, isNew] = texts.try_emplace(arch);
    if (isNew) {
      FailureOr<std::string> text = compilePtx(*copy, arch);
      if (failed(text))
        return failure();
      at->second = std::move(*text);
    }
    return StringRef(at->second);
  };
  SmallVector<std::pair<std::string, std::string>> textSections{{"ptx", kBaselineChip.str()}};
  for (const KernelInfo &kernel : result.kernels)
    if (std::pair section("ptx:" + kernel.arch, kernel.arch);
        !kernel.arch.empty() && !llvm::is_contained(textSections, section))
      textSections.push_back(section);
  for (const auto &[name, arch] : textSections) {
    FailureOr<StringRef> text = ptx(arch);
    if (failed(text))
      return failure();
    result.sections.emplace_back(name, std::vector<char>(text->begin(), text->end()));
  }
  for (const std::string &arch : archs) {
    FailureOr<StringRef> text = ptx(arch);
    if (failed(text))
      return failure();
    FailureOr<Cubin> cubin = compileCubin(module.getLoc(), *text, arch);
    if (failed(cubin))
      return failure();
    result.sections.emplace_back("cubin:" + arch, std::move(cubin->bytes));
    for (KernelInfo &kernel : result.kernels)
      if (auto use = cubin->kernels.find(kernel.name); use != cubin->kernels.end())
        kernel.resources.push_back({arch, use->second.registers, use->second.spilledBytes});
  }
  FailureOr<std::vector<char>> sim = compileSim(*copy);
  if (failed(sim))
    return failure();
  result.sections.emplace_back("sim", std::move(*sim));
  return result;
}
