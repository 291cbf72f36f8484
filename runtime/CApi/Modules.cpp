//===- Modules.cpp - The C interface: modules and runs ---------------------===//
//
// Modules, what they take and give, and their runs on arrays.
//
//===----------------------------------------------------------------------===//
#include "../CacheEntries.h"
#include "Handles.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/ElementType.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"
#include <cstring>
#include <thread>

using namespace qrt::capi;
using qopt::EntryPoint;
using qopt::Error;
using qopt::TensorInfo;
using qrt::Result;
using qrt::Tensor;

struct qrt_result {
  std::vector<Tensor> tensors;
  std::vector<QrtTensor> raw;
};

static const EntryPoint *findEntry(const qrt_module *module, const char *name) {
  if (module && name)
    for (const EntryPoint &entry : module->shared->info().entryPoints)
      if (entry.name == name)
        return &entry;
  return nullptr;
}

int qrt_api_version(void) { return QRT_API_VERSION; }

const char *qrt_last_error(void) { return lastError().c_str(); }

static Result<qrt_module *> openSession(std::shared_ptr<const qopt::Module> module, const std::string &device,
                                        int threads) {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  qrt::SessionOptions options;
  options.threads = threads > 0 ? threads : std::max(cores, 1);
  options.device = device;
  auto session = qrt::Session::create(module, options);
  if (!session)
    return session.error();
  return new qrt_module{std::move(module), std::move(*session)};
}

qrt_module *qrt_open(const char *path, int threads) { return qrt_open_on(path, "auto", threads); }

qrt_module *qrt_open_on(const char *path, const char *device, int threads) {
  return guarded<qrt_module *>(nullptr, [&]() -> Result<qrt_module *> {
    if (!path || !device || threads < 0)
      return Error{"expected a path, a device and a number of threads of at least 0, but got " +
                   std::to_string(threads)};
    Result<std::shared_ptr<const qopt::Module>> module = qopt::Module::open(path);
    if (!module)
      return qopt::inFile(path, module.error());
    return openSession(std::move(*module), device, threads);
  });
}

qrt_module *qrt_share(const qrt_module *module, const char *device, int threads) {
  return guarded<qrt_module *>(nullptr, [&]() -> Result<qrt_module *> {
    if (!module || threads < 0)
      return Error{"expected a module and a number of threads of at least 0, but got " + std::to_string(threads)};
    return openSession(module->shared, device ? device : module->session->device(), threads);
  });
}

void qrt_close(qrt_module *module) { delete module; }

const char *qrt_device(const qrt_module *module) { return module ? module->session->device().c_str() : nullptr; }

const char *qrt_code(const qrt_module *module) { return module ? module->session->code().c_str() : nullptr; }

const char *qrt_entry_name(const qrt_module *module, size_t index) {
  if (!module || index >= module->shared->info().entryPoints.size())
    return nullptr;
  return module->shared->info().entryPoints[index].name.c_str();
}

size_t qrt_num_inputs(const qrt_module *module, const char *entry) {
  const EntryPoint *found = findEntry(module, entry);
  return found ? found->inputs.size() : 0;
}

size_t qrt_num_outputs(const qrt_module *module, const char *entry) {
  const EntryPoint *found = findEntry(module, entry);
  return found ? found->outputs.size() : 0;
}

static int describe(const qrt_module *module, const char *entry, size_t index, qrt_tensor_info *info,
                    std::vector<TensorInfo> EntryPoint::*tensors) {
  return guarded<int>(1, [&]() -> Result<int> {
    const EntryPoint *found = findEntry(module, entry);
    if (!found || !info)
      return Error{"there is no entry point '" + std::string(entry ? entry : "") + "'"};
    if (index >= (found->*tensors).size())
      return Error{"there are only " + std::to_string((found->*tensors).size()) + " of these, and number " +
                   std::to_string(index) + " was asked for"};
    const TensorInfo &tensor = (found->*tensors)[index];
    *info = {tensor.name.c_str(), static_cast<int64_t>(tensor.type), static_cast<int64_t>(tensor.dims.size()), {}, {}};
    for (size_t axis = 0; axis < tensor.dims.size(); ++axis) {
      const qopt::Dimension &dim = tensor.dims[axis];
      info->dims[axis] = dim.symbol.empty() ? dim.size : -1;
      info->symbols[axis] = dim.symbol.empty() ? nullptr : dim.symbol.c_str();
    }
    return 0;
  });
}

int qrt_input(const qrt_module *module, const char *entry, size_t index, qrt_tensor_info *info) {
  return describe(module, entry, index, info, &EntryPoint::inputs);
}

int qrt_output(const qrt_module *module, const char *entry, size_t index, qrt_tensor_info *info) {
  return describe(module, entry, index, info, &EntryPoint::outputs);
}

static const char *roleOf(const qrt_module *module, const char *entry, size_t index,
                          std::vector<TensorInfo> EntryPoint::*tensors) {
  const EntryPoint *found = findEntry(module, entry);
  return found && index < (found->*tensors).size() ? qopt::roleName((found->*tensors)[index].role).data() : nullptr;
}

const char *qrt_input_role(const qrt_module *module, const char *entry, size_t index) {
  return roleOf(module, entry, index, &EntryPoint::inputs);
}

const char *qrt_output_role(const qrt_module *module, const char *entry, size_t index) {
  return roleOf(module, entry, index, &EntryPoint::outputs);
}

/// A copy of the caller's tensor, with what it says checked.
static Result<Tensor> copyOf(const QrtTensor &raw) {
  std::optional<qopt::ElementType> type = qopt::elementTypeByNumber(raw.type);
  if (!type || raw.rank < 0 || raw.rank > QRT_MAX_RANK)
    return Error{"has element type " + std::to_string(raw.type) + " and rank " + std::to_string(raw.rank)};
  std::vector<int64_t> dims(raw.dims, raw.dims + raw.rank);
  std::optional<int64_t> elements = qopt::checkedNumElements(dims);
  std::optional<int64_t> bytes = elements ? qopt::checkedMul(*elements, qopt::elementBytes(*type)) : std::nullopt;
  if (!bytes || (*bytes > 0 && !raw.data))
    return Error{"has an impossible shape or no data"};
  Tensor tensor(*type, std::move(dims));
  if (*bytes > 0)
    std::memcpy(tensor.data<char>(), raw.data, static_cast<size_t>(*bytes));
  return tensor;
}

qrt_result *qrt_run(qrt_module *module, const char *entry, const QrtTensor *inputs, size_t num_inputs) {
  return guarded<qrt_result *>(nullptr, [&]() -> Result<qrt_result *> {
    if (!module || !entry || (num_inputs > 0 && !inputs))
      return Error{"a module, the name of an entry point and its inputs are needed"};
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < num_inputs; ++i) {
      Result<Tensor> tensor = copyOf(inputs[i]);
      if (!tensor)
        return Error{"input " + std::to_string(i) + " " + tensor.error().message};
      tensors.push_back(std::move(*tensor));
    }
    Result<std::vector<Tensor>> outputs = module->session->run(entry, tensors);
    if (!outputs)
      return outputs.error();
    auto result = std::make_unique<qrt_result>();
    result->tensors = std::move(*outputs);
    for (const Tensor &tensor : result->tensors)
      result->raw.push_back(tensor.raw());
    return result.release();
  });
}

const QrtTensor *qrt_result_output(const qrt_result *result, size_t index) {
  return result && index < result->raw.size() ? &result->raw[index] : nullptr;
}

void qrt_result_free(qrt_result *result) { delete result; }

/// What a token of one row adds to the caches; 0 without caches.
static Result<int64_t> cacheBytesPerToken(const qopt::Module &module) {
  for (const EntryPoint &entry : module.info().entryPoints) {
    if (entry.name != "decode" || !qrt::hasCaches(entry))
      continue;
    const qopt::Dimension &rows = entry.inputs[0].dims[0];
    int64_t batch = rows.symbol.empty() ? rows.size : 1;
    Result<std::optional<qrt::CacheEntries>> found = qrt::findCacheEntries(module, batch, /*capacity=*/1);
    if (!found)
      return found.error();
    if (*found)
      return qrt::cacheBytes((*found)->caches(), /*batch=*/1, /*capacity=*/1).value_or(0);
  }
  return int64_t(0);
}

int qrt_module_memory(const qrt_module *module, qrt_memory *memory) {
  return guarded<int>(1, [&]() -> Result<int> {
    if (!module || !memory)
      return Error{"a module and a struct to fill are needed"};
    size_t size = memory->size;
    constexpr size_t kFirst = offsetof(qrt_memory, host_weight_bytes); // what version 4 had
    if (qopt::Status status = checkSize("qrt_memory", size, sizeof *memory); size != kFirst && !status)
      return status.error();
    Result<int64_t> perToken = cacheBytesPerToken(*module->shared);
    if (!perToken)
      return perToken.error();
    auto weights = static_cast<int64_t>(module->shared->section(qopt::kWeightsSection).size());
    int64_t copied = module->session->copiedWeightBytes();
    bool isCpu = module->session->device() == qopt::deviceKindName(qopt::DeviceKind::Cpu);
    qrt_memory filled = {size, module->shared->fileBytes(), weights, isCpu ? 0 : copied, *perToken, isCpu ? copied : 0};
    std::memcpy(memory, &filled, size);
    return 0;
  });
}
