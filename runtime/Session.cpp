#include "Context.h"
#include "qopt/Module/ElementType.h"
#include "qopt/Support/Utf8.h"
#include <map>

using namespace qrt;
using qopt::Dimension;
using qopt::EntryPoint;
using qopt::Error;
using qopt::Module;
using qopt::printable;
using qopt::TensorInfo;

//===----------------------------------------------------------------------===//
// Which host code
//===----------------------------------------------------------------------===//

static const char *const levels[] = {"x86-64-v4", "x86-64-v3"}; // best first

static bool machineHas(const std::string &level) {
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
// Shapes as declared
//===----------------------------------------------------------------------===//

static std::string describe(const TensorInfo &info) {
  std::string text = std::string(qopt::elementTypeName(info.type)) + " [";
  for (const Dimension &dim : info.dims)
    text += (text.back() == '[' ? "" : ", ") + (dim.symbol.empty() ? std::to_string(dim.size) : printable(dim.symbol));
  return text + "]";
}

static std::string describe(const Tensor &tensor) {
  std::string text = std::string(qopt::elementTypeName(tensor.type())) + " [";
  for (int64_t dim : tensor.dims())
    text += (text.back() == '[' ? "" : ", ") + std::to_string(dim);
  return text + "]";
}

/// Whether `tensors` are as `infos` declare them; `symbols` holds the sizes seen.
static Status checkTensors(const char *kind, std::span<const TensorInfo> infos, std::span<const Tensor> tensors,
                           std::map<std::string, std::pair<int64_t, std::string>> &symbols) {
  for (size_t i = 0; i < infos.size(); ++i) {
    std::string place = std::string(kind) + " '" + printable(infos[i].name) + "': ";
    const std::vector<int64_t> &dims = tensors[i].dims();
    bool isAsDeclared = tensors[i].type() == infos[i].type && dims.size() == infos[i].dims.size();
    for (size_t axis = 0; isAsDeclared && axis < dims.size(); ++axis) {
      const Dimension &declared = infos[i].dims[axis];
      if (declared.symbol.empty()) {
        isAsDeclared = dims[axis] == declared.size;
        continue;
      }
      auto [known, isNew] = symbols.try_emplace(declared.symbol, dims[axis], infos[i].name);
      if (!isNew && known->second.first != dims[axis])
        return Error{place + "expected " + std::to_string(known->second.first) + " for dimension '" +
                     printable(declared.symbol) + "' as in '" + printable(known->second.second) + "', but got " +
                     std::to_string(dims[axis])};
    }
    if (!isAsDeclared)
      return Error{place + "expected " + describe(infos[i]) + ", but got " + describe(tensors[i])};
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Session
//===----------------------------------------------------------------------===//

namespace {
class HostSession final : public Session {
public:
  HostSession(std::shared_ptr<const Module> module, std::string level, int threads)
      : loaded(std::move(module)), level(std::move(level)), pool(threads) {}

  Status load();
  const Module &module() const override { return *loaded; }
  const std::string &device() const override { return level; }
  ThreadPool &threads() override { return pool; }
  Result<std::vector<Tensor>> run(const std::string &name, std::span<const Tensor> inputs) override;

private:
  std::shared_ptr<const Module> loaded;
  std::string level;
  ThreadPool pool;
  std::shared_ptr<const HostCode> code;
  std::vector<const void *> parameters;
  std::map<std::string, QrtEntry> entries;
};
} // namespace

Status HostSession::load() {
  Result<std::shared_ptr<const HostCode>> hostCode = HostCode::load(loaded->section("host:" + level));
  if (!hostCode)
    return hostCode.error();
  code = std::move(*hostCode);
  for (const EntryPoint &entry : loaded->info().entryPoints) {
    QrtEntry function = code->entry(entry.name);
    if (!function)
      return Error{"the code for " + level + " lacks the entry point '" + printable(entry.name) + "'"};
    entries[entry.name] = function;
  }
  for (size_t i = 0; i < loaded->info().parameters.size(); ++i)
    parameters.push_back(loaded->parameter(i).data());
  return {};
}

Result<std::vector<Tensor>> HostSession::run(const std::string &name, std::span<const Tensor> inputs) {
  const EntryPoint *entry = nullptr;
  for (const EntryPoint &candidate : loaded->info().entryPoints)
    if (candidate.name == name)
      entry = &candidate;
  if (!entry)
    return Error{"the module has no entry point '" + printable(name) + "'"};
  if (inputs.size() != entry->inputs.size())
    return Error{"entry point '" + printable(name) + "' expected " + std::to_string(entry->inputs.size()) +
                 " inputs, but got " + std::to_string(inputs.size())};
  std::map<std::string, std::pair<int64_t, std::string>> symbols;
  if (Status status = checkTensors("input", entry->inputs, inputs, symbols); !status)
    return status.error();

  QrtContext context(pool);
  Result<std::vector<Tensor>> outputs =
      call(context, entries.find(name)->second, parameters, inputs, entry->outputs.size());
  if (!outputs) {
    int64_t vocabulary = loaded->info().vocabularySize;
    if (context.code == QRT_INDEX_OUT_OF_RANGE && vocabulary > 0 && context.b == vocabulary)
      return Error{"token id " + std::to_string(context.a) + " is beyond the vocabulary of " +
                   std::to_string(vocabulary)};
    return outputs.error();
  }
  // Code that disagrees with the header it came with must not be believed.
  if (Status status = checkTensors("output", entry->outputs, *outputs, symbols); !status)
    return status.error();
  return outputs;
}

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Module> module, int threads,
                                                 const std::string &level) {
  Result<std::string> chosen = chooseLevel(*module, level);
  if (!chosen)
    return chosen.error();
  auto session = std::make_unique<HostSession>(std::move(module), *chosen, threads);
  if (Status status = session->load(); !status)
    return status.error();
  return std::unique_ptr<Session>(std::move(session));
}
