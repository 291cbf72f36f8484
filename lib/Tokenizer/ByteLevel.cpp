//===- ByteLevel.cpp - Bytes as printable characters ----------------------===//
//
// GPT-2 writes each byte as a character, so that a vocabulary is text: printable bytes as
// themselves, all others as the characters from U+0100 on, in the order of the bytes.
//
//===----------------------------------------------------------------------===//
#include "ByteLevel.h"
#include "Unicode.h"
#include <cstdint>

using namespace qopt::tokenizer;

namespace {
/// Both directions: 256 bytes, and the 0x144 characters up to the last one used.
struct Table {
  std::array<char16_t, 256> characterOf;
  std::array<int16_t, 0x144> byteOf; // -1: none
};
} // namespace

/// "Printable" is bytes_to_unicode() of GPT-2's encoder.py: ASCII and Latin-1 without
/// spaces, control characters and the soft hyphen (0xAD).
static constexpr Table makeTable() {
  Table table = {};
  table.byteOf.fill(-1);
  char16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    bool isItself = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    char16_t character = isItself ? static_cast<char16_t>(byte) : next++;
    table.characterOf[static_cast<size_t>(byte)] = character;
    table.byteOf[character] = static_cast<int16_t>(byte);
  }
  return table;
}

static constexpr Table table = makeTable();

void qopt::tokenizer::appendByteLevel(std::string &text, std::string_view bytes) {
  for (char byte : bytes)
    appendCharacter(text, table.characterOf[static_cast<unsigned char>(byte)]);
}

std::optional<std::string> qopt::tokenizer::fromByteLevel(std::string_view text) {
  std::string bytes;
  for (; !text.empty(); text.remove_prefix(characterLength(text[0]))) {
    char32_t character = firstCharacter(text);
    if (character >= table.byteOf.size() || table.byteOf[character] < 0)
      return std::nullopt;
    bytes += static_cast<char>(table.byteOf[character]);
  }
  return bytes;
}
