//===- Utf8.cpp - Text from files, safe to print --------------------------===//
//
// Which bytes may follow each other is what the Unicode standard says of well-formed
// UTF-8.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Utf8.h"
#include <cstdio>

using namespace qopt;

/// The length of the valid UTF-8 sequence at the start of `text`; 0 when there
/// is none. Overlong forms, surrogates and values past U+10FFFF are invalid.
static size_t sequenceLength(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto isTail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  unsigned char lead = byte(0);
  if (lead < 0x80)
    return text.empty() ? 0 : 1;
  if (lead >= 0xC2 && lead <= 0xDF)
    return isTail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!isTail(1) || !isTail(2) || (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F))
      return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!isTail(1) || !isTail(2) || !isTail(3) || (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F))
      return 0;
    return 4;
  }
  return 0;
}

bool qopt::isValidUtf8(std::string_view text) {
  while (!text.empty()) {
    size_t length = sequenceLength(text);
    if (length == 0)
      return false;
    text.remove_prefix(length);
  }
  return true;
}

/// The length of the longest start of `text`, which is not valid UTF-8, that some
/// character begins with; at least one byte.
static size_t invalidLength(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  unsigned char lead = byte(0);
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (lead < 0xE0 || lead > 0xF4 || byte(1) < low || byte(1) > high)
    return 1;
  return lead >= 0xF0 && (byte(2) & 0xC0) == 0x80 ? 3 : 2;
}

std::string qopt::replaceInvalidUtf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  size_t copied = 0; // everything before is in `result`
  for (size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    if (size_t length = sequenceLength(text.substr(i))) {
      i += length;
      continue;
    }
    result.append(text, copied, i - copied).append("\xEF\xBF\xBD");
    i += invalidLength(text.substr(i));
    copied = i;
  }
  return result.append(text, copied);
}

std::string qopt::printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    size_t length = sequenceLength(text);
    unsigned char first = text[0];
    if (length == 0 || first < 0x20 || first == 0x7F) {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", first);
      result += escaped;
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}
