//===- CudaDevice.cpp - An NVIDIA GPU through its driver ------------------===//
//
// One stream carries everything. A failing kernel is only noticed when something
// waits, so the kernels launched since then are remembered by name; the driver
// waits after each launch, and the name is exact, with CUDA_LAUNCH_BLOCKING=1.
//
//===----------------------------------------------------------------------===//
#include "../Device.h"
#include "ChooseCode.h"
#include "Driver.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace qrt;
using namespace qrt::cuda;
using qopt::Error;
using qopt::KernelInfo;

namespace {

class CudaDevice final : public Device {
public:
  CudaDevice(const Driver &driver, int index) : driver(driver), label("cuda:" + std::to_string(index)) {}
  ~CudaDevice() override;
  Status open(int index);

  const std::string &name() const override { return label; }
  const std::string &description() const override { return model; }
  Result<std::string> load(const qopt::Module &module) override;
  Status enter() override { return check(driver.ctxSetCurrent(context), "use " + label); }
  Result<void *> allocate(int64_t bytes) override;
  void release(void *memory) override;
  int64_t freeBytes() override;
  Status upload(void *to, const void *from, int64_t bytes) override;
  Status download(void *to, const void *from, int64_t bytes) override;
  int64_t capability() override {
    bool hasHopper = qopt::sectionTarget(section) == qopt::kHopperArch && driver.tensorMapEncodeTiled;
    return hasHopper ? qopt::kHopperCapability : qopt::kBaselineCapability;
  }
  Status tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) override;
  Status launch(const QrtLaunch &launch, void *const *args) override;
  Status synchronize() override;
  void *stream() override { return queue; }
  Result<std::unique_ptr<Recording>> record(const std::function<Status()> &launches) override;

private:
  friend class CudaGraph;
  struct Function {
    CUfunction handle = nullptr;
    std::string name;
    int64_t sharedBytes = 0; // that the driver was told of
  };

  /// An error unless `code` is 0. One that ends the context is kept, so that
  /// everything later fails with it.
  Status check(CUresult code, const std::string &doing);
  /// Remembers a launch for messages.
  void noteLaunch(const Function *function);
  /// What the driver may have been doing: the kernels in `launched`.
  std::string describeLaunched() const;
  Status loadImage(std::span<const char> image, const std::string &section);
  Status findFunctions(const std::vector<KernelInfo> &kernels);
  Status reserveShared(Function &function, int64_t bytes);

  const Driver &driver;
  std::string label, model;
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUstream queue = nullptr;
  CUmodule code = nullptr;
  Capability hardware;
  int64_t mostShared = 48 << 10;
  std::string section;                    ///< that `code` is of
  std::vector<Function> functions;        ///< of the module's table; null where `section` lacks it by right
  std::vector<const Function *> launched; // since something waited, each once
  bool waitsAfterLaunch = false;
  Status health;
};

} // namespace

//===----------------------------------------------------------------------===//
// Opening and closing
//===----------------------------------------------------------------------===//

Status CudaDevice::open(int index) {
  if (index < 0 || index >= driver.numDevices)
    return Error{"there is no device " + label + "; this machine has " + std::to_string(driver.numDevices) +
                 " CUDA device" + (driver.numDevices == 1 ? "" : "s")};
  std::string doing = "open " + label;
  char text[256] = {};
  if (Status status = check(driver.deviceGet(&device, index), doing); !status)
    return status;
  for (auto [attribute, value] :
       {std::pair(computeCapabilityMajor, &hardware.major), std::pair(computeCapabilityMinor, &hardware.minor)})
    if (Status status = check(driver.deviceGetAttribute(value, attribute, device), doing); !status)
      return status;
  if (int shared = 0; driver.deviceGetAttribute(&shared, maxSharedBytesOptIn, device) == 0 && shared > 0)
    mostShared = shared;
  if (driver.deviceGetName(text, sizeof text - 1, device) == 0)
    model = qopt::printable(text) + ", ";
  model += hardware.text();
  if (Status status = check(driver.devicePrimaryCtxRetain(&context, device), doing); !status)
    return context = nullptr, status;
  if (Status status = enter(); !status)
    return status;
  const char *blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
  waitsAfterLaunch = blocking && std::strcmp(blocking, "0") != 0 && *blocking;
  return check(driver.streamCreate(&queue, streamNonBlocking), doing);
}

CudaDevice::~CudaDevice() {
  if (!context)
    return;
  driver.ctxSetCurrent(context);
  if (code)
    driver.moduleUnload(code);
  if (queue)
    driver.streamDestroy(queue);
  driver.devicePrimaryCtxRelease(device);
}

Result<std::unique_ptr<Device>> qrt::openCudaDevice(int index) {
  Result<const Driver *> driver = Driver::open();
  if (!driver)
    return driver.error();
  auto device = std::make_unique<CudaDevice>(**driver, index);
  if (Status status = device->open(index); !status)
    return status.error();
  return std::unique_ptr<Device>(std::move(device));
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

Status CudaDevice::check(CUresult result, const std::string &doing) {
  if (!health)
    return health;
  if (result == 0)
    return {};
  // What ends the context was done by a kernel, whoever is told of it.
  bool ends = isSticky(result);
  Error error = driver.explain(result, ends && !launched.empty() ? describeLaunched() : doing);
  if (ends)
    health = error;
  return error;
}

std::string CudaDevice::describeLaunched() const {
  if (launched.size() == 1)
    return "run kernel " + launched[0]->name + " on " + label;
  return "run one of " + std::to_string(launched.size()) + " kernels, " + launched.back()->name + " last, on " + label +
         " (CUDA_LAUNCH_BLOCKING=1 tells which)";
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

Result<std::string> CudaDevice::load(const qopt::Module &module) {
  Result<std::vector<std::string>> sections = chooseCode(module, hardware, label);
  if (!sections)
    return sections.error();
  Status status;
  for (const std::string &name : *sections) {
    status = loadImage(module.section(name), name);
    if (!status && health) // a driver may be too old for the cubin; PTX is left
      continue;
    section = name;
    if (status)
      status = findFunctions(module.info().kernels);
    if (!status)
      return status.error();
    return section;
  }
  return status.error();
}

/// The first line that the driver's compiler wrote.
static std::string firstLine(const char *log) {
  std::string_view text(log);
  size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos)
    return {};
  size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
  return ": " + qopt::printable(std::string(text.substr(begin, end - begin)));
}

Status CudaDevice::loadImage(std::span<const char> image, const std::string &section) {
  // PTX is a C string for the driver.
  std::string text(qopt::isPtxSection(section) ? std::string(image.begin(), image.end()) : std::string());
  char log[4096] = {};
  int options[] = {jitErrorLogBuffer, jitErrorLogBufferBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log - 1)};
  CUresult result = driver.moduleLoadDataEx(&code, text.empty() ? image.data() : text.c_str(), 2, options, values);
  if (result == 0)
    return {};
  code = nullptr;
  Error error =
      driver.explain(result, "load the section " + qopt::printable(section) + " on " + label + " (" + model + ")");
  log[sizeof log - 1] = 0;
  error.message += firstLine(log);
  if (isSticky(result))
    health = error;
  return error;
}

Status CudaDevice::findFunctions(const std::vector<KernelInfo> &kernels) {
  for (const KernelInfo &kernel : kernels) {
    Function function{nullptr, kernel.name, 48 << 10};
    if (!kernel.arch.empty() && kernel.arch != qopt::sectionTarget(section)) {
      functions.push_back(std::move(function));
      continue;
    }
    CUresult result = driver.moduleGetFunction(&function.handle, code, kernel.name.c_str());
    if (result == errorNotFound)
      return Error{"the section " + section + " lacks the kernel " + kernel.name + " of the module's table"};
    if (Status status = check(result, "get kernel " + kernel.name + " on " + label); !status)
      return status;
    if (Status status = reserveShared(function, kernel.sharedBytes); !status)
      return status;
    functions.push_back(std::move(function));
  }
  return {};
}

/// More than 48 KiB of dynamic shared memory has to be asked for.
Status CudaDevice::reserveShared(Function &function, int64_t bytes) {
  if (bytes > mostShared)
    return Error{"kernel " + function.name + " needs " + std::to_string(bytes) + " bytes of shared memory, but " +
                 label + " (" + model + ") has " + std::to_string(mostShared)};
  if (bytes <= function.sharedBytes)
    return {};
  function.sharedBytes = bytes;
  return check(driver.funcSetAttribute(function.handle, maxDynamicSharedBytes, static_cast<int>(bytes)),
               "reserve " + std::to_string(bytes) + " bytes of shared memory for kernel " + function.name + " on " +
                   label);
}

Status CudaDevice::tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) {
  if (capability() < 90)
    return Error{"the code of the module describes tensors for kernels that the section " + section + " lacks"};
  const uint64_t pitch = static_cast<uint64_t>(rowBytes), sizes[] = {pitch, static_cast<uint64_t>(rows)};
  const uint32_t box[] = {128, static_cast<uint32_t>(boxRows)}, steps[] = {1, 1};
  CUresult result = driver.tensorMapEncodeTiled(map, tensorMapUint8, 2, const_cast<void *>(data), sizes, &pitch, box,
                                                steps, tensorMapInterleaveNone, tensorMapSwizzle128B,
                                                tensorMapL2Promotion256B, tensorMapFillZeros);
  return check(result,
               "describe " + std::to_string(rows) + " rows of " + std::to_string(rowBytes) + " bytes to " + label);
}

Status CudaDevice::launch(const QrtLaunch &launch, void *const *args) {
  if (!health)
    return health;
  Function &function = functions[static_cast<size_t>(launch.kernel)];
  if (!function.handle)
    return Error{"the code of the module launches kernel " + function.name + ", which the section " + section +
                 " lacks"};
  if (Status status = reserveShared(function, launch.sharedBytes); !status)
    return status;
  auto size = [](int32_t value) { return static_cast<unsigned>(value); };
  CUresult result =
      driver.launchKernel(function.handle, size(launch.grid[0]), size(launch.grid[1]), size(launch.grid[2]),
                          size(launch.block[0]), size(launch.block[1]), size(launch.block[2]),
                          static_cast<unsigned>(launch.sharedBytes), queue, const_cast<void **>(args), nullptr);
  if (result != 0) {
    auto text = [](const int32_t (&sizes)[3]) {
      return std::to_string(sizes[0]) + "x" + std::to_string(sizes[1]) + "x" + std::to_string(sizes[2]);
    };
    return check(result, "launch kernel " + function.name + " with " + text(launch.grid) + " blocks of " +
                             text(launch.block) + " threads and " + std::to_string(launch.sharedBytes) +
                             " bytes of shared memory on " + label);
  }
  noteLaunch(&function);
  return waitsAfterLaunch ? synchronize() : Status();
}

void CudaDevice::noteLaunch(const Function *function) {
  std::erase(launched, function);
  launched.push_back(function);
}

Status CudaDevice::synchronize() {
  Status status = check(driver.streamSynchronize(queue), "wait for " + label);
  launched.clear();
  return status;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

namespace {
class CudaGraph final : public Recording {
public:
  explicit CudaGraph(CudaDevice &device) : device(device) {}
  ~CudaGraph() override {
    if (exec && device.health)
      device.driver.graphExecDestroy(exec);
    if (graph && device.health)
      device.driver.graphDestroy(graph);
  }
  Status replay() override {
    for (const CudaDevice::Function *function : kernels)
      device.noteLaunch(function);
    return device.check(device.driver.graphLaunch(exec, device.queue), "launch a graph on " + device.label);
  }

  CudaDevice &device;
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  std::vector<const CudaDevice::Function *> kernels; // that it launches
};
} // namespace

Result<std::unique_ptr<Recording>> CudaDevice::record(const std::function<Status()> &launches) {
  if (!driver.hasGraphs() || waitsAfterLaunch) // whoever waits wants to know which kernel fails
    return std::unique_ptr<Recording>();
  auto recorded = std::make_unique<CudaGraph>(*this);
  if (Status status = check(driver.streamBeginCapture(queue, captureRelaxed), "record launches on " + label); !status)
    return status.error();
  std::swap(recorded->kernels, launched);
  Status status = launches();
  std::swap(recorded->kernels, launched);
  // Also after an error: until then nothing else can be done with the stream.
  Status ended = check(driver.streamEndCapture(queue, &recorded->graph), "record launches on " + label);
  if (!status || !ended)
    return status ? ended.error() : status.error();
  status = check(driver.graphInstantiate(&recorded->exec, recorded->graph, 0), "make a graph on " + label);
  if (!status)
    return status.error();
  return std::unique_ptr<Recording>(std::move(recorded));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Result<void *> CudaDevice::allocate(int64_t bytes) {
  CUdeviceptr memory = 0;
  CUresult result = driver.memAlloc(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1)));
  if (result == errorOutOfMemory)
    return static_cast<void *>(nullptr);
  if (Status status = check(result, "allocate " + std::to_string(bytes) + " bytes on " + label); !status)
    return status.error();
  return reinterpret_cast<void *>(memory);
}

void CudaDevice::release(void *memory) {
  // Nothing can be done about an error here; one that matters comes again.
  if (memory && health)
    driver.memFree(reinterpret_cast<CUdeviceptr>(memory));
}

int64_t CudaDevice::freeBytes() {
  size_t free = 0, total = 0;
  return driver.memGetInfo(&free, &total) == 0 ? static_cast<int64_t>(free) : -1;
}

Status CudaDevice::upload(void *to, const void *from, int64_t bytes) {
  if (bytes == 0)
    return {};
  // From pageable memory: the driver has copied it when it returns.
  return check(driver.memcpyHtoDAsync(reinterpret_cast<CUdeviceptr>(to), from, static_cast<size_t>(bytes), queue),
               "copy " + std::to_string(bytes) + " bytes to " + label);
}

Status CudaDevice::download(void *to, const void *from, int64_t bytes) {
  if (bytes > 0) {
    CUresult result =
        driver.memcpyDtoHAsync(to, reinterpret_cast<CUdeviceptr>(from), static_cast<size_t>(bytes), queue);
    if (Status status = check(result, "copy " + std::to_string(bytes) + " bytes from " + label); !status)
      return status;
  }
  return synchronize();
}
