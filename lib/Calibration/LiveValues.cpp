//===- LiveValues.cpp - What is alive between two stages ------------------===//
//
// A table of handles; the tensors are the store's.
//
//===----------------------------------------------------------------------===//
#include "LiveValues.h"

using namespace mlir;
using namespace qopt;

Status LiveValues::start(func::FuncOp function, std::vector<SampleBatch> &batches) {
  live.resize(batches.size());
  for (size_t i = 0; i < batches.size(); ++i)
    for (auto [argument, input] : llvm::zip(function.getArguments(), batches[i].inputs)) {
      if (Status status = set(i, Quantized, argument, std::move(input)); !status)
        return status;
      share(i, argument);
    }
  return {};
}

Result<qrt::Tensor> LiveValues::load(size_t batch, Stream stream, Value value) {
  ValueStore::Handle handle = live[batch][stream].lookup(value);
  if (!handle)
    return Error{"a value does not depend on the inputs"};
  return store.get(handle);
}

Status LiveValues::loadAhead(size_t batch, Value value, const ParallelFor &parallelFor, Matrix<float> &ahead) {
  if (!value || isShared(batch, value))
    return {};
  Result<qrt::Tensor> quantized = load(batch, Quantized, value), original = load(batch, Float, value);
  for (const Result<qrt::Tensor> *tensor : {&quantized, &original})
    if (!*tensor)
      return tensor->error();
  int64_t cols = original->dims().back(), rows = original->numElements() / std::max<int64_t>(cols, 1);
  ahead = Matrix<float>(rows, cols);
  const float *from = original->data<float>(), *less = quantized->data<float>();
  parallelFor(rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * cols; i < end * cols; ++i)
      ahead.values[i] = from[i] - less[i];
  });
  return {};
}

Status LiveValues::set(size_t batch, Stream stream, Value value, qrt::Tensor tensor) {
  Result<ValueStore::Handle> handle = store.put(std::move(tensor));
  if (!handle)
    return handle.error();
  live[batch][stream][value] = *handle;
  return {};
}

void LiveValues::share(size_t batch, Value value) {
  ValueStore::Handle handle = live[batch][Quantized].lookup(value);
  live[batch][Float][value] = handle;
}

bool LiveValues::isShared(size_t batch, Value value) const {
  return live[batch][Quantized].lookup(value) == live[batch][Float].lookup(value);
}

void LiveValues::alias(size_t batch, Value value, Value other) {
  for (Handles &stream : live[batch]) {
    ValueStore::Handle handle = stream.lookup(other);
    stream[value] = handle;
  }
}

void LiveValues::erase(size_t batch, Value value) {
  for (Handles &stream : live[batch])
    stream.erase(value);
}

SmallVector<Value> LiveValues::values() const {
  SmallVector<Value> values;
  if (!live.empty())
    for (auto &[value, handle] : live.front()[Quantized])
      values.push_back(value);
  return values;
}

void LiveValues::clear() {
  for (std::array<Handles, 2> &batch : live)
    for (Handles &stream : batch)
      stream.clear();
}

std::vector<const void *> LiveValues::identity(Stream stream, Value value) const {
  std::vector<const void *> handles;
  for (const std::array<Handles, 2> &batch : live)
    handles.push_back(batch[stream].lookup(value).get());
  return handles;
}
