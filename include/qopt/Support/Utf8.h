//===- Utf8.h - Text from files, safe to print ----------------------------===//
//
// Names and texts come from files that anyone may have written, and end on a terminal.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_UTF8_H
#define QOPT_SUPPORT_UTF8_H

#include <string>
#include <string_view>

namespace qopt {

bool isValidUtf8(std::string_view text);

/// `text` with U+FFFD for what is not UTF-8: one for each longest part that could
/// have begun a character, else one per byte. This is Unicode's recommended
/// practice (3.9, U+FFFD Substitution of Maximal Subparts) and what Python does
/// with errors="replace".
std::string replaceInvalidUtf8(std::string_view text);

/// `text` with control characters and bytes that are not UTF-8 written as \xNN:
/// what comes from a file goes through this before it reaches a terminal or JSON.
std::string printable(std::string_view text);

} // namespace qopt

#endif // QOPT_SUPPORT_UTF8_H
