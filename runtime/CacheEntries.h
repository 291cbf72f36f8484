//===- CacheEntries.h - The entry points of a module that have caches -----===//
//
// A decoder calls two entry points that read and fill the same caches.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_CACHEENTRIES_H
#define QOPT_LIB_RUNTIME_CACHEENTRIES_H

#include "qopt/Runtime/Runtime.h"
#include <optional>

namespace qrt {

/// "prefill" and "decode" (Module.h).
struct CacheEntries {
  const qopt::EntryPoint *prefill, *decode;

  /// Inputs before the caches: the tokens and the number of tokens in the caches.
  static constexpr size_t numPlainInputs = 2;
  std::span<const qopt::TensorInfo> caches() const { return std::span(prefill->inputs).subspan(numPlainInputs); }
  /// Whether the number of tokens is one for each row.
  bool hasLengths() const { return !prefill->inputs[1].dims[0].symbol.empty(); }
};

/// Whether `entry` has any.
bool hasCaches(const qopt::EntryPoint &entry);

/// Those of `module`, nothing where it has none. Errors: they are not as Module.h says,
/// they do not take this batch or capacity.
Result<std::optional<CacheEntries>> findCacheEntries(const qopt::Module &module, int64_t batch, int64_t capacity);

/// The dimensions of one cache.
std::vector<int64_t> cacheDims(const qopt::TensorInfo &cache, int64_t batch, int64_t capacity);

/// The bytes of all caches; nothing when there are more than can be counted.
std::optional<int64_t> cacheBytes(std::span<const qopt::TensorInfo> caches, int64_t batch, int64_t capacity);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_CACHEENTRIES_H
