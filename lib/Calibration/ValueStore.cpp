//===- ValueStore.cpp - Activations between stages ------------------------===//
//
// What does not fit into the limit goes to one temporary file and is read back when it
// is wanted.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/ValueStore.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

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

ValueStore::~ValueStore() {
  if (file >= 0)
    close(file);
}

Status ValueStore::openFile() {
  const char *environment = std::getenv("TMPDIR");
  std::string directory = environment && *environment ? environment : "/tmp";
  file = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    // File systems without O_TMPFILE.
    std::string name = directory + "/qopt-XXXXXX";
    file = mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0)
      unlink(name.c_str());
  }
  if (file < 0)
    return Error{"cannot create a temporary file in " + directory + ": " + std::strerror(errno)};
  return {};
}

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
  if (file < 0)
    if (Status status = openFile(); !status)
      return status.error();
  auto item = std::make_shared<Item>(*this, tensor, reserve(bytes));
  for (int64_t done = 0; done < bytes;) {
    ssize_t count = pwrite(file, tensor.data<char>() + done, bytes - done, item->offset + done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return Error{"cannot keep " + std::to_string(bytes) + " bytes of activations in a temporary file: " +
                   (count < 0 ? std::strerror(errno) : "no space left")};
    done += count;
  }
  return item;
}

Result<qrt::Tensor> ValueStore::get(const Handle &handle) {
  if (handle->offset < 0)
    return handle->tensor;
  qrt::Tensor tensor(handle->type, handle->dims);
  for (int64_t done = 0; done < handle->size;) {
    ssize_t count = pread(file, tensor.data<char>() + done, handle->size - done, handle->offset + done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return Error{std::string("cannot read activations back from a temporary file: ") +
                   (count < 0 ? std::strerror(errno) : "unexpected end")};
    done += count;
  }
  return tensor;
}
