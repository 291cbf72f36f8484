//===- Handles.h - What the C interface hands out -------------------------===//
//
// Every function catches what the C++ below may throw and keeps the message for
// qrt_last_error().
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_CAPI_HANDLES_H
#define QOPT_LIB_RUNTIME_CAPI_HANDLES_H

#include "qopt/Runtime/Runtime.h"
#include "qopt/Runtime/qrt.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <exception>
#include <new>

struct qrt_module {
  std::shared_ptr<const qopt::Module> shared;
  std::unique_ptr<qrt::Session> session;
  std::unique_ptr<qopt::Tokenizer> tokenizer = {}; ///< null until it is needed
};

namespace qrt::capi {

/// Of this thread.
std::string &lastError();

/// Runs `function`, which returns a Result of a pointer or number; on an error or
/// exception remembers why and returns `failure`.
template <typename T, typename Function>
T guarded(T failure, Function function) noexcept {
  try {
    lastError().clear();
    Result<T> result = function();
    if (result)
      return *result;
    lastError() = result.error().message;
  } catch (const std::bad_alloc &) {
    lastError() = "out of memory";
  } catch (const std::exception &exception) {
    lastError() = exception.what();
  }
  return failure;
}

/// An error where a caller's struct is not the one that is known here.
Status checkSize(const char *name, size_t given, size_t known);

} // namespace qrt::capi

#endif // QOPT_LIB_RUNTIME_CAPI_HANDLES_H
