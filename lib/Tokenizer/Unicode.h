//===- Unicode.h - Characters of valid UTF-8 text -------------------------===//
//
// All text inside the tokenizer is valid UTF-8: encode() replaces what is not.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_UNICODE_H
#define QOPT_LIB_TOKENIZER_UNICODE_H

#include <string>
#include <string_view>

namespace qopt::tokenizer {

/// Bytes of the character that begins with `lead`.
inline size_t characterLength(char lead) {
  unsigned char byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Whether `byte` is one behind the first of a character.
inline bool isContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// The character at the start of `text`, which is not empty.
inline char32_t firstCharacter(std::string_view text) {
  size_t length = characterLength(text[0]);
  if (length == 1)
    return static_cast<unsigned char>(text[0]);
  char32_t value = static_cast<unsigned char>(text[0]) & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i)
    value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  return value;
}

/// Where the last character of `text`, which is not empty, begins.
inline size_t lastCharacterStart(std::string_view text) {
  size_t start = text.size() - 1;
  while (isContinuation(text[start]))
    --start;
  return start;
}

inline void appendCharacter(std::string &text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
    return;
  }
  int tails = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  text += static_cast<char>((0xFF00 >> (tails + 1) & 0xFF) | c >> (6 * tails));
  for (int i = tails - 1; i >= 0; --i)
    text += static_cast<char>(0x80 | (c >> (6 * i) & 0x3F));
}

/// Unicode's White_Space property.
inline bool isWhiteSpace(char32_t c) {
  return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_UNICODE_H
