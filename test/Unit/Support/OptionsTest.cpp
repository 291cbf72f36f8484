#include "qopt/Support/Options.h"
#include <clocale>
#include <gtest/gtest.h>

using namespace qopt;

namespace {
struct Parsed {
  bool quiet = false;
  std::string file, mode = "windows";
  std::vector<std::string> inputs;
  int64_t threads = 7;
  double temperature = 0;
  Options options{"tool FILE", "Does things."};
  std::string error;

  explicit Parsed(std::vector<const char *> arguments) {
    options.flag("quiet", quiet, "say nothing");
    options.text("output", "FILE", file, "where to");
    options.shortName('o');
    options.section("Numbers");
    options.list("input", "NAME=FILE", inputs, "what from");
    options.integer("threads", "N", threads, 1, 1024, "how many\nof them");
    options.number("temperature", "T", temperature, 0, 2.5, "how hot");
    options.choice("mode", {"windows", "per-text"}, mode, "how");
    arguments.insert(arguments.begin(), "tool");
    Status status = options.parse(static_cast<int>(arguments.size()), arguments.data());
    if (!status)
      error = status.error().message;
  }
};
} // namespace

TEST(Options, AllForms) {
  Parsed parsed({"a.qmod", "--quiet", "--output=x=y", "--threads", "3", "--input", "a=1", "--input=b=2",
                 "--temperature", "1e-1", "--mode=per-text", "-", "--", "--quiet"});
  EXPECT_EQ(parsed.error, "");
  EXPECT_TRUE(parsed.quiet);
  EXPECT_EQ(parsed.file, "x=y");
  EXPECT_EQ(parsed.threads, 3);
  EXPECT_EQ(parsed.temperature, .1);
  EXPECT_EQ(parsed.mode, "per-text");
  EXPECT_EQ(parsed.inputs, (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(parsed.options.positional(), (std::vector<std::string>{"a.qmod", "-", "--quiet"}));
  EXPECT_TRUE(parsed.options.wasGiven("threads"));
  EXPECT_FALSE(Parsed({"a"}).options.wasGiven("threads"));
  EXPECT_EQ(Parsed({"-o", "file"}).file, "file");
}

TEST(Options, Errors) {
  const std::pair<std::vector<const char *>, const char *> cases[] = {
      {{"--threds=3"}, "unknown option '--threds'; did you mean '--threads'?"},
      {{"--whatever"}, "unknown option '--whatever'"},
      {{"-x"}, "unknown option '-x'"},
      {{"-quiet"}, "unknown option '-quiet'; did you mean '--quiet'?"},
      {{"--\x1b[31m"}, "unknown option '--\\x1b[31m'"},
      {{"--threads"}, "option '--threads' needs a value N"},
      {{"--threads=0"}, "--threads=0: expected an integer from 1 to 1024"},
      {{"--threads=1025"}, "--threads=1025: expected an integer from 1 to 1024"},
      {{"--threads=3x"}, "--threads=3x: expected an integer from 1 to 1024"},
      {{"--threads=99999999999999999999"}, "--threads=99999999999999999999: expected an integer from 1 to 1024"},
      {{"--threads="}, "--threads=: expected an integer from 1 to 1024"},
      {{"--temperature=nan"}, "--temperature=nan: expected a number from 0 to 2.5"},
      {{"--temperature=0,5"}, "--temperature=0,5: expected a number from 0 to 2.5"},
      {{"--mode=x"}, "--mode=x: expected one of windows, per-text"},
      {{"--quiet=1"}, "option '--quiet' takes no value but no"},
      {{"--output="}, "--output=: is empty"},
      {{"--threads=1", "--threads=1"}, "option '--threads' was given twice"},
  };
  for (const auto &[arguments, message] : cases)
    EXPECT_EQ(Parsed(arguments).error, message);
}

TEST(Options, HelpComesFirst) {
  Parsed parsed({"--nonsense", "-h"});
  EXPECT_EQ(parsed.error, "");
  EXPECT_TRUE(parsed.options.wantsHelp());
  EXPECT_TRUE(Parsed({"--version"}).options.wantsVersion());
  EXPECT_FALSE(Parsed({"--", "--help"}).options.wantsHelp());
  EXPECT_EQ(parsed.options.help(), R"(usage: tool FILE

Does things.

Options:
  --quiet                       say nothing
  -o, --output=FILE             where to

Numbers:
  --input=NAME=FILE             what from
  --threads=N                   how many
                                of them
  --temperature=T               how hot
  --mode=windows|per-text       how

Other:
  -h, --help                    print this and exit
  --version                     print the version and exit
  --completion=bash|zsh         print a script that lets the shell complete these options
)");
}

TEST(Options, TheLocaleDoesNotMatter) {
  for (const char *locale : {"de_DE.UTF-8", "tr_TR.UTF-8", "C"})
    if (std::setlocale(LC_ALL, locale))
      EXPECT_EQ(Parsed({"--temperature=0.5"}).temperature, .5) << locale;
  std::setlocale(LC_ALL, "C");
}
