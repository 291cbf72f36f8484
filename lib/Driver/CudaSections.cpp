//===- CudaSections.cpp - Sections for GPUs and their simulator -----------===//
//
// PTX, cubins and code for the simulator come from the same kernels; a table says how
// each is launched.
//
//===----------------------------------------------------------------------===//
#include "CudaSections.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Support/Targets.h"

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
    auto sharedBytes = getAttr<attrs::SharedBytes>(function);
    auto arch = getAttr<attrs::Arch>(function);
    kernels.push_back({function.getName().str(), sharedBytes ? sharedBytes.getInt() : 0, {}, arch ? arch.str() : ""});
  }
  return kernels;
}

namespace {

/// Text for GPUs: PTX for each architecture that needs its own, and what ptxas makes of it.
class TextSections {
public:
  TextSections(ModuleOp module, CudaSections &result, TimingScope &timing)
      : module(module), result(result), timing(timing) {}

  LogicalResult addPtx() {
    if (failed(add(std::string(kPtxSection), kBaselineArch)))
      return failure();
    for (const KernelInfo &kernel : result.kernels)
      if (!kernel.arch.empty() && !texts.count(kernel.arch) && failed(add(ptxSection(kernel.arch), kernel.arch)))
        return failure();
    return success();
  }

  LogicalResult addCubin(const std::string &arch) {
    FailureOr<StringRef> text = ptx(arch);
    if (failed(text))
      return failure();
    FailureOr<Cubin> cubin = compileCubin(module.getLoc(), *text, arch);
    if (failed(cubin))
      return failure();
    result.sections.emplace_back(cubinSection(arch), std::move(cubin->bytes));
    for (KernelInfo &kernel : result.kernels)
      if (auto use = cubin->kernels.find(kernel.name); use != cubin->kernels.end())
        kernel.resources.push_back({arch, use->second.registers, use->second.spilledBytes});
    return success();
  }

private:
  /// PTX for one architecture serves its cubin, too, and a driver where there is no cubin.
  FailureOr<StringRef> ptx(StringRef arch) {
    auto [at, isNew] = texts.try_emplace(arch.str());
    if (isNew) {
      if (!lowered) {
        FailureOr<OwningOpRef<ModuleOp>> kernels = lowerKernels(module, timing.nest("lower kernels"));
        if (failed(kernels))
          return failure();
        lowered = std::move(*kernels);
      }
      FailureOr<std::string> text = emitPtx(*lowered, arch, timing.nest(ptxSection(arch)));
      if (failed(text))
        return failure();
      at->second = std::move(*text);
    }
    return StringRef(at->second);
  }

  LogicalResult add(const std::string &section, StringRef arch) {
    FailureOr<StringRef> text = ptx(arch);
    if (failed(text))
      return failure();
    result.sections.emplace_back(section, std::vector<char>(text->begin(), text->end()));
    return success();
  }

  ModuleOp module;
  CudaSections &result;
  TimingScope &timing;
  OwningOpRef<ModuleOp> lowered;            // kernels, of all architectures
  std::map<std::string, std::string> texts; // by architecture
};

} // namespace

FailureOr<CudaSections> qopt::compileCudaSections(ModuleOp module, ModuleInfo info, const CudaTargets &targets,
                                                  TimingScope &timing) {
  if (!targets.cubins.empty() && findPtxas().empty())
    return module.emitError("--cuda-arch needs ptxas of the CUDA toolkit, which is neither in $PATH nor in "
                            "$CUDA_HOME/bin or /usr/local/cuda/bin");
  OwningOpRef<ModuleOp> copy(module.clone());
  if (failed(emitKernelsForCuda(*copy, timing.nest("emit CUDA kernels"))) || failed(checkHostFunctions(*copy)))
    return failure();
  CudaSections result;
  info.kernels = result.kernels = describeKernels(*copy);
  FailureOr<std::vector<char>> host =
      compileHost(*copy, kHostV3, signatureOf(info, kCudaHostSection), timing.nest(kCudaHostSection));
  if (failed(host))
    return failure();
  result.sections.emplace_back(kCudaHostSection, std::move(*host));
  TextSections texts(*copy, result, timing);
  if (targets.cuda && failed(texts.addPtx()))
    return failure();
  for (const std::string &arch : targets.cubins)
    if (failed(texts.addCubin(arch)))
      return failure();
  if (targets.sim) {
    FailureOr<std::vector<char>> sim = compileSim(*copy, /*detectRaces=*/false, timing.nest(kSimSection));
    if (failed(sim))
      return failure();
    result.sections.emplace_back(kSimSection, std::move(*sim));
  }
  return result;
}
