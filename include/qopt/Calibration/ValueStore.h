//===- ValueStore.h - Activations between stages --------------------------===//
//
// Activations of all samples wait here for the next stage: in memory up to a
// budget, beyond it in a temporary file without a name, which the system removes
// with the process however that ends.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_VALUESTORE_H
#define QOPT_CALIBRATION_VALUESTORE_H

#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/UnlinkedFile.h"
#include <map>
#include <memory>
#include <optional>

namespace qopt {

class ValueStore {
public:
  /// `maxBytes` kept in memory; 0: no limit.
  explicit ValueStore(int64_t maxBytes) : maxBytes(maxBytes) {}
  ValueStore(const ValueStore &) = delete;
  ValueStore &operator=(const ValueStore &) = delete;

  class Item;
  /// Frees what it stands for with the last copy. Must not outlive the store.
  using Handle = std::shared_ptr<Item>;

  /// Errors: the temporary file cannot be created or written.
  Result<Handle> put(qrt::Tensor tensor);
  Result<qrt::Tensor> get(const Handle &handle);

  int64_t memoryBytes() const { return inMemory; }
  int64_t fileBytes() const { return fileSize; }

private:
  int64_t reserve(int64_t bytes);

  int64_t maxBytes;
  int64_t inMemory = 0;
  std::optional<UnlinkedFile> file;
  int64_t fileSize = 0;
  std::multimap<int64_t, int64_t> freeExtents; ///< size -> offset
};

} // namespace qopt

#endif // QOPT_CALIBRATION_VALUESTORE_H
