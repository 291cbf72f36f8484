//===- ByteLevel.h - GPT-2's spelling of bytes as printable characters ----===//
//
// 188 bytes stand for themselves as Latin-1 characters; the others, in order, are
// U+0100 and up: a space is U+0120. (Radford et al. 2019, encoder.py.)
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_BYTELEVEL_H
#define QOPT_LIB_TOKENIZER_BYTELEVEL_H

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace qopt::tokenizer {

/// Appends the spelling of `bytes`.
void appendByteLevel(std::string &text, std::string_view bytes);

/// The bytes that `text` spells; nothing when a character of it spells none.
std::optional<std::string> fromByteLevel(std::string_view text);

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_BYTELEVEL_H
