//===- Guard.h - Work whose faults are not the caller's -------------------===//
//
// A library must not end the process that it is loaded into. LLVM does where it meets a
// fault of its own, after it has called a handler: ours never returns.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CAPI_GUARD_H
#define QOPT_LIB_CAPI_GUARD_H

#include "qopt-c/qopt.h"
#include <functional>
#include <string>

namespace qopt::capi {

/// What a call ends with.
struct Outcome {
  qopt_code code = QOPT_OK;
  std::string message = {};
};

/// Runs `work` on a thread of its own, with a stack for the deepest models, and waits for
/// it. Exceptions become outcomes. When LLVM gives up, the thread that met the fault stops
/// for good, with all that it holds, and the outcome is QOPT_ERROR_INTERNAL, or
/// QOPT_ERROR_MEMORY where there was none left: so `work` must own what it uses.
Outcome runGuarded(std::function<Outcome()> work);

} // namespace qopt::capi

#endif // QOPT_LIB_CAPI_GUARD_H
