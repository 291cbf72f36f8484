//===- HostSession.cpp - A module that runs on the CPU --------------------===//
//
// Weights are read where the file is mapped, or from a copy in huge pages when a text is
// written, and caches are memory of the host.
//
//===----------------------------------------------------------------------===//
#include "CacheEntries.h"
#include "Context.h"
#include "HostLevel.h"
#include "Sessions.h"
#include "Shapes.h"
#include "WeightCopy.h"
#include "qopt/Support/Memory.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>

using namespace qrt;
using qopt::EntryPoint;
using qopt::Error;
using qopt::Module;

//===----------------------------------------------------------------------===//
// Session
//===----------------------------------------------------------------------===//

namespace {
class HostSession final : public Session {
public:
  HostSession(std::shared_ptr<const Module> module, const qopt::HostLevel &level, int threads)
      : loaded(std::move(module)), level(level.name), section(qopt::hostSection(level)), pool(threads) {}

  Status load();
  const Module &module() const override { return *loaded; }
  const std::string &device() const override { return label; }
  std::string description() const override {
    return label + " (" + level + ", " + std::to_string(pool.size()) + " threads)";
  }
  const std::string &code() const override { return section; }
  int64_t copiedWeightBytes() const override { return weights->bytes(); }
  ThreadPool &threads() override { return pool; }
  Result<std::vector<Tensor>> run(const std::string &name, std::span<const Tensor> inputs) override;
  Result<std::unique_ptr<Decoder>> makeDecoder(int64_t batch, int64_t capacity) override;
  /// For many calls of one token, which do little else than read weights.
  void copyWeights() { weights->start(); }
  /// Without checks of the inputs.
  Result<std::vector<Tensor>> runEntry(const EntryPoint &entry, std::span<const Tensor> inputs);

private:
  std::shared_ptr<const Module> loaded;
  const std::string label{qopt::deviceKindName(qopt::DeviceKind::Cpu)}, level, section;
  ThreadPool pool;
  EntryTable entries;
  std::unique_ptr<WeightCopy> weights;
};
} // namespace

Status HostSession::load() {
  if (Status status = entries.load(*loaded, section); !status)
    return status;
  std::vector<const void *> parameters;
  for (size_t i = 0; i < loaded->info().parameters.size(); ++i)
    parameters.push_back(loaded->parameter(i).data());
  weights = std::make_unique<WeightCopy>(loaded->section(qopt::kWeightsSection), std::move(parameters));
  return {};
}

Result<std::vector<Tensor>> HostSession::run(const std::string &name, std::span<const Tensor> inputs) {
  SymbolSizes symbols;
  Result<const EntryPoint *> entry = findEntry(*loaded, name, inputs, symbols);
  if (!entry)
    return entry.error();
  Result<std::vector<Tensor>> outputs = runEntry(**entry, inputs);
  if (!outputs)
    return outputs;
  // Code that disagrees with the header it came with must not be believed.
  if (Status status = checkTensors("output", (*entry)->outputs, *outputs, symbols); !status)
    return status.error();
  return outputs;
}

Result<std::vector<Tensor>> HostSession::runEntry(const EntryPoint &entry, std::span<const Tensor> inputs) {
  HostContext context(pool);
  Result<std::vector<Tensor>> outputs =
      call(context, entries[entry.name], weights->places(), inputs, entry.outputs.size());
  if (!outputs)
    return context.failed() ? describeError(context, *loaded) : outputs.error();
  // The weights were compared meanwhile.
  if (Status status = loaded->verify(); !status)
    return status.error();
  return outputs;
}

//===----------------------------------------------------------------------===//
// Decoder
//===----------------------------------------------------------------------===//

namespace {
class HostDecoder final : public Decoder {
public:
  HostDecoder(HostSession &session, const CacheEntries &entries, int64_t batch, int64_t capacity)
      : Decoder(entries, batch, capacity), session(session) {
    for (const qopt::TensorInfo &cache : entries.caches())
      caches.emplace_back(cache.type, cacheDims(cache, batch, capacity));
  }

private:
  Result<Tensor> call(const EntryPoint &entry, const Tensor &ids, int64_t firstRow) override {
    if (ids.dims().back() == 1)
      session.copyWeights();
    int64_t rows = ids.dims().front();
    std::span<const int64_t> past = lengths(firstRow, rows);
    std::vector<Tensor> inputs{ids, Tensor(ElementType::I64, {static_cast<int64_t>(past.size())})};
    std::copy(past.begin(), past.end(), inputs[1].data<int64_t>());
    for (const Tensor &cache : caches)
      inputs.push_back(rows < batch() ? cache.rowOf(firstRow) : cache);
    Result<std::vector<Tensor>> outputs = session.runEntry(entry, inputs);
    if (!outputs)
      return outputs.error();
    for (size_t i = CacheEntries::numPlainInputs; i < inputs.size(); ++i)
      if (Status status = checkRange(entry.inputs[i], inputs[i], ids.dims().back(), firstRow); !status)
        return status.error();
    return std::move(outputs->front());
  }

  /// The code writes the largest float16 for what is beyond: attention would be wrong from then on.
  Status checkRange(const qopt::TensorInfo &info, const Tensor &cache, int64_t tokens, int64_t firstRow) const {
    if (cache.type() != ElementType::F16)
      return {};
    constexpr uint16_t largest = 0x7bff, magnitude = 0x7fff;
    std::span<const int64_t> dims = cache.dims();
    const auto *data = cache.data<uint16_t>();
    for (int64_t head = 0; head < dims[0] * dims[1]; ++head) {
      const uint16_t *first = data + (head * dims[2] + length(firstRow + head / dims[1])) * dims[3];
      bool isBeyond =
          std::any_of(first, first + tokens * dims[3], [](uint16_t bits) { return (bits & magnitude) == largest; });
      if (isBeyond)
        return Error{"cache '" + qopt::printable(info.name) +
                     "': a key or value is beyond 65504, the largest float16: compile with --cache-type=f32"};
    }
    return {};
  }

  HostSession &session;
  std::vector<Tensor> caches;
};
} // namespace

Result<std::unique_ptr<Decoder>> HostSession::makeDecoder(int64_t batch, int64_t capacity) {
  Result<std::optional<CacheEntries>> found = findCacheEntries(*loaded, batch, capacity);
  if (!found)
    return found.error();
  if (!*found)
    return std::unique_ptr<Decoder>();
  // The system gives memory that it does not have, and ends the process when it is used.
  std::optional<int64_t> needed = cacheBytes((*found)->caches(), batch, capacity);
  int64_t free = qopt::availableMemory();
  auto doNotFit = [&] {
    return Error{"out of memory: the caches of " + std::to_string(capacity) +
                 " tokens do not fit: " + (needed ? std::to_string(*needed) : "more than 2^63") +
                 " bytes are needed, " + std::to_string(free) + " are free"};
  };
  if (!needed || *needed > free)
    return doNotFit();
  try {
    return std::unique_ptr<Decoder>(std::make_unique<HostDecoder>(*this, **found, batch, capacity));
  } catch (const std::bad_alloc &) {
    return doNotFit();
  }
}

Result<std::unique_ptr<Session>> qrt::createOnHost(std::shared_ptr<const Module> module,
                                                   const SessionOptions &options) {
  Result<qopt::HostLevel> chosen = chooseLevel(*module, options.hostLevel);
  if (!chosen)
    return chosen.error();
  auto session = std::make_unique<HostSession>(std::move(module), *chosen, options.threads);
  if (Status status = session->load(); !status)
    return status.error();
  return std::unique_ptr<Session>(std::move(session));
}
