#include "qopt/Support/Utf8.h"
#include <gtest/gtest.h>

using namespace qopt;

TEST(Utf8, ReplacesMaximalSubparts) {
  EXPECT_EQ(replaceInvalidUtf8("plain, \xC3\xA9, \xF0\x9F\x98\x80"), "plain, \xC3\xA9, \xF0\x9F\x98\x80");
  EXPECT_EQ(replaceInvalidUtf8(""), "");
  auto count = [](std::string_view bytes) {
    std::string replaced = replaceInvalidUtf8(bytes);
    EXPECT_TRUE(isValidUtf8(replaced));
    size_t n = 0;
    for (size_t at = 0; (at = replaced.find("\xEF\xBF\xBD", at)) != std::string::npos; at += 3)
      ++n;
    return n;
  };
  // Counts of U+FFFD as Python's bytes.decode(errors="replace") gives them.
  EXPECT_EQ(count("\xFF"), 1u);
  EXPECT_EQ(count("\xC0\x80"), 2u);             // overlong
  EXPECT_EQ(count("\xE0\x80\x80"), 3u);         // overlong
  EXPECT_EQ(count("\xED\xA0\x80"), 3u);         // surrogate
  EXPECT_EQ(count("\xF4\x90\x80\x80"), 4u);     // past U+10FFFF
  EXPECT_EQ(count("\xF0\x9F\x98"), 1u);         // cut short
  EXPECT_EQ(count("\xF0\x9F\x98x"), 1u);        // cut short by another character
  EXPECT_EQ(count("\xE2\x82\xE2\x82\xAC"), 1u); // cut short by a valid one
  EXPECT_EQ(count("\xF0\x80\xC3"), 3u);
  EXPECT_EQ(count("\x80\xBF"), 2u);
}
