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

/// One line, made without memory.
static void onFatalError(void *, const char *reason, bool) {
  static char line[512];
  for (size_t i = 0; i + 1 < sizeof line && reason[i]; ++i)
    line[i] = static_cast<unsigned char>(reason[i]) < ' ' ? ' ' : reason[i];
  qopt::exitWithError(line);
}

static void onNoMemory() { qopt::exitWithError("out of memory"); }

void qopt::reportFatalErrors() {
  llvm::install_fatal_error_handler(onFatalError);
  llvm::install_bad_alloc_error_handler([](void *, const char *, bool) { onNoMemory(); });
  std::set_new_handler(onNoMemory);
}
