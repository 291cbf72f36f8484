#include "CacheEntries.h"
#include "Context.h"
#include "Device.h"
#include "DeviceSession.h"
#include "Shapes.h"
#include "qopt/Support/Utf8.h"

using namespace qrt;
using qopt::EntryPoint;
using qopt::Error;
using qopt::Module;
using qopt::printable;

//===----------------------------------------------------------------------===//
// Which host code
//===----------------------------------------------------------------------===//

static const char *const levels[] = {"x86-64-v4", "x86-64-v3"}; // best first

bool qrt::machineHas(const std::string &level) {
  __builtin_cpu_init();
  bool hasV3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt") &&
               __builtin_cpu_supports("movbe");
  if (level == "x86-64-v3")
    return hasV3;
  return hasV3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni");
}

std::string qrt::hostLevel() {
  for (const char *level : levels)
    if (machineHas(level))
      return level;
  return {};
}

/// The levels that `module` has code for, best first.
static std::vector<std::string> levelsIn(const Module &module) {
  std::vector<std::string> found;
  for (const char *level : levels)
    if (!module.section(std::string("host:") + level).empty())
      found.push_back(level);
  return found;
}

static std::string join(const std::vector<std::string> &items) {
  std::string result;
  for (const std::string &item : items)
    result += (result.empty() ? "" : ", ") + item;
  return result;
}

static Result<std::string> chooseLevel(const Module &module, const std::string &forced) {
  std::vector<std::string> inModule = levelsIn(module);
  if (inModule.empty())
    return Error{"the module has no code for a CPU"};
  if (!forced.empty() && forced != levels[0] && forced != levels[1])
    return Error{"host level '" + printable(forced) + "' is not known; there are " + levels[0] + " and " + levels[1]};
  std::string best = hostLevel();
  for (const std::string &level : inModule)
    if (machineHas(level) && (forced.empty() || forced == level))
      return level;
  if (!forced.empty())
    return Error{"host level " + forced + " was asked for, but the module has " + join(inModule) +
                 " and this machine is " + (best.empty() ? "below x86-64-v3" : best)};
  return Error{"the module has code for " + join(inModule) + ", but this machine is " +
               (best.empty() ? "below x86-64-v3" : best)};
}

//===----------------------------------------------------------------------===//
// Session
//===----------------------------------------------------------------------===//

namespace {
class HostSession final : public Session {
public:
  HostSession(std::shared_ptr<const Module> module, std::string level, int threads)
      : loaded(std::move(module)), level(std::move(level)), section("host:" + this->level), pool(threads) {}

  Status load();
  const Module &module() const override { return *loaded; }
  const std::string &device() const override { return label; }
  std::string description() const override {
    return "cpu (" + level + ", " + std::to_string(pool.size()) + " threads)";
  }
  const std::string &code() const override { return section; }
  ThreadPool &threads() override { return pool; }
  Result<std::vector<Tensor>> run(const std::string &name, std::span<const Tensor> inputs) override;
  Result<std::unique_ptr<Decoder>> makeDecoder(int64_t batch, int64_t capacity) override;
  /// Without checks of the inputs.
  Result<std::vector<Tensor>> runEntry(const EntryPoint &entry, std::span<const Tensor> inputs);

private:
  std::shared_ptr<const Module> loaded;
  const std::string label = "cpu", level, section;
  ThreadPool pool;
  EntryTable entries;
  std::vector<const void *> parameters;
};
} // namespace

Status HostSession::load() {
  if (Status status = entries.load(*loaded, section); !status)
    return status;
  for (size_t i = 0; i < loaded->info().parameters.size(); ++i)
    parameters.push_back(loaded->parameter(i).data());
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
  Result<std::vector<Tensor>> outputs = call(context, entries[entry.name], parameters, inputs, entry.outputs.size());
  if (!outputs)
    return context.failed() ? describeError(context, *loaded) : outputs.error();
  return outputs;
}

namespace {
class HostDecoder final : public Decoder {
public:
  HostDecoder(HostSession &session, const CacheEntries &entries, int64_t batch, int64_t capacity)
      : Decoder(entries, batch, capacity), session(session), inputs{Tensor(), Tensor(ElementType::I64, {1})} {
    for (const qopt::TensorInfo &cache : entries.caches())
      inputs.emplace_back(cache.type, cacheDims(cache, batch, capacity));
  }

private:
  Result<Tensor> call(const EntryPoint &entry, const Tensor &ids) override {
    inputs[0] = ids;
    *inputs[1].data<int64_t>() = length();
    Result<std::vector<Tensor>> outputs = session.runEntry(entry, inputs);
    if (!outputs)
      return outputs.error();
    return std::move(outputs->front());
  }

  HostSession &session;
  std::vector<Tensor> inputs; // tokens, their number so far, caches
};
} // namespace

Result<std::unique_ptr<Decoder>> HostSession::makeDecoder(int64_t batch, int64_t capacity) {
  Result<std::optional<CacheEntries>> found = findCacheEntries(*loaded, batch, capacity);
  if (!found)
    return found.error();
  if (!*found)
    return std::unique_ptr<Decoder>();
  try {
    return std::unique_ptr<Decoder>(std::make_unique<HostDecoder>(*this, **found, batch, capacity));
  } catch (const std::bad_alloc &) {
    return Error{"out of memory: the caches of " + std::to_string(capacity) + " tokens do not fit"};
  }
}

Status EntryTable::load(const Module &module, const std::string &section) {
  Result<std::shared_ptr<const HostCode>> loaded = HostCode::load(module.section(section));
  if (!loaded)
    return loaded.error();
  code = std::move(*loaded);
  for (const EntryPoint &entry : module.info().entryPoints) {
    QrtEntry function = code->entry(entry.name);
    if (!function)
      return Error{"the code for " + section.substr(section.find(':') + 1) + " lacks the entry point '" +
                   printable(entry.name) + "'"};
    entries[entry.name] = function;
  }
  return {};
}

static Result<std::unique_ptr<Session>> createOnHost(std::shared_ptr<const Module> module,
                                                     const SessionOptions &options) {
  Result<std::string> chosen = chooseLevel(*module, options.hostLevel);
  if (!chosen)
    return chosen.error();
  auto session = std::make_unique<HostSession>(std::move(module), *chosen, options.threads);
  if (Status status = session->load(); !status)
    return status.error();
  return std::unique_ptr<Session>(std::move(session));
}

/// The CUDA device if there is one, it works, and the module has code for it.
static Result<std::unique_ptr<Session>> createOnBest(std::shared_ptr<const Module> module,
                                                     const SessionOptions &options) {
  if (options.hostLevel.empty() && hasCodeFor(*module, "cuda") && hasCudaDevice()) {
    Result<std::unique_ptr<Session>> session = createOnDevice(module, "cuda", options);
    if (session)
      return session;
    if (options.onWarning)
      options.onWarning(session.error().message + "; running on the CPU");
  }
  return createOnHost(std::move(module), options);
}

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Module> module, const SessionOptions &options) {
  if (options.device == "auto")
    return createOnBest(std::move(module), options);
  if (options.device == "cpu")
    return createOnHost(std::move(module), options);
  return createOnDevice(std::move(module), options.device, options);
}
