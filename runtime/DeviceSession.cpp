//===- DeviceSession.cpp - A module whose kernels run on a device ---------===//
//
// One call: inputs to the device, the entry point, outputs back. Memory is taken from a
// pool that keeps what the last call used.
//
//===----------------------------------------------------------------------===//
#include "DeviceSession.h"
#include "CacheEntries.h"
#include "DeviceDecoder.h"
#include "HostLevel.h"
#include "Sessions.h"
#include "Shapes.h"
#include <algorithm>

using namespace qrt;
using qopt::EntryPoint;
using qopt::Error;
using qopt::Module;

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

static Result<std::unique_ptr<Device>> openDevice(const qopt::DeviceName &name, ThreadPool &threads) {
  if (name.kind == qopt::DeviceKind::Sim)
    return makeSimDevice(threads, name.arch);
  return openCudaDevice(name.index);
}

Status DeviceSession::load(const qopt::DeviceName &name, const SessionOptions &options) {
  Result<std::unique_ptr<Device>> opened = openDevice(name, pool);
  if (!opened)
    return opened.error();
  gpu = std::move(*opened);
  memory = std::make_unique<DeviceMemory>(*gpu);
  Result<std::string> chosen = gpu->load(*loaded);
  if (!chosen)
    return chosen.error();
  section = *chosen;
  if (Status status = entries.load(*loaded, qopt::kCudaHostSection); !status)
    return status;
  Result<void *> record = memory->allocate(sizeof(QrtErrorRecord));
  if (!record)
    return record.error();
  errorRecord = *record;
  if (Status status = gpu->upload(errorRecord, &kNoError, sizeof kNoError); !status)
    return status;
  return uploadWeights(options);
}

Status DeviceSession::uploadWeights(const SessionOptions &options) {
  std::span<const char> weights = loaded->section(qopt::kWeightsSection);
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

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

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
  // The weights were compared meanwhile.
  if (Status status = loaded->verify(); !status)
    return status.error();
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

bool qrt::hasCodeFor(const Module &module, qopt::DeviceKind device) {
  auto has = [&](std::string_view name) { return !module.section(name).empty(); };
  if (!has(qopt::kCudaHostSection))
    return false;
  if (device == qopt::DeviceKind::Sim)
    return has(qopt::kSimSection);
  const std::vector<qopt::Section> &sections = module.sections();
  return std::any_of(sections.begin(), sections.end(), [](const qopt::Section &section) {
    return qopt::isCubinSection(section.name) || qopt::isPtxSection(section.name);
  });
}

Result<std::unique_ptr<Session>> qrt::createOnDevice(std::shared_ptr<const Module> module, const qopt::DeviceName &name,
                                                     const SessionOptions &options) {
  std::string kind(qopt::deviceKindName(name.kind));
  if (!hasCodeFor(*module, name.kind))
    return Error{"the module has no code for device " + kind +
                 (name.kind == qopt::DeviceKind::Sim ? "; compile the model with --target=sim (or cuda,sim)"
                                                     : "; run with --device=cpu")};
  // The code of a device computes sizes on the host.
  if (!machineHas(qopt::kHostV3))
    return Error{"the module's code for device " + kind + " needs a CPU of " + std::string(qopt::kHostV3.name)};
  auto session = std::make_unique<DeviceSession>(std::move(module), options.threads);
  if (Status status = session->load(name, options); !status)
    return status.error();
  return std::unique_ptr<Session>(std::move(session));
}
