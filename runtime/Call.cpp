//===- Call.cpp - One call of an entry point ------------------------------===//
//
// The functions that generated code gets through QrtApi, and what must hold of the
// outputs before anyone believes them.
//
//===----------------------------------------------------------------------===//
#include "Context.h"
#include "HostMemory.h"
#include "Shapes.h"
#include "qopt/Support/CheckedMath.h"
#include <cstdlib>

using namespace qrt;
using qopt::Error;

//===----------------------------------------------------------------------===//
// What generated code can call
//===----------------------------------------------------------------------===//

static constexpr QrtApi api = {
    [](QrtContext *context, int64_t bytes) { return context->allocate(bytes); },
    [](QrtContext *context, void *memory) { context->release(memory); },
    [](QrtContext *context, QrtTask task, void *args, int64_t count, int64_t grain) {
      context->threads.parallelFor(task, args, count, grain);
    },
    [](QrtContext *context, int64_t code, int64_t a, int64_t b) { context->fail(code, a, b); },
    [](QrtContext *context, const QrtLaunch *launch, void *const *args) { context->launch(*launch, args); },
    [](QrtContext *context) { return context->errors(); },
    [](QrtContext *context) { return context->capability(); },
    [](QrtContext *context, void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) {
      context->tensorMap(map, data, rows, rowBytes, boxRows);
    },
};

void QrtContext::fail(int64_t newCode, int64_t newA, int64_t newB, std::string text) {
  std::lock_guard<std::mutex> lock(mutex);
  if (failed())
    return;
  code = newCode;
  a = newA;
  b = newB;
  message = std::move(text);
}

//===----------------------------------------------------------------------===//
// Memory of the host
//===----------------------------------------------------------------------===//

void *HostContext::allocate(int64_t bytes) {
  void *memory = allocateHostMemory(bytes);
  if (!memory) {
    fail(QRT_OUT_OF_MEMORY, bytes, 0);
    return nullptr;
  }
  std::lock_guard<std::mutex> lock(mutex);
  allocations.emplace(memory, bytes);
  return memory;
}

void HostContext::release(void *memory) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (allocations.erase(memory) == 0)
      return;
  }
  std::free(memory);
}

void HostContext::launch(const QrtLaunch &launch, void *const *) {
  fail(QRT_LAUNCH_FAILED, launch.kernel, 0, "the code launches kernels, but it was started on the CPU");
}

void *HostContext::errors() {
  fail(QRT_LAUNCH_FAILED, 0, 0, "the code launches kernels, but it was started on the CPU");
  return nullptr;
}

void HostContext::tensorMap(void *, const void *, int64_t, int64_t, int64_t) {
  fail(QRT_LAUNCH_FAILED, 0, 0, "the code describes tensors for a GPU, but it was started on the CPU");
}

HostContext::~HostContext() {
  for (auto [memory, bytes] : allocations)
    std::free(memory);
}

//===----------------------------------------------------------------------===//
// Calling
//===----------------------------------------------------------------------===//

Error qrt::describeError(const QrtContext &context) {
  if (!context.message.empty())
    return {context.message};
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

Error qrt::describeError(const QrtContext &context, const qopt::Module &module) {
  int64_t vocabulary = module.info().vocabularySize;
  if (context.message.empty() && context.code == QRT_INDEX_OUT_OF_RANGE && vocabulary > 0 && context.b == vocabulary)
    return beyondVocabulary(context.a, vocabulary);
  return describeError(context);
}

/// Whether output `index` is a tensor in memory of this call.
static Status checkOutput(const std::unordered_map<void *, int64_t> &allocations, const QrtTensor &output,
                          size_t index) {
  auto fault = [&](const std::string &what) {
    return Error{"the code of the module returned " + what + " as output " + std::to_string(index)};
  };
  std::optional<ElementType> type = qopt::elementTypeByNumber(output.type);
  if (!type)
    return fault("element type " + std::to_string(output.type));
  if (output.rank < 0 || output.rank > QRT_MAX_RANK)
    return fault("rank " + std::to_string(output.rank));
  std::optional<int64_t> elements = qopt::checkedNumElements({output.dims, static_cast<size_t>(output.rank)});
  std::optional<int64_t> bytes = elements ? qopt::checkedMul(*elements, qopt::elementBytes(*type)) : std::nullopt;
  if (!bytes)
    return fault("an impossible shape");
  auto found = allocations.find(output.data);
  if (found == allocations.end())
    return fault("memory that it did not allocate");
  if (found->second < *bytes)
    return fault("a shape of " + std::to_string(*bytes) + " bytes in " + std::to_string(found->second) +
                 " bytes of memory");
  return {};
}

Result<std::vector<QrtTensor>> qrt::callEntry(QrtContext &context, QrtEntry entry,
                                              std::span<const void *const> parameters,
                                              std::span<const QrtTensor> inputs, size_t numOutputs) {
  std::vector<QrtTensor> outputs(numOutputs);
  int64_t code = entry(&api, &context, parameters.data(), inputs.data(), outputs.data());
  context.finish();
  if (code != QRT_OK)
    context.fail(code, 0, 0); // where it was returned without having been recorded
  if (context.failed())
    return describeError(context);

  // Two outputs in the same memory are a fault as well.
  std::unordered_map<void *, int64_t> unused = context.allocations;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (Status status = checkOutput(unused, outputs[i], i); !status)
      return status.error();
    unused.erase(outputs[i].data);
  }
  return outputs;
}

Result<std::vector<Tensor>> qrt::call(HostContext &context, QrtEntry entry, std::span<const void *const> parameters,
                                      std::span<const Tensor> inputs, size_t numOutputs) {
  std::vector<QrtTensor> rawInputs;
  for (const Tensor &input : inputs)
    rawInputs.push_back(input.raw());
  Result<std::vector<QrtTensor>> rawOutputs = callEntry(context, entry, parameters, rawInputs, numOutputs);
  if (!rawOutputs)
    return rawOutputs.error();
  std::vector<Tensor> outputs;
  for (const QrtTensor &output : *rawOutputs) {
    context.allocations.erase(output.data);
    outputs.push_back(Tensor::adopt(output));
  }
  return outputs;
}

Result<std::vector<Tensor>> qrt::call(QrtEntry entry, ThreadPool &threads, std::span<const void *const> parameters,
                                      std::span<const Tensor> inputs, size_t numOutputs) {
  HostContext context(threads);
  return call(context, entry, parameters, inputs, numOutputs);
}
