//===- Options.h - The command line of a tool -----------------------------===//
//
//   std::string mode = "windows";
//   Options options("qrun MODULE.qmod [options]", "Runs a compiled model.");
//   options.section("Perplexity");
//   options.choice("mode", {"windows", "per-text"}, mode, "how perplexity is defined");
//   options.flag("quiet", quiet, "no progress");
//   if (Status status = options.parse(argc, argv); !status)
//     ... print status.error().message, exit 2
//
// Accepted are --name=value, --name value, --flag, -o value for options with a
// short name, and "--", after which everything is positional. An option that may
// not be repeated and is, is an error: which one should count is a guess.
// Numbers do not depend on the locale.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_OPTIONS_H
#define QOPT_SUPPORT_OPTIONS_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

class Options {
public:
  /// `usage` without "usage: "; `summary` is one paragraph.
  Options(std::string usage, std::string summary) : usage(std::move(usage)), summary(std::move(summary)) {}

  /// The options added from now on are listed under `title`.
  void section(std::string title) { currentSection = std::move(title); }

  /// Each function adds one option; the variable keeps its value, the default,
  /// when the option is not given. `meta` names the value in the help text.
  /// `help` may have several lines.
  void flag(std::string name, bool &value, std::string help);
  void text(std::string name, std::string meta, std::string &value, std::string help);
  /// A text that is a path; shells complete it as one.
  void file(std::string name, std::string meta, std::string &value, std::string help);
  void list(std::string name, std::string meta, std::vector<std::string> &values, std::string help);
  void integer(std::string name, std::string meta, int64_t &value, int64_t min, int64_t max, std::string help);
  /// `min` <= value <= `max`.
  void number(std::string name, std::string meta, double &value, double min, double max, std::string help);
  void choice(std::string name, std::vector<std::string> choices, std::string &value, std::string help);
  /// Any other kind: `set` judges the value; its message continues "--name=value: ".
  void custom(std::string name, std::string meta, std::function<Status(const std::string &)> set, std::string help,
              bool isRepeatable = false);
  /// Lets the option added last be given as -`letter` as well.
  void shortName(char letter) { options.back().letter = letter; }
  /// Words that shells offer as its value. `isList`: several with commas.
  void suggest(std::vector<std::string> words, bool isList = false);
  /// What is printed after the options.
  void epilog(std::string text) { epilogText = std::move(text); }

  /// An error is one line and names the argument. After --help, -h, --version or
  /// --completion nothing else is checked.
  Status parse(int argc, const char *const *argv);

  bool wasGiven(std::string_view name) const;
  const std::vector<std::string> &positional() const { return positionals; }
  bool wantsHelp() const { return helpAsked; }
  bool wantsVersion() const { return versionAsked; }
  /// "bash" or "zsh"; empty where --completion was not given.
  const std::string &wantsCompletion() const { return completionAsked; }
  std::string help() const;
  /// A script that lets this shell complete the options of the command `tool`.
  std::string completion(const std::string &tool, const std::string &shell) const;

private:
  struct Option {
    std::string name, meta, help, section;
    std::function<Status(const std::string &)> set;
    bool isRepeatable;
    char letter = 0;
    int timesGiven = 0;
    bool isFile = false, isList = false; ///< of its value
    std::vector<std::string> words = {}; ///< that it may be, or begin with

    bool isFlag() const { return meta.empty(); }
  };

  Option *find(std::string_view argument);
  Error unknown(std::string_view argument) const;
  std::string completionForBash(const std::string &tool) const;
  std::string completionForZsh(const std::string &tool) const;

  std::string usage, summary, epilogText, currentSection = "Options";
  std::vector<Option> options;
  std::vector<std::string> positionals;
  bool helpAsked = false, versionAsked = false;
  std::string completionAsked;
};

/// A whole decimal integer or number, whatever the locale is; false when `text`
/// is something else or out of range.
bool parseInteger(std::string_view text, int64_t &value);
bool parseNumber(std::string_view text, double &value);

} // namespace qopt

#endif // QOPT_SUPPORT_OPTIONS_H
