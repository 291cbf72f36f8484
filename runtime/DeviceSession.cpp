//===- DeviceSession.cpp - A module whose kernels run on a device ---------===//
//
// The section "host:cuda" runs here: it computes sizes, asks for memory of the
// device and launches kernels. Weights are uploaded once, inputs for each call.
//
//===----------------------------------------------------------------------===//
#include "DeviceSession.h"
#include "Context.h"
#include "Device.h"
#include "DeviceMemory.h"
#include "Shapes.h"
#include "qopt/Support/Options.h"
#include "qopt/Support/Utf8.h"

using namespace qrt;
using qopt::EntryPoint;
using qopt::Error;
using qopt::Module;
using qopt::printable;

//===----------------------------------------------------------------------===//
// One call
//===----------------------------------------------------------------------===//

namespace {
class DeviceContext final : public QrtContext {
public:
  DeviceContext(ThreadPool &threads, Device &device, DeviceMemory &pool, const Module &module, void *errorRecord)
      : QrtContext(threads), device(device), pool(pool), module(module), errorRecord(errorRecord) {}
  ~DeviceContext() override {
    for (auto [memory, bytes] : allocations)
      pool.release(memory);
  }

  void *allocate(int64_t bytes) override;
  void release(void *memory) override;
  void launch(const QrtLaunch &launch, void *const *args) override;
  void *errors() override;
  int64_t capability() override { return device.capability(); }
  void tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) override {
    if (!failed())
      note(device.tensorMap(map, data, rows, rowBytes, boxRows));
  }
  void finish() override;

private:
  /// Keeps an error of the device.
  void note(const Status &status) {
    if (!status)
      fail(QRT_LAUNCH_FAILED, 0, 0, status.error().message);
  }

  Device &device;
  DeviceMemory &pool;
  const Module &module;
  void *errorRecord;
  bool usesErrors = false;
};
} // namespace

void *DeviceContext::allocate(int64_t bytes) {
  Result<void *> memory = pool.allocate(bytes);
  if (!memory) {
    fail(QRT_OUT_OF_MEMORY, bytes, 0, memory.error().message);
    return nullptr;
  }
  allocations.emplace(*memory, bytes);
  return *memory;
}

void DeviceContext::release(void *memory) {
  if (allocations.erase(memory) != 0)
    pool.release(memory);
}

void DeviceContext::launch(const QrtLaunch &launch, void *const *args) {
  if (failed())
    return;
  const auto &kernels = module.info().kernels;
  if (launch.kernel < 0 || launch.kernel >= static_cast<int64_t>(kernels.size()))
    return fail(QRT_LAUNCH_FAILED, launch.kernel, 0,
                "the code of the module launches kernel " + std::to_string(launch.kernel) + ", but its table has " +
                    std::to_string(kernels.size()));
  bool isEmpty = false, isPossible = launch.sharedBytes >= 0;
  for (int i = 0; i < 3; ++i) {
    isEmpty |= launch.grid[i] == 0;
    isPossible &= launch.grid[i] >= 0 && launch.block[i] > 0;
  }
  if (!isPossible)
    return fail(QRT_LAUNCH_FAILED, launch.kernel, 0,
                "the code of the module launches kernel " + kernels[static_cast<size_t>(launch.kernel)].name +
                    " with an impossible number of blocks or threads");
  if (!isEmpty)
    note(device.launch(launch, args));
}

void *DeviceContext::errors() {
  if (!usesErrors) {
    static constexpr QrtErrorRecord none = {};
    note(device.upload(errorRecord, &none, sizeof none));
    usesErrors = true;
  }
  return errorRecord;
}

void DeviceContext::finish() {
  if (failed())
    return; // whatever still runs: nothing of this call is used
  if (!usesErrors)
    return note(device.synchronize());
  QrtErrorRecord found = {};
  note(device.download(&found, errorRecord, sizeof found));
  if (found.code != QRT_OK)
    fail(found.code, found.a, found.b);
}

/// "cuda" is cuda:0.
static Result<std::unique_ptr<Device>> openDevice(const std::string &name, ThreadPool &threads) {
  if (name == "sim" || name == "sim:sm_90a")
    return makeSimDevice(threads, name.substr(std::min<size_t>(name.size(), 4)));
  int64_t index = 0;
  if (name != "cuda" &&
      (!name.starts_with("cuda:") || !qopt::parseInteger(name.substr(5), index) || index < 0 || index > 1023))
    return Error{"there is no device '" + printable(name) + "'; there are cpu, cuda, cuda:N, sim and sim:sm_90a"};
  return openCudaDevice(static_cast<int>(index));
}

//===----------------------------------------------------------------------===//
// Session
//===----------------------------------------------------------------------===//

namespace {
class DeviceSession final : public Session {
public:
  DeviceSession(std::shared_ptr<const Module> module, int threads) : loaded(std::move(module)), pool(threads) {}
  ~DeviceSession() override {
    if (gpu)
      (void)gpu->enter();
  }

  Status load(const std::string &name, const SessionOptions &options);
  const Module &module() const override { return *loaded; }
  const std::string &device() const override { return gpu->name(); }
  std::string description() const override {
    std::string text = gpu->description();
    return gpu->name() + " (" + text + (text.empty() ? "" : ", ") + section + ")";
  }
  const std::string &code() const override { return section; }
  ThreadPool &threads() override { return pool; }
  Result<std::vector<Tensor>> run(const std::string &name, std::span<const Tensor> inputs) override;

private:
  Status uploadWeights(const SessionOptions &options);
  Result<std::vector<Tensor>> runEntry(const EntryPoint &entry, std::span<const Tensor> inputs);

  std::shared_ptr<const Module> loaded;
  ThreadPool pool;
  std::unique_ptr<Device> gpu;
  std::unique_ptr<DeviceMemory> memory; // before gpu goes
  std::string section;
  EntryTable entries;
  void *errorRecord = nullptr;
  std::vector<const void *> parameters;
};
} // namespace

Status DeviceSession::load(const std::string &name, const SessionOptions &options) {
  Result<std::unique_ptr<Device>> opened = openDevice(name, pool);
  if (!opened)
    return opened.error();
  gpu = std::move(*opened);
  memory = std::make_unique<DeviceMemory>(*gpu);
  Result<std::string> chosen = gpu->load(*loaded);
  if (!chosen)
    return chosen.error();
  section = *chosen;
  if (Status status = entries.load(*loaded, "host:cuda"); !status)
    return status;
  Result<void *> record = memory->allocate(sizeof(QrtErrorRecord));
  if (!record)
    return record.error();
  errorRecord = *record;
  return uploadWeights(options);
}

Status DeviceSession::uploadWeights(const SessionOptions &options) {
  std::span<const char> weights = loaded->section("weights");
  int64_t total = static_cast<int64_t>(weights.size());
  Result<void *> all = memory->allocate(total);
  if (!all)
    return Error{"the weights do not fit: " + all.error().message};
  char *target = static_cast<char *>(*all);
  constexpr int64_t chunk = 16 << 20;
  for (int64_t done = 0; done < total; done += chunk) {
    int64_t bytes = std::min(chunk, total - done);
    if (Status status = gpu->upload(target + done, weights.data() + done, bytes); !status)
      return status;
    if (options.onUpload)
      options.onUpload(done + bytes, total);
  }
  for (const qopt::Parameter &parameter : loaded->info().parameters)
    parameters.push_back(target + parameter.offset);
  return gpu->synchronize();
}

Result<std::vector<Tensor>> DeviceSession::run(const std::string &name, std::span<const Tensor> inputs) {
  SymbolSizes symbols;
  Result<const EntryPoint *> entry = findEntry(*loaded, name, inputs, symbols);
  if (!entry)
    return entry.error();
  if (Status status = gpu->enter(); !status)
    return status.error();
  Result<std::vector<Tensor>> outputs = runEntry(**entry, inputs);
  memory->endCall();
  if (!outputs)
    return outputs;
  if (Status status = checkTensors("output", (*entry)->outputs, *outputs, symbols); !status)
    return status.error();
  return outputs;
}

Result<std::vector<Tensor>> DeviceSession::runEntry(const EntryPoint &entry, std::span<const Tensor> inputs) {
  DeviceContext context(pool, *gpu, *memory, *loaded, errorRecord);
  // Memory of inputs is not the code's to give back.
  struct Uploaded {
    DeviceMemory &memory;
    std::vector<QrtTensor> tensors;
    ~Uploaded() {
      for (const QrtTensor &tensor : tensors)
        memory.release(tensor.data);
    }
  } uploaded{*memory, {}};
  for (const Tensor &input : inputs) {
    Result<void *> place = memory->allocate(input.bytes());
    if (!place)
      return place.error();
    uploaded.tensors.push_back(input.raw());
    uploaded.tensors.back().data = *place;
    if (Status status = gpu->upload(*place, input.data<char>(), input.bytes()); !status)
      return status.error();
  }

  Result<std::vector<QrtTensor>> raw =
      callEntry(context, entries[entry.name], parameters, uploaded.tensors, entry.outputs.size());
  if (!raw)
    return context.failed() ? describeError(context, *loaded) : raw.error();
  std::vector<Tensor> outputs;
  for (const QrtTensor &output : *raw) {
    Tensor &tensor = outputs.emplace_back(output.type, std::vector<int64_t>(output.dims, output.dims + output.rank));
    if (Status status = gpu->download(tensor.data<char>(), output.data, tensor.bytes()); !status)
      return status.error();
  }
  return outputs;
}

//===----------------------------------------------------------------------===//
// Which device
//===----------------------------------------------------------------------===//

bool qrt::hasCodeFor(const Module &module, const std::string &device) {
  auto has = [&](const std::string &name) { return !module.section(name).empty(); };
  if (!has("host:cuda"))
    return false;
  if (device == "sim")
    return has("sim");
  for (const qopt::Section &section : module.sections())
    if (section.name.starts_with("cubin:") || section.name.starts_with("ptx:"))
      return true;
  return has("ptx");
}

Result<std::unique_ptr<Session>> qrt::createOnDevice(std::shared_ptr<const Module> module, const std::string &name,
                                                     const SessionOptions &options) {
  std::string kind = name.substr(0, name.find(':'));
  if (!hasCodeFor(*module, kind))
    return Error{"the module has no code for device " + printable(kind) + "; run with --device=cpu"};
  if (!machineHas("x86-64-v3"))
    return Error{"the module's code for device " + printable(kind) + " needs a CPU of x86-64-v3"};
  auto session = std::make_unique<DeviceSession>(std::move(module), options.threads);
  if (Status status = session->load(name, options); !status)
    return status.error();
  return std::unique_ptr<Session>(std::move(session));
}
