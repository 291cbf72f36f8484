//===- Context.h - One call of an entry point -----------------------------===//
//
// Generated code has no state of its own: all of it is here, one object per call.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_CONTEXT_H
#define QOPT_LIB_RUNTIME_CONTEXT_H

#include "qopt/Runtime/Runtime.h"
#include <mutex>
#include <string>
#include <unordered_map>

/// What generated code holds a pointer to while it runs: where its memory comes
/// from, and what went wrong.
struct QrtContext {
  qrt::ThreadPool &threads;
  std::mutex mutex;                                // tasks may allocate and fail
  std::unordered_map<void *, int64_t> allocations; // memory that code holds: bytes asked
  int64_t code = QRT_OK, a = 0, b = 0;
  std::string message; // what went wrong, where the runtime knows more than `code`

  explicit QrtContext(qrt::ThreadPool &threads) : threads(threads) {}
  virtual ~QrtContext() = default;

  /// The first error wins.
  void fail(int64_t code, int64_t a, int64_t b, std::string message = {});
  bool failed() const { return code != QRT_OK; }

  // As in QrtApi.
  virtual void *allocate(int64_t bytes) = 0;
  virtual void release(void *memory) = 0;
  virtual void launch(const QrtLaunch &launch, void *const *args) = 0;
  virtual void *errors() = 0;
  virtual int64_t capability() = 0;
  virtual void tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) = 0;
  /// Called when the entry point has returned: waits, and looks for errors that it
  /// cannot have seen.
  virtual void finish() {}
};

namespace qrt {

/// Memory of the host.
class HostContext final : public QrtContext {
public:
  using QrtContext::QrtContext;
  /// Releases what generated code did not.
  ~HostContext() override;
  void *allocate(int64_t bytes) override;
  void release(void *memory) override;
  void launch(const QrtLaunch &launch, void *const *args) override;
  void *errors() override;
  int64_t capability() override { return 0; }
  void tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) override;
};

/// Calls `entry` within `context`. What went wrong is in `context`, or an Error
/// where the outputs are not what the ABI promises. The memory of the outputs is
/// still in `context.allocations`, each in its own.
Result<std::vector<QrtTensor>> callEntry(QrtContext &context, QrtEntry entry, std::span<const void *const> parameters,
                                         std::span<const QrtTensor> inputs, size_t numOutputs);

/// The same on the host; the outputs own their memory.
Result<std::vector<Tensor>> call(HostContext &context, QrtEntry entry, std::span<const void *const> parameters,
                                 std::span<const Tensor> inputs, size_t numOutputs);

/// The error in `context` as text; the second form knows what the numbers mean in
/// `module`.
qopt::Error describeError(const QrtContext &context);
qopt::Error describeError(const QrtContext &context, const qopt::Module &module);

/// The host code of a section, and the entry points of its module in it.
class EntryTable {
public:
  /// Error: the section is no host code, or lacks an entry point of the module.
  Status load(const qopt::Module &module, std::string_view section);
  QrtEntry operator[](const std::string &name) const { return entries.find(name)->second; }

private:
  std::shared_ptr<const HostCode> code;
  std::unordered_map<std::string, QrtEntry> entries;
};

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_CONTEXT_H
