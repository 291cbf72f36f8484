//===- FatalErrors.cpp - Where LLVM knows no way back ---------------------===//
//
// LLVM is compiled without exceptions: an allocation that fails somewhere in it must not throw
// through it.
//
//===----------------------------------------------------------------------===//
#include "qopt/Import/FatalErrors.h"
#include "qopt/Support/Tool.h"
#include "llvm/Support/ErrorHandling.h"
#include <new>

static void onFatalError(void *, const char *reason, bool) { qopt::exitWithError(reason); }

static void onNoMemory() { qopt::exitWithError("out of memory"); }

void qopt::reportFatalErrors() {
  llvm::install_fatal_error_handler(onFatalError);
  llvm::install_bad_alloc_error_handler([](void *, const char *, bool) { onNoMemory(); });
  std::set_new_handler(onNoMemory);
}
