#include "qopt/Support/Sha256.h"
#include <gtest/gtest.h>
#include <string>
#include <string_view>

using namespace qopt;

static std::string hex(const Sha256::Digest &digest) {
  std::string text;
  for (std::byte byte : digest) {
    text += "0123456789abcdef"[static_cast<int>(byte) >> 4];
    text += "0123456789abcdef"[static_cast<int>(byte) & 15];
  }
  return text;
}

static std::string hashOf(std::string_view text, bool allowInstructions, size_t step) {
  Sha256 hash(allowInstructions);
  for (size_t i = 0; i < text.size(); i += step)
    hash.update(std::as_bytes(std::span(text.substr(i, step))));
  return hex(hash.finish());
}

// The examples of FIPS 180-4's companion document, and one longer text.
TEST(Sha256, KnownDigests) {
  const std::string million(1000000, 'a');
  for (bool allowInstructions : {false, true}) {
    auto hash = [&](std::string_view text) { return hashOf(text, allowInstructions, 977); };
    EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hash(million), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

// Every length around the block size, fed in pieces of every size, both ways.
TEST(Sha256, PiecesDoNotMatter) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += static_cast<char>(i * 7);
  for (size_t length = 0; length <= text.size(); ++length) {
    std::string_view part = std::string_view(text).substr(0, length);
    std::string expected = hashOf(part, false, 1);
    for (size_t step : {1, 3, 63, 64, 65, 200})
      EXPECT_EQ(hashOf(part, true, step), expected) << length << " bytes in pieces of " << step;
  }
}
