//===- Utf8.h - Text from files, safe to print ----------------------------===//
#ifndef QOPT_SUPPORT_UTF8_H
#define QOPT_SUPPORT_UTF8_H

#include <string>
#include <string_view>

namespace qopt {

bool isValidUtf8(std::string_view text);

/// `text` with control characters and bytes that are not UTF-8 written as \xNN:
/// what comes from a file goes through this before it reaches a terminal or JSON.
std::string printable(std::string_view text);

} // namespace qopt

#endif // QOPT_SUPPORT_UTF8_H
