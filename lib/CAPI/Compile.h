//===- Compile.h - Strings and callbacks to a compilation -----------------===//
//
// What qopt.cpp hands to the driver, and what comes back.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CAPI_COMPILE_H
#define QOPT_LIB_CAPI_COMPILE_H

#include "Guard.h"
#include "qopt/Driver/CommandLine.h"
#include "qopt/Driver/CompileReport.h"
#include "qopt/Support/File.h"
#include <atomic>
#include <memory>
#include <mutex>

struct qopt_result {
  qopt::CompileReport report;
  std::string json, path;
  std::optional<qopt::MappedFile> bytes; ///< of output in memory: a file that has no name any more
};

namespace qopt::capi {

using Arguments = std::vector<std::string>;

/// A copy of the caller's callbacks, which are called one at a time, and no more once the call is
/// over: threads that never end may still want to.
class Listener {
public:
  explicit Listener(const qopt_callbacks &callbacks) : callbacks(callbacks) {}
  void connect(CompileOptions &options);
  void disconnect();

private:
  template <typename Function>
  void call(Function function);

  qopt_callbacks callbacks;
  std::mutex mutex;
  bool isConnected = true;
};

/// One compilation, with all that it uses.
struct Job {
  Job(std::shared_ptr<std::atomic<bool>> cancelled, const qopt_callbacks &callbacks)
      : cancelled(std::move(cancelled)), listener(callbacks) {}

  CompileOptions options;
  Request request = Request::Compile;
  std::shared_ptr<std::atomic<bool>> cancelled;
  Listener listener;
  std::unique_ptr<qopt_result> result = std::make_unique<qopt_result>();
};

/// Parses `arguments`, none of which may be the command's alone.
Status parseArguments(CommandLine &line, const Arguments &arguments);

/// Compiles. `isInMemory`: the output is read and its file removed.
Outcome compile(Job &job, bool isInMemory);

/// The layer as C sees it; strings are those of `layer`.
qopt_layer describe(const LayerReport &layer);

} // namespace qopt::capi

#endif // QOPT_LIB_CAPI_COMPILE_H
