//===- SimDevice.cpp - Kernels run by the simulator -----------------------===//
//
// Its memory is memory of the host, and a launch is done when launch() returns.
//
//===----------------------------------------------------------------------===//
#include "Device.h"
#include "qopt/Runtime/Sim.h"
#include "qopt/Support/Targets.h"
#include <cstdlib>
#include <cstring>

using namespace qrt;
using qopt::Error;

namespace {
class SimDevice final : public Device {
public:
  SimDevice(ThreadPool &threads, std::string arch)
      : arch(std::move(arch)),
        label(std::string(qopt::deviceKindName(qopt::DeviceKind::Sim)) + (this->arch.empty() ? "" : ":" + this->arch)),
        threads(threads) {}

  const std::string &name() const override { return label; }
  const std::string &description() const override { return details; }
  Result<std::string> load(const qopt::Module &module) override;
  Status enter() override { return {}; }
  Result<void *> allocate(int64_t bytes) override {
    return std::aligned_alloc(256, (static_cast<size_t>(bytes) + 256) / 256 * 256);
  }
  void release(void *memory) override { std::free(memory); }
  int64_t freeBytes() override { return -1; }
  Status upload(void *to, const void *from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return {};
  }
  Status download(void *to, const void *from, int64_t bytes) override { return upload(to, from, bytes); }
  int64_t capability() override {
    return arch == qopt::kHopperArch ? qopt::kHopperCapability : qopt::kBaselineCapability;
  }
  Status tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) override {
    return simTensorMap(map, data, rows, rowBytes, boxRows);
  }
  Status launch(const QrtLaunch &launch, void *const *args) override;
  Status synchronize() override { return {}; }

private:
  const std::string arch, label;
  std::string details;
  ThreadPool &threads;
  std::shared_ptr<const HostCode> code;
  std::vector<SimLaunch> kernels; // all but the sizes
};
} // namespace

Result<std::string> SimDevice::load(const qopt::Module &module) {
  Result<std::shared_ptr<const HostCode>> loaded = HostCode::load(module.section(qopt::kSimSection));
  if (!loaded)
    return loaded.error();
  code = std::move(*loaded);
  for (const qopt::KernelInfo &kernel : module.info().kernels) {
    SimLaunch &launch = kernels.emplace_back();
    launch.name = kernel.name;
    if (!kernel.arch.empty() && kernel.arch != arch)
      continue;
    launch.kernel = reinterpret_cast<QrtSimKernel>(code->symbol(kernel.name));
    if (!launch.kernel)
      return Error{"the section sim lacks the kernel " + kernel.name + " of the module's table"};
    if (kernel.sharedBytes > kSimMaxSharedBytes)
      return Error{"kernel " + kernel.name + " needs " + std::to_string(kernel.sharedBytes) +
                   " bytes of shared memory, but the simulator has " + std::to_string(kSimMaxSharedBytes)};
  }
  details = std::to_string(threads.size()) + " threads";
  return std::string(qopt::kSimSection);
}

Status SimDevice::launch(const QrtLaunch &launch, void *const *args) {
  SimLaunch sim = kernels[static_cast<size_t>(launch.kernel)];
  if (!sim.kernel)
    return Error{"the code of the module launches kernel " + sim.name + ", which " + label + " lacks"};
  sim.grid = std::to_array(launch.grid);
  sim.block = std::to_array(launch.block);
  sim.sharedBytes = launch.sharedBytes;
  sim.args = args;
  return simLaunch(sim, threads);
}

std::unique_ptr<Device> qrt::makeSimDevice(ThreadPool &threads, std::string arch) {
  return std::make_unique<SimDevice>(threads, std::move(arch));
}
