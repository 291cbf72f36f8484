//===- Context.h - One call of an entry point -----------------------------===//
#ifndef QOPT_LIB_RUNTIME_CONTEXT_H
#define QOPT_LIB_RUNTIME_CONTEXT_H

#include "qopt/Runtime/Runtime.h"
#include <mutex>
#include <unordered_map>

/// What generated code holds a pointer to while it runs.
struct QrtContext {
  qrt::ThreadPool &threads;
  std::mutex mutex; // tasks may allocate and fail
  std::unordered_map<void *, int64_t> allocations;
  int64_t code = QRT_OK, a = 0, b = 0;

  explicit QrtContext(qrt::ThreadPool &threads) : threads(threads) {}
  /// Releases what generated code did not.
  ~QrtContext();
};

namespace qrt {

/// Calls `entry` within `context`; what went wrong is in `context.code`, or an
/// Error where the outputs are not what the ABI promises.
Result<std::vector<Tensor>> call(QrtContext &context, QrtEntry entry, std::span<const void *const> parameters,
                                 std::span<const Tensor> inputs, size_t numOutputs);

/// The error in `context` as text.
qopt::Error describeError(const QrtContext &context);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_CONTEXT_H
