//===- Pattern.h - Literal and regular patterns of tokenizer.json ---------===//
//
// {"String": ...} is searched as it is. {"Regex": ...} is written for Oniguruma;
// it is translated to PCRE2 where the two differ (see Pattern.cpp), compiled with
// UTF and UCP and matched with limits, so a hostile pattern ends in an error.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_PATTERN_H
#define QOPT_LIB_TOKENIZER_PATTERN_H

#include "Json.h"
#include <memory>
#include <string>
#include <string_view>
#include <vector>

typedef struct pcre2_real_code_8 pcre2_code_8;

namespace qopt::tokenizer {

/// Bytes from begin up to end.
struct Span {
  size_t begin;
  size_t end;
};

class Pattern {
public:
  /// {"String": ...} or {"Regex": ...}; a plain string is taken as a literal.
  static Pattern parse(const Field &field);
  /// A pattern of our own, already in PCRE2's syntax.
  static Pattern regex(std::string_view pcre);
  static Pattern literal(std::string_view text);

private:
  friend class Matcher;
  std::string text; // the literal, unless there is code
  std::shared_ptr<const pcre2_code_8> code;
};

/// Finds the matches of one pattern in many texts, in time that is linear in their bytes. Cheap
/// to ask again; one thread.
class Matcher {
public:
  explicit Matcher(const Pattern &pattern);
  ~Matcher();
  Matcher(const Matcher &) = delete;

  /// Sets `matches` to those in `text`, in order, without overlaps. A match may be
  /// empty, but not where the one before it ends. Error: a regex gave up.
  Status find(std::string_view text, std::vector<Span> &matches);

private:
  Status findRegex(std::string_view text, std::vector<Span> &matches);

  struct State; // PCRE2's working memory
  const Pattern &pattern;
  std::unique_ptr<State> state;
};

/// `text` with `content` for every match; `content` is literal. Error: a regex
/// gave up, or the result has more than `limit` bytes.
Result<std::string> replaceAll(std::string_view text, Matcher &matcher, std::string_view content, size_t limit);

/// How long a text may become by replacements that follow one another: a file may
/// hold any number of them, each doubling the text.
inline size_t replacementLimit(size_t size) { return 64 * size + (size_t(1) << 20); }

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_PATTERN_H
