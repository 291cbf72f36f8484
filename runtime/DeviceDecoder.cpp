//===- DeviceDecoder.cpp - Texts that grow on a device --------------------===//
//
// The first step of one token finds the memory that a step needs, the second is recorded,
// the others are replayed: a launch for all kernels instead of one for each.
//
//===----------------------------------------------------------------------===//
#include "DeviceDecoder.h"
#include "CacheEntries.h"
#include "qopt/Support/CheckedMath.h"
#include <cstring>
#include <limits>

using namespace qrt;
using qopt::EntryPoint;
using qopt::Error;

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
    QrtTensor &tensor = this->caches.emplace_back(QrtTensor{*place, static_cast<int64_t>(cache.type), 4, {}});
    std::copy(dims.begin(), dims.end(), tensor.dims);
  }
  inputs.insert(inputs.end(), this->caches.begin(), this->caches.end());
  Result<void *> place = memory.allocate(tokensOffset(batch()) + batch() * int64_t(sizeof(int64_t)));
  if (!place)
    return place.error();
  step = *place;
  return {};
}

/// One copy carries the numbers of tokens so far and the new tokens.
Status DeviceDecoder::upload(void *place, const Tensor &ids, int64_t firstRow) {
  int64_t rows = ids.dims()[0], offset = tokensOffset(rows);
  std::vector<char> bytes(static_cast<size_t>(offset + ids.bytes()));
  std::span<const int64_t> past = lengths(firstRow, rows);
  std::memcpy(bytes.data(), past.data(), past.size_bytes());
  std::memcpy(bytes.data() + offset, ids.data<char>(), static_cast<size_t>(ids.bytes()));
  inputs[0] = ids.raw();
  inputs[0].data = static_cast<char *>(place) + offset;
  inputs[1].data = place;
  inputs[1].dims[0] = static_cast<int64_t>(past.size());
  for (size_t i = 0; i < caches.size(); ++i) {
    QrtTensor &cache = inputs[CacheEntries::numPlainInputs + i] = caches[i];
    cache.dims[0] = rows;
    int64_t rowBytes = cache.dims[1] * cache.dims[2] * cache.dims[3] * qopt::elementBytes(ElementType(cache.type));
    cache.data = static_cast<char *>(cache.data) + firstRow * rowBytes;
  }
  return session.onDevice().upload(place, bytes.data(), static_cast<int64_t>(bytes.size()));
}

Result<Tensor> DeviceDecoder::call(const EntryPoint &entry, const Tensor &ids, int64_t firstRow) {
  if (Status status = session.onDevice().enter(); !status)
    return status.error();
  if (ids.dims()[1] > 1 || ids.dims()[0] < batch()) {
    DeviceMemory &scratch = session.scratch();
    Result<void *> place = scratch.allocate(tokensOffset(ids.dims()[0]) + ids.bytes());
    if (!place)
      return place.error();
    Status status = upload(*place, ids, firstRow);
    Result<Tensor> logits = status ? callOnce(entry, scratch) : Result<Tensor>(status.error());
    scratch.release(*place);
    scratch.endCall();
    return logits;
  }
  if (Status status = upload(step, ids, firstRow); !status)
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
