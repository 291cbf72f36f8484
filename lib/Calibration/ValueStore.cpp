//===- ValueStore.cpp - Activations between stages ------------------------===//
//
// What does not fit into the limit goes to one temporary file and is read back when it
// is wanted.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/ValueStore.h"

using namespace qopt;

/// A tensor in memory, or its place in the file.
class ValueStore::Item {
public:
  Item(ValueStore &store, qrt::Tensor tensor) : store(store), tensor(std::move(tensor)), size(this->tensor.bytes()) {
    store.inMemory += size;
  }
  Item(ValueStore &store, const qrt::Tensor &tensor, int64_t offset)
      : store(store), type(tensor.type()), dims(tensor.dims()), size(tensor.bytes()), offset(offset) {}
  ~Item() {
    if (offset < 0)
      store.inMemory -= size;
    else
      store.freeExtents.emplace(size, offset);
  }

  ValueStore &store;
  qrt::Tensor tensor;
  ElementType type = ElementType::None;
  std::vector<int64_t> dims;
  int64_t size = 0;
  int64_t offset = -1; ///< in the file; -1: in memory
};

int64_t ValueStore::reserve(int64_t bytes) {
  if (auto found = freeExtents.lower_bound(bytes); found != freeExtents.end()) {
    auto [size, offset] = *found;
    freeExtents.erase(found);
    if (size > bytes)
      freeExtents.emplace(size - bytes, offset + bytes);
    return offset;
  }
  int64_t offset = fileSize;
  fileSize += bytes;
  return offset;
}

Result<ValueStore::Handle> ValueStore::put(qrt::Tensor tensor) {
  int64_t bytes = tensor.bytes();
  if (maxBytes == 0 || bytes <= maxBytes - inMemory)
    return std::make_shared<Item>(*this, std::move(tensor));
  if (!file) {
    Result<UnlinkedFile> created = UnlinkedFile::create();
    if (!created)
      return created.error();
    file = std::move(*created);
  }
  auto item = std::make_shared<Item>(*this, tensor, reserve(bytes));
  if (Status status = file->write(item->offset, {tensor.data<char>(), static_cast<size_t>(bytes)}); !status)
    return status.error();
  return item;
}

Result<qrt::Tensor> ValueStore::get(const Handle &handle) {
  if (handle->offset < 0)
    return handle->tensor;
  qrt::Tensor tensor(handle->type, handle->dims);
  if (Status status = file->read(handle->offset, {tensor.data<char>(), static_cast<size_t>(handle->size)}); !status)
    return status.error();
  return tensor;
}
