//===- Tool.h - What the mains of all tools share -------------------------===//
//
// Exit codes, error lines and signals are the same for qopt and qrun, and are dealt
// with once.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_TOOL_H
#define QOPT_SUPPORT_TOOL_H

#include "qopt/Support/Options.h"
#include "qopt/Support/Result.h"
#include <functional>
#include <string>

namespace qopt {

/// Exit codes.
enum ExitCode { ExitSuccess = 0, ExitFailure = 1, ExitUsage = 2 };

/// Runs a tool's main function: parses `options` (printing help, version or what
/// is wrong), then calls `body`. Its error, an exception or a full standard output
/// becomes one line "NAME: error: ..." on stderr and exit code 1. Signals remove
/// temporaries; a standard stream that is closed stays unusable instead of being
/// given to the next file that is opened.
int runTool(const std::string &name, Options &options, int argc, const char *const *argv,
            const std::function<Status()> &body);

/// The same around any `body`, which gives the exit code, for tools whose command line others
/// parse.
int runTool(const std::string &name, const std::function<Result<int>()> &body);

/// Ends the process of a tool that runTool() runs with one line and exit code 1, from any thread
/// and without memory: where there is no way back. Temporaries are removed.
[[noreturn]] void exitWithError(const char *message);

/// "NAME: error: message" on stderr; returns `code`.
int reportError(const std::string &name, const std::string &message, ExitCode code = ExitFailure);

/// "FILE: message", safe to print whatever the path is.
Error inFile(const std::string &path, const Error &error);

/// An error in the command line that only the body of runTool() could see: exit
/// code 2 and a hint at --help.
Error usageError(std::string message);

} // namespace qopt

#endif // QOPT_SUPPORT_TOOL_H
