//===- FakeCuda.cpp - A libcuda.so.1 for machines without a GPU -----------===//
//
// What the runtime calls of the CUDA driver, with host memory for device memory.
// Launches run in the simulator. It is loaded through LD_LIBRARY_PATH and told by
// the environment what to be:
//
//   FAKE_CUDA_DEVICES=9.0,8.0   compute capabilities (default: one, 9.0)
//   FAKE_CUDA_MEMORY=BYTES      of each device (default: 1 GiB)
//   FAKE_CUDA_SIM=FILE          the section "sim" of the module; without it launches
//                               do nothing
//   FAKE_CUDA_LOG=FILE          gets a line for each call that matters
//   FAKE_CUDA_FAIL=NAME=CODE    that function fails; NAME=CODE@N: in its N-th call
//
// Compiled with WITHOUT_GRAPHS it is a driver from before CUDA graphs.
//
// As a real driver does, it keeps failing after errors that end a context, refuses
// what is done without a current context, lets nothing but launches and allocations
// happen while a graph is captured, and finds kernels by their names in PTX
// (".entry NAME(") and cubins (a section ".text.NAME").
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Sim.h"
#include "qopt/Support/File.h"
#include "runtime/Cuda/ChooseCode.h"
#include "runtime/Cuda/Driver.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

using namespace qrt::cuda;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace qrt::cuda {
struct CUctx_st {
  int device = 0;
};
struct CUmod_st {
  std::string image;
  bool isPtx = false;
};
struct CUfunc_st {
  std::string name;
  std::vector<std::string> parameters; // as PTX declares them: "u64 .ptr name"; empty for cubins
  int64_t sharedBytes = 48 << 10;      // that it may use
};
struct CUstream_st {};

/// A launch whose arguments were copied.
struct Captured {
  struct alignas(64) Argument {
    char bytes[128]; // of a tensor map; others are shorter
  };
  CUfunction function;
  qrt::SimLaunch launch; // without the kernel's code and arguments
  std::vector<Argument> args;
};
struct CUgraph_st {
  std::vector<Captured> launches;
};
struct CUgraphExec_st {
  std::vector<Captured> launches;
};
} // namespace qrt::cuda

namespace {

std::string setting(const char *name, const std::string &otherwise) {
  const char *value = std::getenv(name);
  return value ? value : otherwise;
}

struct State {
  std::vector<Capability> devices;
  int64_t memory = std::stoll(setting("FAKE_CUDA_MEMORY", "1073741824")), used = 0;
  std::map<char *, int64_t> blocks;
  std::map<std::string, int> calls;
  CUresult ended = 0; // the error that ended the context
  CUctx_st context;
  CUstream_st stream;
  std::unique_ptr<CUgraph_st> capture; // while one is being made
  int graphs = 0;                      // that were not destroyed
  std::shared_ptr<const qrt::HostCode> kernels;
  qrt::ThreadPool threads{2};

  State() {
    std::stringstream list(setting("FAKE_CUDA_DEVICES", "9.0"));
    for (std::string item; std::getline(list, item, ',');)
      devices.push_back({std::stoi(item), std::stoi(item.substr(item.find('.') + 1))});
    if (std::string path = setting("FAKE_CUDA_SIM", ""); !path.empty()) {
      auto file = qopt::MappedFile::open(path);
      auto code = qrt::HostCode::load({file->text().data(), file->size()});
      if (!code)
        std::abort();
      kernels = *code;
    }
  }
};

State &state() {
  static State instance;
  return instance;
}

thread_local CUcontext current = nullptr;

void log(const std::string &line) {
  if (const char *path = std::getenv("FAKE_CUDA_LOG"))
    std::ofstream(path, std::ios::app) << line << "\n";
}

/// Counts the call; nonzero when it is to fail.
CUresult failing(const std::string &name, bool needsContext = true) {
  State &driver = state();
  if (driver.ended)
    return driver.ended;
  if (needsContext && !current)
    return 201;
  int call = ++driver.calls[name];
  std::string fault = setting("FAKE_CUDA_FAIL", "");
  size_t equals = fault.find('=');
  if (equals == std::string::npos || fault.substr(0, equals) != name)
    return 0;
  size_t at = fault.find('@');
  if (at != std::string::npos && std::stoi(fault.substr(at + 1)) != call)
    return 0;
  CUresult code = std::stoi(fault.substr(equals + 1));
  if (isSticky(code))
    driver.ended = code;
  return code;
}

#define FAIL_IF_ASKED(...)                                                                                             \
  if (CUresult code = failing(__VA_ARGS__))                                                                            \
  return code

/// "mem+OFFSET" for an address in device memory.
std::string describePointer(uint64_t address) {
  char *pointer = reinterpret_cast<char *>(address);
  for (auto [start, bytes] : state().blocks)
    if (pointer >= start && pointer < start + bytes)
      return "mem+" + std::to_string(pointer - start);
  return "0x" + std::to_string(address);
}

std::string describeArguments(const CUfunc_st &function, void *const *args) {
  std::string text;
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    const std::string &declared = function.parameters[i];
    if (declared.starts_with("align")) {
      text += " map";
      continue;
    }
    bool isWide = declared.find("64 ") == 1, isPointer = declared.find(".ptr") != std::string::npos;
    uint64_t bits = 0;
    std::memcpy(&bits, args[i], isWide ? 8 : 4);
    float real;
    std::memcpy(&real, &bits, 4);
    text += " " + (isPointer                     ? describePointer(bits)
                   : declared.starts_with("f32") ? std::to_string(real)
                                                 : std::to_string(bits));
  }
  return text;
}

/// What stands between `begin` and `end` from `at` on.
std::string between(const std::string &text, size_t at, const char *end) {
  return text.substr(at, text.find_first_of(end, at) - at);
}

bool isOnDevice(CUdeviceptr address, size_t bytes) {
  char *pointer = reinterpret_cast<char *>(address);
  for (auto [start, size] : state().blocks)
    if (pointer >= start && pointer + bytes <= start + size)
      return true;
  return false;
}

} // namespace

EXPORT CUresult cuInit(unsigned) {
  FAIL_IF_ASKED("cuInit", false);
  return state().devices.empty() ? 100 : 0;
}

EXPORT CUresult cuDriverGetVersion(int *version) {
  *version = 12040;
  return 0;
}

EXPORT CUresult cuGetErrorName(CUresult error, const char **name) {
  *name = error == 900 ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" : nullptr;
  return *name ? 0 : 1;
}

EXPORT CUresult cuDeviceGetCount(int *count) {
  FAIL_IF_ASKED("cuDeviceGetCount", false);
  *count = static_cast<int>(state().devices.size());
  return 0;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int index) {
  FAIL_IF_ASKED("cuDeviceGet", false);
  *device = index;
  return 0;
}

EXPORT CUresult cuDeviceGetName(char *name, int bytes, CUdevice device) {
  std::strncpy(name, ("Fake GPU " + std::to_string(device)).c_str(), static_cast<size_t>(bytes));
  return 0;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  FAIL_IF_ASKED("cuDeviceGetAttribute", false);
  const Capability &capability = state().devices[static_cast<size_t>(device)];
  *value = attribute == computeCapabilityMajor   ? capability.major
           : attribute == computeCapabilityMinor ? capability.minor
           : attribute == maxSharedBytesOptIn    ? static_cast<int>(qrt::kSimMaxSharedBytes)
                                                 : 0;
  return 0;
}

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  FAIL_IF_ASKED("cuDevicePrimaryCtxRetain", false);
  state().context.device = device;
  *context = &state().context;
  log("context on device " + std::to_string(device));
  return 0;
}

EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) {
  current = nullptr;
  if (state().graphs != 0)
    log(std::to_string(state().graphs) + " graphs left");
  log("context released, " + std::to_string(state().blocks.size()) + " allocations left");
  return 0;
}

EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
  FAIL_IF_ASKED("cuCtxSetCurrent", false);
  current = context;
  return 0;
}

EXPORT CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned numOptions, int *options,
                                   void **values) {
  CUresult code = failing("cuModuleLoadDataEx");
  const char *text = static_cast<const char *>(image);
  bool isPtx = std::memcmp(text,
                           "\x7f"
                           "ELF",
                           4) != 0;
  log(std::string("load ") + (isPtx ? "ptx" : "cubin"));
  if (code != 0) {
    for (unsigned i = 0; i < numOptions && code == 218; ++i)
      if (options[i] == jitErrorLogBuffer)
        std::strcpy(static_cast<char *>(values[i]),
                    "\nptxas application ptx input, line 7; error : unknown symbol 'q'\nptxas fatal");
    return code;
  }
  // The test's cubins are texts behind ELF's magic, and end with a zero as PTX does.
  *module = new CUmod_st{text, isPtx};
  return 0;
}

EXPORT CUresult cuModuleUnload(CUmodule module) {
  delete module;
  return 0;
}

EXPORT CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  FAIL_IF_ASKED("cuModuleGetFunction");
  const std::string &image = module->image;
  size_t at = image.find((module->isPtx ? ".entry " : ".text.") + std::string(name) + (module->isPtx ? "(" : "\n"));
  if (at == std::string::npos)
    return 500;
  auto found = std::make_unique<CUfunc_st>();
  found->name = name;
  size_t end = image.find(')', at);
  for (size_t i = image.find(".param .", at); i < end && module->isPtx; i = image.find(".param .", i + 1))
    found->parameters.push_back(between(image, i + 8, ",)\n"));
  *function = found.release(); // lives as long as the process
  return 0;
}

EXPORT CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  FAIL_IF_ASKED("cuFuncSetAttribute");
  if (attribute != maxDynamicSharedBytes || value > qrt::kSimMaxSharedBytes)
    return 1;
  function->sharedBytes = value;
  log("shared " + function->name + " " + std::to_string(value));
  return 0;
}

/// Runs a kernel in the simulator.
static void simulate(const CUfunc_st &function, qrt::SimLaunch launch, void *const *args) {
  if (!state().kernels)
    return;
  launch.args = args;
  launch.kernel = reinterpret_cast<QrtSimKernel>(state().kernels->symbol(function.name));
  if (!launch.kernel)
    std::abort();
  qrt::Status status = qrt::simLaunch(launch, state().threads);
  // Noticed as late as on a GPU: by what comes next.
  if (!status) {
    log("failed: " + status.error().message);
    state().ended = 719;
  }
}

EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                               unsigned blockY, unsigned blockZ, unsigned sharedBytes, CUstream stream, void **args,
                               void **) {
  FAIL_IF_ASKED("cuLaunchKernel");
  if (stream != &state().stream)
    return 400;
  if (sharedBytes > function->sharedBytes || gridX == 0 || gridY == 0 || gridZ == 0)
    return 1;
  auto size = [](unsigned x, unsigned y, unsigned z) {
    return std::array{static_cast<int32_t>(x), static_cast<int32_t>(y), static_cast<int32_t>(z)};
  };
  auto text = [](std::array<int32_t, 3> s) {
    return std::to_string(s[0]) + "x" + std::to_string(s[1]) + "x" + std::to_string(s[2]);
  };
  qrt::SimLaunch launch;
  launch.name = function->name;
  launch.grid = size(gridX, gridY, gridZ);
  launch.block = size(blockX, blockY, blockZ);
  launch.sharedBytes = sharedBytes;
  log((state().capture ? "capture " : "launch ") + launch.name + " " + text(launch.grid) + " of " + text(launch.block) +
      " shared " + std::to_string(sharedBytes) + " args" + describeArguments(*function, args));
  if (!state().capture) {
    simulate(*function, launch, args);
    return 0;
  }
  std::vector<Captured::Argument> copies(function->parameters.size());
  for (size_t i = 0; i < copies.size(); ++i) {
    const std::string &declared = function->parameters[i];
    std::memcpy(copies[i].bytes, args[i], declared.starts_with("align") ? 128 : declared.find("64 ") == 1 ? 8 : 4);
  }
  state().capture->launches.push_back({function, launch, copies});
  return 0;
}

#ifndef WITHOUT_GRAPHS
EXPORT CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  FAIL_IF_ASKED("cuStreamBeginCapture");
  if (stream != &state().stream || mode != captureRelaxed || state().capture)
    return 1;
  state().capture = std::make_unique<CUgraph_st>();
  return 0;
}

EXPORT CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  std::unique_ptr<CUgraph_st> captured = std::move(state().capture);
  *graph = nullptr;
  FAIL_IF_ASKED("cuStreamEndCapture");
  if (stream != &state().stream || !captured)
    return 1;
  *graph = captured.release();
  ++state().graphs;
  return 0;
}

EXPORT CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
  FAIL_IF_ASKED("cuGraphInstantiate");
  if (flags != 0)
    return 1;
  *exec = new CUgraphExec_st{graph->launches};
  ++state().graphs;
  log("graph of " + std::to_string(graph->launches.size()));
  return 0;
}

EXPORT CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  FAIL_IF_ASKED("cuGraphLaunch");
  if (stream != &state().stream)
    return 400;
  log("replay");
  for (Captured &captured : exec->launches) {
    std::vector<void *> args;
    for (Captured::Argument &arg : captured.args)
      args.push_back(arg.bytes);
    simulate(*captured.function, captured.launch, args.data());
  }
  return 0;
}

EXPORT CUresult cuGraphDestroy(CUgraph graph) {
  delete graph;
  --state().graphs;
  return 0;
}

EXPORT CUresult cuGraphExecDestroy(CUgraphExec exec) {
  delete exec;
  --state().graphs;
  return 0;
}
#endif

EXPORT CUresult cuTensorMapEncodeTiled(void *map, int elementType, uint32_t rank, void *address, const uint64_t *sizes,
                                       const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                                       int interleave, int swizzle, int, int fill) {
  FAIL_IF_ASKED("cuTensorMapEncodeTiled");
  if (elementType != tensorMapUint8 || rank != 2 || strides[0] != sizes[0] || box[0] != 128 || elementStrides[0] != 1 ||
      elementStrides[1] != 1 || interleave != tensorMapInterleaveNone || swizzle != tensorMapSwizzle128B ||
      fill != tensorMapFillZeros || !isOnDevice(reinterpret_cast<CUdeviceptr>(address), sizes[0] * sizes[1]))
    return 1;
  log("tensor map " + std::to_string(sizes[1]) + " x " + std::to_string(sizes[0]) + " in boxes of " +
      std::to_string(box[1]) + " x " + std::to_string(box[0]));
  auto size = [](uint64_t value) { return static_cast<int64_t>(value); };
  return qrt::simTensorMap(map, address, size(sizes[1]), size(sizes[0]), box[1]) ? 0 : 1;
}

EXPORT CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  FAIL_IF_ASKED("cuStreamCreate");
  *stream = &state().stream;
  return flags == streamNonBlocking ? 0 : 1;
}

EXPORT CUresult cuStreamSynchronize(CUstream stream) {
  FAIL_IF_ASKED("cuStreamSynchronize");
  if (state().capture)
    return 900;
  return stream == &state().stream ? 0 : 400;
}

EXPORT CUresult cuStreamDestroy_v2(CUstream) { return 0; }

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *memory, size_t bytes) {
  FAIL_IF_ASKED("cuMemAlloc");
  State &driver = state();
  int64_t size = static_cast<int64_t>(bytes);
  log("allocate " + std::to_string(size));
  if (size < 1 || size > driver.memory - driver.used)
    return size < 1 ? 1 : 2;
  char *block = static_cast<char *>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  std::memset(block, 0xCD, bytes);
  driver.blocks.emplace(block, size);
  driver.used += size;
  *memory = reinterpret_cast<CUdeviceptr>(block);
  return 0;
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr memory) {
  FAIL_IF_ASKED("cuMemFree");
  if (state().capture)
    return 900;
  State &driver = state();
  auto found = driver.blocks.find(reinterpret_cast<char *>(memory));
  if (found == driver.blocks.end())
    return 1;
  log("free " + std::to_string(found->second));
  driver.used -= found->second;
  std::free(found->first);
  driver.blocks.erase(found);
  return 0;
}

EXPORT CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  FAIL_IF_ASKED("cuMemGetInfo");
  *free = static_cast<size_t>(state().memory - state().used);
  *total = static_cast<size_t>(state().memory);
  return 0;
}

EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  FAIL_IF_ASKED("cuMemcpyHtoDAsync");
  if (state().capture)
    return 900;
  if (!isOnDevice(to, bytes) || stream != &state().stream)
    return 1;
  log("upload " + std::to_string(bytes));
  std::memcpy(reinterpret_cast<void *>(to), from, bytes);
  return 0;
}

EXPORT CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  FAIL_IF_ASKED("cuMemcpyDtoHAsync");
  if (state().capture)
    return 900;
  if (!isOnDevice(from, bytes) || stream != &state().stream)
    return 1;
  log("download " + std::to_string(bytes));
  std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
  return 0;
}
