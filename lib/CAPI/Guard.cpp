//===- Guard.cpp - Work whose faults are not the caller's -----------------===//
//
// Returning from the handler would let LLVM end the process, and unwinding from it would go
// through code that was not made for it. A thread that waits for ever does neither.
//
//===----------------------------------------------------------------------===//
#include "Guard.h"
#include "qopt/Support/Utf8.h"
#include "llvm/Support/ErrorHandling.h"

#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <pthread.h>
#include <set>
#include <unistd.h>

using namespace qopt;
using namespace qopt::capi;

namespace {

/// A call that waits for its outcome.
struct Call {
  std::function<Outcome()> work;
  std::mutex mutex;
  std::condition_variable ended;
  std::optional<Outcome> outcome;
  bool isStuck = false; ///< whether its thread, or one that it waits for, never goes on

  /// The first outcome counts.
  void end(Outcome result, bool stuck = false) {
    std::lock_guard lock(mutex);
    if (!outcome) {
      outcome = std::move(result);
      isStuck = stuck;
    }
    ended.notify_all();
  }
};

/// The calls under way: a thread of MLIR's that meets a fault does not know whose it is.
struct Calls {
  std::mutex mutex;
  std::set<Call *> all;
};

} // namespace

static Calls &calls() {
  // Never destroyed: threads may stop in it while the process ends.
  static Calls *instance = new Calls;
  return *instance;
}

static thread_local Call *current = nullptr;

/// Ends the call of this thread, or, where it is nobody's, all: one of them depends on it. Comes
/// back where none is under way: then LLVM was called by somebody else.
static void stopThread(qopt_code code, const char *reason) {
  {
    std::lock_guard lock(calls().mutex);
    if (calls().all.empty())
      return;
    for (Call *call : calls().all)
      if (!current || call == current)
        call->end({code, code == QOPT_ERROR_MEMORY ? "out of memory" : "LLVM: " + printable(reason)},
                  /*stuck=*/true);
  }
  for (;;)
    ::pause();
}

static void installHandlers() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::install_fatal_error_handler(
        [](void *, const char *reason, bool) { stopThread(QOPT_ERROR_INTERNAL, reason); });
    llvm::install_bad_alloc_error_handler(
        [](void *, const char *reason, bool) { stopThread(QOPT_ERROR_MEMORY, reason); });
  });
}

static Outcome runCaught(const std::function<Outcome()> &work) {
  try {
    return work();
  } catch (const std::bad_alloc &) {
    return {QOPT_ERROR_MEMORY, "out of memory"};
  } catch (const std::exception &error) {
    return {QOPT_ERROR_INTERNAL, printable(error.what())};
  } catch (...) {
    return {QOPT_ERROR_INTERNAL, "an exception of an unknown type"};
  }
}

static void *runThread(void *argument) {
  // Keeps the call alive where the caller goes on without it.
  std::unique_ptr<std::shared_ptr<Call>> call(static_cast<std::shared_ptr<Call> *>(argument));
  current = call->get();
  (*call)->end(runCaught((*call)->work));
  current = nullptr;
  return nullptr;
}

Outcome qopt::capi::runGuarded(std::function<Outcome()> work) {
  // Passes recurse along the nesting of types and regions.
  constexpr size_t kStackBytes = size_t(64) << 20;
  installHandlers();
  auto call = std::make_shared<Call>();
  call->work = std::move(work);
  {
    std::lock_guard lock(calls().mutex);
    calls().all.insert(call.get());
  }
  auto argument = std::make_unique<std::shared_ptr<Call>>(call);
  pthread_attr_t attributes;
  pthread_t thread;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  int code = ::pthread_create(&thread, &attributes, runThread, argument.get());
  ::pthread_attr_destroy(&attributes);
  if (code == 0) {
    (void)argument.release();
    std::unique_lock lock(call->mutex);
    call->ended.wait(lock, [&] { return call->outcome.has_value(); });
  }
  {
    std::lock_guard lock(calls().mutex);
    calls().all.erase(call.get());
  }
  if (code != 0)
    return {QOPT_ERROR_MEMORY, std::string("cannot start a thread: ") + std::strerror(code)};
  // Nothing of this library runs when the call is over, unless it never ends.
  call->isStuck ? ::pthread_detach(thread) : ::pthread_join(thread, nullptr);
  return *call->outcome;
}
