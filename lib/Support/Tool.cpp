//===- Tool.cpp - What the mains of all tools share -----------------------===//
//
// Everything that can go wrong ends as one line on standard error and an exit code.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Tool.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Utf8.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <new>
#include <sys/resource.h>
#include <unistd.h>

using namespace qopt;

/// Opens /dev/null for each closed standard stream, the wrong way round: its use
/// still fails.
static void keepClosedStreamsClosed() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      (void)::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); // takes the lowest number: fd
}

int qopt::reportError(const std::string &name, const std::string &message, ExitCode code) {
  std::fprintf(stderr, "%s: error: %s\n", name.c_str(), message.c_str());
  return code;
}

Error qopt::usageError(std::string message) { return {std::move(message), /*isUsage=*/true}; }

Error qopt::inFile(const std::string &path, const Error &error) { return {printable(path) + ": " + error.message}; }

static int reportUsage(const std::string &name, const std::string &message) {
  return reportError(name, message + " (see " + name + " --help)", ExitUsage);
}

/// Writes out what stdout still holds.
static int finish(const std::string &name, int code) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return code;
  return reportError(name, std::string("cannot write to standard output: ") + std::strerror(errno));
}

/// Without the exit handlers of libraries where memory is limited: that of OpenBLAS waits for
/// threads of its own, which ask for memory until there is some.
static int leave(int code) {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    ::_exit(code);
  return code;
}

static int run(const std::string &name, const std::function<Result<int>()> &body) {
  try {
    Result<int> code = body();
    if (code)
      return finish(name, *code);
    const Error &error = code.error();
    return finish(name, error.isUsage ? reportUsage(name, error.message) : reportError(name, error.message));
  } catch (const std::bad_alloc &) {
    return reportError(name, "out of memory");
  } catch (const std::exception &error) {
    return reportError(name, printable(error.what()));
  }
}

int qopt::runTool(const std::string &name, const std::function<Result<int>()> &body) {
  keepClosedStreamsClosed();
  handleSignals(name.c_str());
  return leave(run(name, body));
}

int qopt::runTool(const std::string &name, Options &options, int argc, const char *const *argv,
                  const std::function<Status()> &body) {
  return runTool(name, [&]() -> Result<int> {
    if (Status status = options.parse(argc, argv); !status)
      return usageError(status.error().message);
    if (options.wantsHelp())
      std::fputs(options.help().c_str(), stdout);
    else if (options.wantsVersion())
      std::printf("%s " QOPT_VERSION "\n", name.c_str());
    else if (!options.wantsCompletion().empty())
      std::fputs(options.completion(name, options.wantsCompletion()).c_str(), stdout);
    else if (Status status = body(); !status)
      return status.error();
    return static_cast<int>(ExitSuccess);
  });
}
