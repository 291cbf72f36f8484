//===- Signals.cpp - The end of a process that is interrupted -------------===//
//
// A handler may call little: what it writes is put together of pieces that are there.
//
//===----------------------------------------------------------------------===//
#include "Mappings.h"
#include "Temporaries.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Tool.h"
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <unistd.h>

using namespace qopt;

/// Of the tool; set before there is a handler.
static char toolName[64];

/// One line, "NAME: error: FIRST SECOND", and the end. Threads that come second wait for it.
[[noreturn]] static void die(int code, const char *first, const char *second) {
  static std::atomic_flag isDying = ATOMIC_FLAG_INIT;
  while (isDying.test_and_set())
    ::pause();
  removeTemporaries();
  char line[1024];
  size_t length = 0;
  for (const char *part : {static_cast<const char *>(toolName), ": error: ", first, second, "\n"}) {
    size_t count = std::min(std::strlen(part), sizeof line - 1 - length);
    std::memcpy(line + length, part, count);
    length += count;
  }
  (void)!::write(STDERR_FILENO, line, length);
  ::_exit(code);
}

void qopt::exitWithError(const char *message) { die(ExitFailure, message, ""); }

static void onInterrupt(int signal) {
  die(128 + signal, "interrupted by ", signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP");
}

static void onLostPage(int signal, siginfo_t *info, void *) {
  if (const char *file = mappedFileAt(info->si_addr))
    die(ExitFailure, file, ": cannot be read any more: was it cut meanwhile?");
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

void qopt::handleSignals(const char *name) {
  std::strncpy(toolName, name, sizeof toolName - 1);
  // What is written then fails, and says so.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction previous;
    if (::sigaction(signal, nullptr, &previous) != 0 || previous.sa_handler == SIG_IGN)
      continue;
    struct sigaction action = {};
    action.sa_handler = onInterrupt;
    ::sigfillset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
  }
  struct sigaction action = {};
  action.sa_sigaction = onLostPage;
  action.sa_flags = SA_SIGINFO; // not SA_RESETHAND: several threads may lose a page at once
  ::sigaction(SIGBUS, &action, nullptr);
}
