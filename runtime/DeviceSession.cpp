//===- DeviceSession.cpp - A module whose kernels run on a device ---------===//
//
// The section "host:cuda" runs here: it computes sizes, asks for memory of the
// device and launches kernels. Weights are uploaded once, inputs for each call.
//
// Decoders keep their caches there; a step of theirs is recorded, where the device can,
// and repeated for each token.
//
//===----------------------------------------------------------------------===//
#include "DeviceSession.h"
#include "CacheEntries.h"
#include "Context.h"
#include "Device.h"
#include "DeviceMemory.h"
#include "Shapes.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/Options.h"
#include "qopt/Support/Utf8.h"
#include <cstring>
#include <limits>

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

  /// Launches are only recorded: there is nothing to wait for.
  bool isRecording = false;
  /// Whether the code asked for the error record, which is empty between calls.
  bool usesErrors = false;

  /// Keeps an error of the device.
  void note(const Status &status) {
    if (!status)
      fail(QRT_LAUNCH_FAILED, 0, 0, status.error().message);
  }

private:
  Device &device;
  DeviceMemory &pool;
  const Module &module;
  void *errorRecord;
};

constexpr QrtErrorRecord noError = {};
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
  usesErrors = true;
  return errorRecord;
}

void DeviceContext::finish() {
  if (isRecording)
    return;
  QrtErrorRecord found = noError;
  if (!failed()) // else whatever still runs: nothing of this call is used
    note(usesErrors ? device.download(&found, errorRecord, sizeof found) : device.synchronize());
  if (found.code != QRT_OK)
    fail(found.code, found.a, found.b);
  if (failed() && usesErrors)
    (void)device.upload(errorRecord, &noError, sizeof noError);
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
  Result<std::unique_ptr<Decoder>> makeDecoder(int64_t batch, int64_t capacity) override;

  Device &onDevice() { return *gpu; }
  DeviceMemory &scratch() { return *memory; }
  DeviceContext makeContext(DeviceMemory &from) { return {pool, *gpu, from, *loaded, errorRecord}; }
  /// Calls an entry point whose inputs are on the device; its memory comes from `from`.
  Result<std::vector<QrtTensor>> callEntry(DeviceContext &context, const EntryPoint &entry,
                                           std::span<const QrtTensor> inputs);
  Result<Tensor> download(const QrtTensor &output);
  Error describe(const DeviceContext &context) const { return describeError(context, *loaded); }

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
  if (Status status = gpu->upload(errorRecord, &noError, sizeof noError); !status)
    return status;
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

Result<std::vector<QrtTensor>> DeviceSession::callEntry(DeviceContext &context, const EntryPoint &entry,
                                                        std::span<const QrtTensor> inputs) {
  Result<std::vector<QrtTensor>> outputs =
      qrt::callEntry(context, entries[entry.name], parameters, inputs, entry.outputs.size());
  if (!outputs && context.failed())
    return describe(context);
  return outputs;
}

Result<Tensor> DeviceSession::download(const QrtTensor &output) {
  Tensor tensor(static_cast<ElementType>(output.type), std::vector<int64_t>(output.dims, output.dims + output.rank));
  if (Status status = gpu->download(tensor.data<char>(), output.data, tensor.bytes()); !status)
    return status.error();
  return tensor;
}

Result<std::vector<Tensor>> DeviceSession::runEntry(const EntryPoint &entry, std::span<const Tensor> inputs) {
  DeviceContext context = makeContext(*memory);
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

  Result<std::vector<QrtTensor>> raw = callEntry(context, entry, uploaded.tensors);
  if (!raw)
    return raw.error();
  std::vector<Tensor> outputs;
  for (const QrtTensor &output : *raw) {
    Result<Tensor> tensor = download(output);
    if (!tensor)
      return tensor.error();
    outputs.push_back(std::move(*tensor));
  }
  return outputs;
}

//===----------------------------------------------------------------------===//
// Decoder
//===----------------------------------------------------------------------===//

namespace {
class DeviceDecoder final : public Decoder {
public:
  DeviceDecoder(DeviceSession &session, const CacheEntries &entries, int64_t batch, int64_t capacity)
      : Decoder(entries, batch, capacity), session(session), memory(session.onDevice()) {}
  ~DeviceDecoder() override { (void)session.onDevice().enter(); }

  Status allocate(std::span<const qopt::TensorInfo> caches);

private:
  /// Where the tokens of a call lie behind their number so far.
  static constexpr int64_t kTokensOffset = 256;

  Result<Tensor> call(const EntryPoint &entry, const Tensor &ids) override;
  Status upload(void *place, const Tensor &ids);
  Result<Tensor> callOnce(const EntryPoint &entry, DeviceMemory &from);
  void record(const EntryPoint &entry);
  Result<Tensor> replay();

  DeviceSession &session;
  DeviceMemory memory;           ///< caches, and whatever steps of one token use: nothing of it is freed before the end
  std::vector<QrtTensor> inputs; ///< tokens, their number so far, caches
  void *step = nullptr;          ///< number and tokens of a step
  int64_t numSteps = 0;
  std::unique_ptr<Recording> recording;
  QrtTensor recordedLogits = {};
  bool recordedErrors = false;
};
} // namespace

Status DeviceDecoder::allocate(std::span<const qopt::TensorInfo> caches) {
  if (Status status = session.onDevice().enter(); !status)
    return status;
  inputs = {{nullptr, QRT_I64, 2, {}}, {nullptr, QRT_I64, 1, {1}}};
  for (const qopt::TensorInfo &cache : caches) {
    std::vector<int64_t> dims = cacheDims(cache, batch(), capacity());
    std::optional<int64_t> elements = qopt::checkedNumElements(dims);
    std::optional<int64_t> bytes =
        elements ? qopt::checkedMul(*elements, qopt::elementBytes(cache.type)) : std::nullopt;
    Result<void *> place = memory.allocate(bytes.value_or(std::numeric_limits<int64_t>::max()));
    if (!place)
      return Error{"the caches of " + std::to_string(capacity()) + " tokens do not fit: " + place.error().message};
    QrtTensor &tensor = inputs.emplace_back(QrtTensor{*place, static_cast<int64_t>(cache.type), 4, {}});
    std::copy(dims.begin(), dims.end(), tensor.dims);
  }
  Result<void *> place = memory.allocate(kTokensOffset + batch() * int64_t(sizeof(int64_t)));
  if (!place)
    return place.error();
  step = *place;
  return {};
}

/// One copy for both.
Status DeviceDecoder::upload(void *place, const Tensor &ids) {
  std::vector<char> bytes(static_cast<size_t>(kTokensOffset + ids.bytes()));
  int64_t past = length();
  std::memcpy(bytes.data(), &past, sizeof past);
  std::memcpy(bytes.data() + kTokensOffset, ids.data<char>(), static_cast<size_t>(ids.bytes()));
  inputs[0] = ids.raw();
  inputs[0].data = static_cast<char *>(place) + kTokensOffset;
  inputs[1].data = place;
  return session.onDevice().upload(place, bytes.data(), static_cast<int64_t>(bytes.size()));
}

Result<Tensor> DeviceDecoder::call(const EntryPoint &entry, const Tensor &ids) {
  if (Status status = session.onDevice().enter(); !status)
    return status.error();
  if (ids.dims()[1] > 1) {
    DeviceMemory &scratch = session.scratch();
    Result<void *> place = scratch.allocate(kTokensOffset + ids.bytes());
    if (!place)
      return place.error();
    Status status = upload(*place, ids);
    Result<Tensor> logits = status ? callOnce(entry, scratch) : Result<Tensor>(status.error());
    scratch.release(*place);
    scratch.endCall();
    return logits;
  }
  if (Status status = upload(step, ids); !status)
    return status.error();
  // The first step finds the memory that it needs; the second is recorded.
  if (++numSteps == 2)
    record(entry);
  return recording ? replay() : callOnce(entry, memory);
}

Result<Tensor> DeviceDecoder::callOnce(const EntryPoint &entry, DeviceMemory &from) {
  DeviceContext context = session.makeContext(from);
  Result<std::vector<QrtTensor>> outputs = session.callEntry(context, entry, inputs);
  if (!outputs)
    return outputs.error();
  return session.download(outputs->front());
}

/// A device that cannot, or fails to, is given every launch of every step.
void DeviceDecoder::record(const EntryPoint &entry) {
  DeviceContext context = session.makeContext(memory);
  context.isRecording = true;
  Result<std::unique_ptr<Recording>> recorded = session.onDevice().record([&]() -> Status {
    Result<std::vector<QrtTensor>> outputs = session.callEntry(context, entry, inputs);
    if (!outputs)
      return outputs.error();
    recordedLogits = outputs->front();
    return {};
  });
  if (!recorded || !*recorded)
    return;
  context.allocations.erase(recordedLogits.data); // kept as long as the recording
  recordedErrors = context.usesErrors;
  recording = std::move(*recorded);
}

Result<Tensor> DeviceDecoder::replay() {
  DeviceContext context = session.makeContext(memory);
  context.usesErrors = recordedErrors;
  context.note(recording->replay());
  context.finish();
  if (context.failed())
    return session.describe(context);
  return session.download(recordedLogits);
}

Result<std::unique_ptr<Decoder>> DeviceSession::makeDecoder(int64_t batch, int64_t capacity) {
  Result<std::optional<CacheEntries>> found = findCacheEntries(*loaded, batch, capacity);
  if (!found)
    return found.error();
  if (!*found)
    return std::unique_ptr<Decoder>();
  auto decoder = std::make_unique<DeviceDecoder>(*this, **found, batch, capacity);
  if (Status status = decoder->allocate((*found)->caches()); !status)
    return status.error();
  return std::unique_ptr<Decoder>(std::move(decoder));
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
    return Error{"the module has no code for device " + printable(kind) +
                 (kind == "sim" ? "; compile the model with --target=sim (or cuda,sim)" : "; run with --device=cpu")};
  if (!machineHas("x86-64-v3"))
    return Error{"the module's code for device " + printable(kind) + " needs a CPU of x86-64-v3"};
  auto session = std::make_unique<DeviceSession>(std::move(module), options.threads);
  if (Status status = session->load(name, options); !status)
    return status.error();
  return std::unique_ptr<Session>(std::move(session));
}
