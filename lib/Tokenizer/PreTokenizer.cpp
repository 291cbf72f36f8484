//===- PreTokenizer.cpp - From text to words ------------------------------===//
//
// The steps of the field "pre_tokenizer", in order. Words are spans of one text, so that a
// step which only cuts copies nothing.
//
//===----------------------------------------------------------------------===//
#include "PreTokenizer.h"
#include "ByteLevel.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <array>

using namespace qopt;
using namespace qopt::tokenizer;

//===----------------------------------------------------------------------===//
// Splitting
//===----------------------------------------------------------------------===//

namespace {
/// What becomes of the matches of a pattern ("the-cat" at "-"):
enum class Behavior {
  Removed,            // the cat
  Isolated,           // the - cat
  MergedWithPrevious, // the- cat
  MergedWithNext,     // the -cat
  Contiguous          // as Isolated, but neighbouring matches are one word
};

/// A part of a word, either a match or what lies between two.
struct Part {
  Span span;
  bool isMatch;
};
} // namespace

/// The names stand in the order of the enumeration.
static Behavior parseBehavior(const Field &field) {
  static constexpr std::array<std::string_view, 5> names = {"Removed", "Isolated", "MergedWithPrevious",
                                                            "MergedWithNext", "Contiguous"};
  auto place = std::find(names.begin(), names.end(), field.string());
  if (place == names.end())
    field.fail("unsupported behavior '" + printable(field.string()) + "'");
  return static_cast<Behavior>(place - names.begin());
}

/// Joins the parts as the behavior says and appends them to `result`.
static void joinParts(const std::vector<Part> &parts, Behavior behavior, std::vector<Span> &result) {
  size_t first = result.size();
  bool wasMatch = false;
  if (behavior == Behavior::MergedWithNext) {
    // The same as MergedWithPrevious, read from the end.
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (part->isMatch && !wasMatch && result.size() > first)
        result.back().begin = part->span.begin;
      else
        result.push_back(part->span);
      wasMatch = part->isMatch;
    }
    std::reverse(result.begin() + static_cast<std::ptrdiff_t>(first), result.end());
    return;
  }
  for (const Part &part : parts) {
    bool joins = behavior == Behavior::MergedWithPrevious ? part.isMatch && !wasMatch
                 : behavior == Behavior::Contiguous       ? part.isMatch == wasMatch
                                                          : false;
    if (joins && result.size() > first)
      result.back().end = part.span.end;
    else if (behavior != Behavior::Removed || !part.isMatch)
      result.push_back(part.span);
    wasMatch = part.isMatch;
  }
}

/// Cuts every word at the matches of a pattern; with `invert` what matches is the word and
/// what lies between is the separator.
static Status splitWords(Words &words, const Pattern &pattern, Behavior behavior, bool invert = false) {
  Matcher matcher(pattern);
  std::vector<Span> matches;
  std::vector<Part> parts;
  std::vector<Span> result;
  // Whether the first word still begins the text decides if a space is put before it.
  size_t start = words.spans.empty() ? 0 : words.spans[0].begin;
  for (Span word : words.spans) {
    std::string_view text = std::string_view(words.text).substr(word.begin, word.end - word.begin);
    if (Status status = matcher.find(text, matches); !status)
      return status;
    parts.clear();
    size_t done = 0;
    for (Span match : matches) {
      if (done != match.begin)
        parts.push_back({{word.begin + done, word.begin + match.begin}, invert});
      parts.push_back({{word.begin + match.begin, word.begin + match.end}, !invert});
      done = match.end;
    }
    if (done != text.size())
      parts.push_back({{word.begin + done, word.end}, invert});
    joinParts(parts, behavior, result);
  }
  std::erase_if(result, [](Span span) { return span.begin == span.end; });
  words.spans = std::move(result);
  words.startsText = words.startsText && !words.spans.empty() && words.spans[0].begin == start;
  return {};
}

/// Rewrites every word: `rewrite(word, isFirst, text)` appends its new form.
template <typename Rewrite>
static void rewriteWords(Words &words, Rewrite rewrite) {
  std::string text;
  text.reserve(words.text.size() + words.text.size() / 4);
  bool isFirst = true;
  for (Span &word : words.spans) {
    size_t begin = text.size();
    rewrite(std::string_view(words.text).substr(word.begin, word.end - word.begin), std::exchange(isFirst, false),
            text);
    word = {begin, text.size()};
  }
  words.text = std::move(text);
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// GPT-2: contractions, letters, digits and the rest, each with the space before it, and
/// then every byte as a printable character.
static std::function<Status(Words &)> makeByteLevel(bool addPrefixSpace, bool useRegex) {
  // GPT-2's own pattern.
  static const Pattern gpt2 =
      Pattern::regex(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\t-\r\x{85}\p{Z}\p{L}\p{N}]+)"
                     R"(|[\t-\r\x{85}\p{Z}]+(?![^\t-\r\x{85}\p{Z}])|[\t-\r\x{85}\p{Z}]+)");
  return [=](Words &words) -> Status {
    if (addPrefixSpace)
      rewriteWords(words, [](std::string_view word, bool, std::string &text) {
        if (!word.starts_with(' '))
          text += ' ';
        text += word;
      });
    if (useRegex)
      if (Status status = splitWords(words, gpt2, Behavior::Isolated); !status)
        return status;
    rewriteWords(words, [](std::string_view word, bool, std::string &text) { appendByteLevel(text, word); });
    return {};
  };
}

/// Sentencepiece: spaces become marks that belong to the word behind them.
static std::function<Status(Words &)> makeMetaspace(const Field &field) {
  std::string replacement = field.stringOr("replacement", "\xE2\x96\x81");
  // Files of before 2024 have "add_prefix_space" instead of "prepend_scheme".
  std::string scheme = field.stringOr("prepend_scheme", field.booleanOr("add_prefix_space", true) ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never")
    field["prepend_scheme"].fail("expected 'always', 'first' or 'never' but got '" + printable(scheme) + "'");
  bool split = field.booleanOr("split", true);
  return [=, pattern = Pattern::literal(replacement)](Words &words) -> Status {
    bool startsText = words.startsText;
    rewriteWords(words, [&](std::string_view word, bool isFirst, std::string &text) {
      bool prepends = scheme == "always" || (scheme == "first" && isFirst && startsText);
      if (prepends && !word.starts_with(' ') && !word.starts_with(replacement))
        text += replacement;
      for (char c : word)
        if (c == ' ')
          text += replacement;
        else
          text += c;
    });
    return split ? splitWords(words, pattern, Behavior::MergedWithNext) : Status();
  };
}

void PreTokenizer::add(const Field &field) {
  const std::string &type = field.type();
  auto addSplit = [&](Pattern pattern, Behavior behavior, bool invert = false) {
    steps.push_back([=](Words &words) { return splitWords(words, pattern, behavior, invert); });
  };

  if (type == "Sequence") {
    Field parts = field["pretokenizers"];
    for (size_t i = 0; i < parts.size(); ++i)
      add(parts[i]);
  } else if (type == "Split") {
    addSplit(Pattern::parse(field["pattern"]), parseBehavior(field["behavior"]), field.booleanOr("invert", false));
  } else if (type == "ByteLevel") {
    steps.push_back(makeByteLevel(field.booleanOr("add_prefix_space", true), field.booleanOr("use_regex", true)));
  } else if (type == "Metaspace") {
    steps.push_back(makeMetaspace(field));
  } else if (type == "Digits") {
    bool individual = field.booleanOr("individual_digits", false);
    addSplit(Pattern::regex(R"(\p{N})"), individual ? Behavior::Isolated : Behavior::Contiguous);
  } else if (type == "Punctuation") {
    // ASCII punctuation is wider than Unicode's, which calls some of it symbols.
    addSplit(Pattern::regex(R"([\p{P}$+<=>^`|~])"),
             field.find("behavior") ? parseBehavior(field["behavior"]) : Behavior::Isolated);
  } else {
    field.failType("pre_tokenizer");
  }
}

Status PreTokenizer::apply(Words &words) const {
  for (const auto &step : steps)
    if (Status status = step(words); !status)
      return Error{"pre_tokenizer: " + status.error().message};
  return {};
}
