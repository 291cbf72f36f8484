//===- Normalizer.cpp - What happens to text before it is split -----------===//
//
// The steps of the field "normalizer", in order. Unicode's normal forms are ICU's.
//
//===----------------------------------------------------------------------===//
#include "Normalizer.h"
#include "Unicode.h"
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

using namespace qopt;
using namespace qopt::tokenizer;

/// Where more characters than `most` follow each other that combine with what stands before them; npos
/// where none do.
static size_t findLongRun(const icu::Normalizer2 &form, std::string_view text, int most) {
  int run = 0;
  for (size_t at = 0; at < text.size(); at += characterLength(text[at])) {
    auto first = static_cast<unsigned char>(text[at]);
    run = first < 0x80 || form.hasBoundaryBefore(static_cast<UChar32>(firstCharacter(text.substr(at)))) ? 0 : run + 1;
    if (run > most)
      return at;
  }
  return std::string_view::npos;
}

/// ICU writes UTF-8 straight into the result; most texts are in normal form already.
static Result<std::string> normalizeUnicode(const icu::Normalizer2 &form, const std::string &text) {
  // ICU sorts combining characters by insertion, in the square of the time. Text has some, not hundreds.
  constexpr int most = 1024;
  if (size_t at = findLongRun(form, text, most); at != std::string_view::npos)
    return Error{"there are more than " + std::to_string(most) + " combining characters in a row at byte " +
                 std::to_string(at)};
  UErrorCode code = U_ZERO_ERROR;
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(std::min<size_t>(text.size(), INT32_MAX)));
  form.normalizeUTF8(0, text, sink, nullptr, code);
  if (U_FAILURE(code))
    return Error{std::string("Unicode normalization failed: ") + u_errorName(code)};
  return result;
}

/// White space as Unicode defines it, not only ASCII's.
static std::string strip(std::string_view text, bool left, bool right) {
  while (left && !text.empty() && isWhiteSpace(firstCharacter(text)))
    text.remove_prefix(characterLength(text[0]));
  while (right && !text.empty()) {
    size_t last = lastCharacterStart(text);
    if (!isWhiteSpace(firstCharacter(text.substr(last))))
      break;
    text = text.substr(0, last);
  }
  return std::string(text);
}

/// A step is a function of the text and of how long its result may become: files are not
/// trusted not to make a text explode.
void Normalizer::add(const Field &field) {
  const std::string &type = field.type();
  auto addUnicode = [&](const icu::Normalizer2 *(*instance)(UErrorCode &)) {
    UErrorCode code = U_ZERO_ERROR;
    const icu::Normalizer2 *form = instance(code);
    if (U_FAILURE(code))
      field["type"].fail("ICU has no data for '" + type + "': " + u_errorName(code));
    steps.push_back([form](std::string text, size_t) { return normalizeUnicode(*form, text); });
  };

  if (type == "Sequence") {
    Field parts = field["normalizers"];
    for (size_t i = 0; i < parts.size(); ++i)
      add(parts[i]);
  } else if (type == "Prepend") {
    steps.push_back([prefix = field["prepend"].string()](std::string text, size_t limit) -> Result<std::string> {
      if (text.empty())
        return text;
      if (prefix.size() > limit || text.size() > limit - prefix.size())
        return Error{"prepending makes the text longer than " + std::to_string(limit) + " bytes"};
      return prefix + text;
    });
  } else if (type == "Replace") {
    steps.push_back([pattern = Pattern::parse(field["pattern"]), content = field["content"].string()](std::string text,
                                                                                                      size_t limit) {
      Matcher matcher(pattern);
      return replaceAll(text, matcher, content, limit);
    });
  } else if (type == "Strip") {
    bool left = field.booleanOr("strip_left", true);
    bool right = field.booleanOr("strip_right", true);
    steps.push_back([=](std::string text, size_t) -> Result<std::string> { return strip(text, left, right); });
  } else if (type == "NFC") {
    addUnicode(icu::Normalizer2::getNFCInstance);
  } else if (type == "NFD") {
    addUnicode(icu::Normalizer2::getNFDInstance);
  } else if (type == "NFKC") {
    addUnicode(icu::Normalizer2::getNFKCInstance);
  } else if (type == "NFKD") {
    addUnicode(icu::Normalizer2::getNFKDInstance);
  } else {
    field.failType("normalizer");
  }
}

Result<std::string> Normalizer::apply(std::string_view text) const {
  std::string result(text);
  for (const Step &step : steps) {
    Result<std::string> next = step(std::move(result), replacementLimit(text.size()));
    if (!next)
      return Error{"normalizer: " + next.error().message};
    result = std::move(*next);
  }
  return result;
}
