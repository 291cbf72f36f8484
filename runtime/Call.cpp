#include "Context.h"
#include "qopt/Support/CheckedMath.h"
#include <cstdlib>
#include <limits>

using namespace qrt;
using qopt::Error;

//===----------------------------------------------------------------------===//
// What generated code can call
//===----------------------------------------------------------------------===//

static void fail(QrtContext *context, int64_t code, int64_t a, int64_t b) {
  std::lock_guard<std::mutex> lock(context->mutex);
  if (context->code != QRT_OK)
    return;
  context->code = code;
  context->a = a;
  context->b = b;
}

static void *allocate(QrtContext *context, int64_t bytes) {
  void *memory = nullptr;
  if (bytes >= 0 && bytes < std::numeric_limits<int64_t>::max() / 2)
    memory = std::aligned_alloc(64, (static_cast<size_t>(bytes) + 64) / 64 * 64);
  if (!memory) {
    fail(context, QRT_OUT_OF_MEMORY, bytes, 0);
    return nullptr;
  }
  std::lock_guard<std::mutex> lock(context->mutex);
  context->allocations.emplace(memory, bytes);
  return memory;
}

static void release(QrtContext *context, void *memory) {
  {
    std::lock_guard<std::mutex> lock(context->mutex);
    if (context->allocations.erase(memory) == 0)
      return;
  }
  std::free(memory);
}

static void parallelFor(QrtContext *context, QrtTask task, void *args, int64_t count, int64_t grain) {
  context->threads.parallelFor(task, args, count, grain);
}

static constexpr QrtApi api = {allocate, release, parallelFor, fail};

QrtContext::~QrtContext() {
  for (auto [memory, bytes] : allocations)
    std::free(memory);
}

//===----------------------------------------------------------------------===//
// Calling
//===----------------------------------------------------------------------===//

Error qrt::describeError(const QrtContext &context) {
  std::string a = std::to_string(context.a), b = std::to_string(context.b);
  switch (context.code) {
  case QRT_OUT_OF_MEMORY:
    return {"out of memory: " + a + " bytes were needed"};
  case QRT_INDEX_OUT_OF_RANGE:
    return {"index " + a + " is out of range for " + b + " rows"};
  case QRT_SHAPE_MISMATCH:
    return {"sizes " + a + " and " + b + " should be equal"};
  default:
    return {"the code of the module failed with error " + std::to_string(context.code) + " (" + a + ", " + b + ")"};
  }
}

/// Why `output` is not a tensor in memory of this call; empty when it is.
static std::string findFault(const QrtContext &context, const QrtTensor &output) {
  if (elementBytes(output.type) == 0)
    return "element type " + std::to_string(output.type);
  if (output.rank < 0 || output.rank > QRT_MAX_RANK)
    return "rank " + std::to_string(output.rank);
  std::optional<int64_t> elements = qopt::checkedNumElements({output.dims, static_cast<size_t>(output.rank)});
  std::optional<int64_t> bytes = elements ? qopt::checkedMul(*elements, elementBytes(output.type)) : std::nullopt;
  if (!bytes)
    return "an impossible shape";
  auto found = context.allocations.find(output.data);
  if (found == context.allocations.end())
    return "memory that it did not allocate";
  if (found->second < *bytes)
    return "a shape of " + std::to_string(*bytes) + " bytes in " + std::to_string(found->second) + " bytes of memory";
  return {};
}

Result<std::vector<Tensor>> qrt::call(QrtContext &context, QrtEntry entry, std::span<const void *const> parameters,
                                      std::span<const Tensor> inputs, size_t numOutputs) {
  std::vector<QrtTensor> rawInputs, rawOutputs(numOutputs);
  for (const Tensor &input : inputs)
    rawInputs.push_back(input.raw());
  int64_t code = entry(&api, &context, parameters.data(), rawInputs.data(), rawOutputs.data());
  if (code != QRT_OK || context.code != QRT_OK) {
    if (context.code == QRT_OK)
      context.code = code; // returned without having been recorded
    return describeError(context);
  }

  std::vector<Tensor> outputs;
  for (const QrtTensor &output : rawOutputs) {
    if (std::string fault = findFault(context, output); !fault.empty())
      return Error{"the code of the module returned " + fault + " as output " + std::to_string(outputs.size())};
    context.allocations.erase(output.data);
    outputs.push_back(Tensor::adopt(output));
  }
  return outputs;
}

Result<std::vector<Tensor>> qrt::call(QrtEntry entry, ThreadPool &threads, std::span<const void *const> parameters,
                                      std::span<const Tensor> inputs, size_t numOutputs) {
  QrtContext context(threads);
  return call(context, entry, parameters, inputs, numOutputs);
}
