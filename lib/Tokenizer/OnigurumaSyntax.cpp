//===- OnigurumaSyntax.cpp - Oniguruma patterns in PCRE2's syntax ---------===//
//
// A small translation from left to right: what both understand is copied, and only escapes,
// classes and option letters need a look.
//
//===----------------------------------------------------------------------===//
#include "OnigurumaSyntax.h"
#include <algorithm>
#include <cctype>

using namespace qopt;
using namespace qopt::tokenizer;

// What goes between the brackets of a class. \s: Unicode's White_Space (PCRE2's
// own also takes U+180E). \w: Alphabetic, marks, decimal digits and connectors
// (PCRE2's own takes letters, all numbers and the underscore).
static constexpr std::string_view spaceSet = R"(\t-\r\x{85}\p{Z})";
static constexpr std::string_view wordSet = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc})";
static constexpr std::string_view hexSet = "0-9A-Fa-f";

namespace {
/// Eats `rest` and grows `result`.
class Translator {
public:
  explicit Translator(std::string_view pattern) : rest(pattern) {}

  Result<std::string> run() {
    while (!rest.empty()) {
      if (rest.starts_with("\\G")) // a search begins anew at any place
        return Error{"\\G is not supported"};
      if (rest[0] == '\\') {
        translateEscape(/*inClass=*/false);
      } else if (rest[0] == '[') {
        if (Status status = translateClass(); !status)
          return status.error();
      } else if (rest.starts_with("(?")) {
        translateOptions();
      } else {
        copy(1);
      }
    }
    return std::move(result);
  }

private:
  std::string_view rest;
  std::string result;

  void copy(size_t count) {
    count = std::min(count, rest.size());
    result += rest.substr(0, count);
    rest.remove_prefix(count);
  }

  /// `rest` begins with a backslash.
  void translateEscape(bool inClass) {
    char letter = rest.size() > 1 ? rest[1] : '\0';
    char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    std::string_view set = lower == 's' ? spaceSet : lower == 'w' ? wordSet : lower == 'h' ? hexSet : "";
    if (letter == 'u' && rest.size() >= 6) {
      result.append("\\x{").append(rest.substr(2, 4)).append("}");
      rest.remove_prefix(6);
    } else if (set.empty() || (inClass && letter != lower && letter != 'H')) {
      // A negated set cannot be spelled out inside a class. PCRE2's own \S and
      // \W differ from Oniguruma's in a few characters only.
      copy(2);
    } else {
      if (!inClass)
        result += letter == lower ? "[" : "[^";
      else if (letter == 'H')
        set = R"(\x{0}-/:-@G-`g-\x{10FFFF})";
      result += set;
      if (!inClass)
        result += "]";
      rest.remove_prefix(2);
    }
  }

  /// `rest` begins with the bracket that opens a class.
  Status translateClass() {
    copy(rest.starts_with("[^") ? 2 : 1);
    if (rest.starts_with("]"))
      copy(1); // a bracket that comes first is itself
    for (int depth = 1; depth > 0;) {
      if (rest.empty())
        return {}; // PCRE2 will name the missing bracket
      if (rest[0] == '\\') {
        translateEscape(/*inClass=*/true);
      } else if (rest.starts_with("&&")) {
        return Error{"an intersection of character classes ('&&') is not supported"};
      } else if (rest.starts_with("[:") && rest.find(":]") != std::string_view::npos) {
        copy(rest.find(":]") + 2);
      } else if (rest.starts_with("[^")) {
        return Error{"a negated character class inside another ('[^') is not supported"};
      } else if (rest[0] == '[') {
        ++depth;
        rest.remove_prefix(1);
      } else if (rest[0] == ']' && --depth > 0) {
        rest.remove_prefix(1);
      } else {
        copy(1);
      }
    }
    return {};
  }

  /// `rest` begins with "(?": option letters up to ':' or ')', or another group.
  void translateOptions() {
    copy(2);
    size_t end = 0;
    while (end < rest.size() && (std::isalpha(static_cast<unsigned char>(rest[end])) || rest[end] == '-'))
      ++end;
    if (end == rest.size() || (rest[end] != ':' && rest[end] != ')'))
      return;
    // Only the letters of this group: an "m" in the text behind it stays.
    size_t start = result.size();
    copy(end);
    std::replace(result.begin() + static_cast<std::ptrdiff_t>(start), result.end(), 'm', 's');
  }
};
} // namespace

Result<std::string> qopt::tokenizer::translateOniguruma(std::string_view pattern) { return Translator(pattern).run(); }
