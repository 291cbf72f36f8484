//===- Options.cpp - Command-line options ---------------------------------===//
//
// Options are a table: parsing, --help and the messages about mistakes come from it.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Options.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

using namespace qopt;

template <typename T>
static bool parseWhole(std::string_view text, T &value) {
  T parsed;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (code != std::errc() || end != text.data() + text.size())
    return false;
  value = parsed;
  return true;
}

bool qopt::parseInteger(std::string_view text, int64_t &value) { return parseWhole(text, value); }
bool qopt::parseNumber(std::string_view text, double &value) {
  double parsed;
  if (!parseWhole(text, parsed) || !std::isfinite(parsed))
    return false;
  value = parsed;
  return true;
}

/// The shortest text that reads back as `value`.
static std::string shortest(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

//===----------------------------------------------------------------------===//
// Kinds of options
//===----------------------------------------------------------------------===//

void Options::custom(std::string name, std::string meta, std::function<Status(const std::string &)> set,
                     std::string help, bool isRepeatable) {
  options.push_back({std::move(name), std::move(meta), std::move(help), currentSection, std::move(set), isRepeatable});
}

void Options::flag(std::string name, bool &value, std::string help) {
  custom(
      std::move(name), "", [&value](const std::string &given) { return value = given != "no", Status(); },
      std::move(help),
      /*isRepeatable=*/true);
}

void Options::text(std::string name, std::string meta, std::string &value, std::string help) {
  custom(
      std::move(name), std::move(meta),
      [&value](const std::string &given) -> Status {
        if (given.empty())
          return Error{"is empty"};
        value = given;
        return {};
      },
      std::move(help));
}

void Options::file(std::string name, std::string meta, std::string &value, std::string help) {
  text(std::move(name), std::move(meta), value, std::move(help));
  options.back().isFile = true;
}

void Options::suggest(std::vector<std::string> words, bool isList) {
  options.back().words = std::move(words);
  options.back().isList = isList;
}

void Options::list(std::string name, std::string meta, std::vector<std::string> &values, std::string help) {
  custom(
      std::move(name), std::move(meta),
      [&values](const std::string &given) { return values.push_back(given), Status(); }, std::move(help),
      /*isRepeatable=*/true);
}

void Options::integer(std::string name, std::string meta, int64_t &value, int64_t min, int64_t max, std::string help) {
  custom(
      std::move(name), std::move(meta),
      [&value, min, max](const std::string &given) -> Status {
        int64_t parsed;
        if (!parseInteger(given, parsed) || parsed < min || parsed > max)
          return Error{"expected an integer from " + std::to_string(min) + " to " + std::to_string(max)};
        value = parsed;
        return {};
      },
      std::move(help));
}

void Options::number(std::string name, std::string meta, double &value, double min, double max, std::string help) {
  custom(
      std::move(name), std::move(meta),
      [&value, min, max](const std::string &given) -> Status {
        double parsed;
        if (!parseNumber(given, parsed) || parsed < min || parsed > max)
          return Error{"expected a number from " + shortest(min) + " to " + shortest(max)};
        value = parsed;
        return {};
      },
      std::move(help));
}

static std::string join(const std::vector<std::string> &items, const char *separator) {
  std::string result;
  for (const std::string &item : items)
    result += (result.empty() ? "" : separator) + item;
  return result;
}

void Options::choice(std::string name, std::vector<std::string> choices, std::string &value, std::string help) {
  std::string meta = join(choices, "|");
  std::vector<std::string> words = choices;
  custom(
      std::move(name), std::move(meta),
      [&value, choices = std::move(choices)](const std::string &given) -> Status {
        if (std::find(choices.begin(), choices.end(), given) == choices.end())
          return Error{"expected one of " + join(choices, ", ")};
        value = given;
        return {};
      },
      std::move(help));
  suggest(std::move(words));
}

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

/// Levenshtein's distance.
static size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

/// `argument` is "--name", "-o" or "--name=..." without what follows "=".
Options::Option *Options::find(std::string_view argument) {
  for (Option &option : options)
    if ((argument.starts_with("--") && argument.substr(2) == option.name) ||
        (argument.size() == 2 && option.letter != 0 && argument[1] == option.letter))
      return &option;
  return nullptr;
}

Error Options::unknown(std::string_view argument) const {
  constexpr size_t longestCompared = 64;
  std::string message = "unknown option '" + printable(argument) + "'";
  const Option *nearest = nullptr;
  size_t best = argument.size() / 3 + 1; // more edits than that is another word
  for (const Option &option : options) {
    if (argument.size() > longestCompared)
      break;
    size_t distance = editDistance(argument, "--" + option.name);
    if (distance < best) {
      best = distance;
      nearest = &option;
    }
  }
  if (nearest)
    message += "; did you mean '--" + nearest->name + "'?";
  return {message};
}

Status Options::parse(int argc, const char *const *argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  for (const std::string &argument : arguments) {
    if (argument == "--")
      break;
    helpAsked |= argument == "--help" || argument == "-h";
    versionAsked |= argument == "--version";
    if (constexpr std::string_view option = "--completion="; argument.starts_with(option)) {
      completionAsked = argument.substr(option.size());
      if (completionAsked != "bash" && completionAsked != "zsh")
        return Error{printable(argument) + ": expected one of bash, zsh"};
    }
  }
  if (helpAsked || versionAsked || !completionAsked.empty())
    return {};

  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &argument = arguments[i];
    if (argument == "--") {
      positionals.insert(positionals.end(), arguments.begin() + static_cast<ptrdiff_t>(i) + 1, arguments.end());
      return {};
    }
    if (argument.size() < 2 || argument[0] != '-') { // "-" alone is a file name
      positionals.push_back(argument);
      continue;
    }
    size_t equals = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    std::string name = argument.substr(0, equals);
    Option *option = find(name);
    if (!option)
      return unknown(name);
    if (++option->timesGiven > 1 && !option->isRepeatable)
      return Error{"option '--" + option->name + "' was given twice"};
    std::string value;
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
      if (option->isFlag() && value != "no")
        return Error{"option '" + name + "' takes no value but no"};
    } else if (!option->isFlag()) {
      if (++i == arguments.size())
        return Error{"option '" + name + "' needs a value " + option->meta};
      value = arguments[i];
    }
    if (Status status = option->set(value); !status)
      return Error{"--" + option->name + "=" + printable(value) + ": " + status.error().message};
  }
  return {};
}

bool Options::wasGiven(std::string_view name) const {
  for (const Option &option : options)
    if (option.name == name)
      return option.timesGiven > 0;
  return false;
}

//===----------------------------------------------------------------------===//
// Help
//===----------------------------------------------------------------------===//

std::string Options::help() const {
  constexpr size_t column = 32;
  std::string result = "usage: " + usage + "\n\n" + summary + "\n";
  auto list = [&](std::string left, const std::string &help) {
    // Text that does not fit beside the option begins on the next line.
    result += left.size() + 2 > column ? left + "\n" + std::string(column, ' ')
                                       : left + std::string(column - left.size(), ' ');
    for (char c : help)
      result += c == '\n' ? "\n" + std::string(column, ' ') : std::string(1, c);
    result += "\n";
  };
  const std::string *section = nullptr;
  for (const Option &option : options) {
    if (!section || *section != option.section)
      result += "\n" + option.section + ":\n";
    section = &option.section;
    std::string left = option.letter ? std::string("  -") + option.letter + ", --" : "  --";
    left += option.name + (option.meta.empty() ? "" : "=" + option.meta);
    list(std::move(left), option.help);
  }
  result += "\nOther:\n";
  list("  -h, --help", "print this and exit");
  list("  --version", "print the version and exit");
  list("  --completion=bash|zsh", "print a script that lets the shell complete these options");
  if (!epilogText.empty())
    result += "\n" + epilogText + "\n";
  return result;
}
