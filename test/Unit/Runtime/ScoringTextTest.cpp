#include "qopt/Runtime/ScoringText.h"
#include "Fixture.h"
#include "qopt/Support/Npy.h"

using namespace qrt;
using qopt::Tokenizer;

namespace {
using Rows = std::vector<std::vector<int32_t>>;

/// Bytes are tokens; "^" (94) stands for BOS before every text, "$" (36) for its
/// end. Decoding gives U+FFFD for what is not UTF-8.
class ByteTokenizer final : public Tokenizer {
public:
  Result<std::vector<int32_t>> encode(std::string_view text, bool) const override {
    std::vector<int32_t> ids = {'^'};
    for (unsigned char byte : text)
      ids.push_back(byte);
    return ids;
  }
  Result<std::string> decode(std::span<const int32_t> ids, bool) const override {
    std::string text;
    for (size_t i = 0; i < ids.size(); ++i) {
      bool isPair = ids[i] == 0xC3 && i + 1 < ids.size() && ids[i + 1] >= 0x80;
      if (isPair)
        text += {static_cast<char>(ids[i]), static_cast<char>(ids[i + 1])};
      else
        text += ids[i] < 0x80 ? std::string(1, static_cast<char>(ids[i])) : "\xef\xbf\xbd";
      i += isPair;
    }
    return text;
  }
  int64_t vocabularySize() const override { return 256; }
  int32_t tokenId(std::string_view) const override { return -1; }
  int32_t endOfText() const override { return '$'; }
  int32_t beginOfText() const override { return '^'; }
};

class NoModel final : public LanguageModel {
public:
  Result<Tensor> logits(const TokenBatch &) override { return qopt::Error{"not meant to run"}; }
  int64_t vocabularySize() const override { return 256; }
  int64_t contextLength() const override { return context; }
  int64_t fixedRows() const override { return 0; }
  int64_t fixedLength() const override { return fixed; }
  ThreadPool &threads() override { return pool; }
  int64_t context = 4, fixed = 0;

private:
  ThreadPool pool{1};
};

class ScoringRows : public ::testing::Test {
protected:
  Rows rows(const std::string &name, const std::string &content, PerplexityMode mode, int64_t window = 0,
            int64_t maxWindows = 0) {
    std::ofstream(folder / name, std::ios::binary) << content;
    auto result = readScoringRows(folder / name, {mode, window, maxWindows}, &tokenizer, model);
    message = result ? "" : result.error().message;
    return result ? *result : Rows();
  }
  static std::vector<int32_t> ids(std::string_view text) { return {text.begin(), text.end()}; }

  TemporaryFolder folder;
  ByteTokenizer tokenizer;
  NoModel model;
  std::string message;
};
} // namespace

TEST_F(ScoringRows, Windows) {
  // ^abcdef$ in fours; at another length the rest is dropped.
  EXPECT_EQ(rows("a.txt", "abcdef", PerplexityMode::Windows), (Rows{ids("^abc"), ids("def$")}));
  EXPECT_EQ(rows("a.txt", "abcdef", PerplexityMode::Windows, 3), (Rows{ids("^ab"), ids("cde")}));
  EXPECT_EQ(rows("a.txt", "abcdefghi", PerplexityMode::Windows, 2, 2), (Rows{ids("^a"), ids("de")})) << "of 5";
  model.fixed = 6;
  EXPECT_EQ(rows("a.txt", "abcdef", PerplexityMode::Windows), (Rows{ids("^abcde")}));
}

TEST_F(ScoringRows, TextsShorterThanAWindow) {
  rows("a.txt", "ab", PerplexityMode::Windows, 9);
  EXPECT_EQ(message, "4 tokens are fewer than one window of 9: give a --window of 2 to 4, or --mode=per-text");
}

TEST_F(ScoringRows, LlamaCppPutsBosFirst) {
  EXPECT_EQ(rows("a.txt", "abcdefg", PerplexityMode::LlamaCpp), (Rows{ids("^abc"), ids("^efg")}));
}

TEST_F(ScoringRows, TextsAreLines) {
  for (PerplexityMode mode : {PerplexityMode::PerText, PerplexityMode::Seed}) {
    EXPECT_EQ(rows("a.txt", "ab\n\n  \r\n cd\r\n", mode), (Rows{ids("^ab"), ids("^ cd")}));
    EXPECT_EQ(rows("a.jsonl", "{\"text\":\"ab\"}\n{\"input_ids\":[1,2]}\n", mode), (Rows{ids("^ab"), {1, 2}}));
  }
  rows("a.txt", "ab", PerplexityMode::PerText, 3);
  EXPECT_EQ(message, "mode per-text scores whole texts, so windows mean nothing");
}

TEST_F(ScoringRows, ArraysStayAsTheyAre) {
  const int32_t values[] = {1, 2, 3, 4, 5, 6};
  const int64_t shape[] = {2, 3};
  ASSERT_TRUE(qopt::writeNpy(folder / "a.npy", qopt::NpyType::Int32, shape, std::as_bytes(std::span(values))));
  for (PerplexityMode mode : {PerplexityMode::Windows, PerplexityMode::LlamaCpp, PerplexityMode::Seed}) {
    auto result = readScoringRows(folder / "a.npy", {mode}, nullptr, model);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(*result, (Rows{{1, 2, 3}, {4, 5, 6}}));
  }
  auto result = readScoringRows(folder / "a.npy", {PerplexityMode::Windows, 2}, nullptr, model);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "its windows of 3 tokens are scored as they are, but 2 were asked for");
}

TEST(TextStream, CharactersAppearWhole) {
  ByteTokenizer tokenizer;
  TextStream stream(tokenizer);
  auto add = [&](std::vector<int32_t> ids) { return *stream.add(ids); };
  EXPECT_EQ(add({'a'}), "a");
  EXPECT_EQ(add({0xC3}), "");
  EXPECT_EQ(add({0xA4}), "\xc3\xa4");
  EXPECT_EQ(add({'b', 0xC3}), "b");
  EXPECT_EQ(*stream.finish(), "\xef\xbf\xbd");
  EXPECT_EQ(*stream.finish(), "");
}

/// Decodes any sequence that is not UTF-8 as one mark for each of its bytes, as byte-fallback
/// tokenizers do: more bytes may turn what was a character into marks.
class FallbackTokenizer final : public Tokenizer {
public:
  Result<std::vector<int32_t>> encode(std::string_view, bool) const override { return std::vector<int32_t>(); }
  Result<std::string> decode(std::span<const int32_t> ids, bool) const override {
    std::string text;
    for (size_t i = 0; i < ids.size();) {
      size_t end = i;
      while (end < ids.size() && ids[end] >= 0x80)
        ++end;
      bool isPair = end == i + 2 && ids[i] == 0xC3;
      for (size_t k = i; k < end; ++k)
        text += isPair ? std::string(1, static_cast<char>(ids[k])) : "\xef\xbf\xbd";
      if (end < ids.size())
        text += static_cast<char>(ids[end++]);
      i = end;
    }
    return text;
  }
  int64_t vocabularySize() const override { return 256; }
  int32_t tokenId(std::string_view) const override { return -1; }
  int32_t endOfText() const override { return '$'; }
  int32_t beginOfText() const override { return '^'; }
};

TEST(TextStream, NeverFromTheMiddleOfACharacter) {
  FallbackTokenizer tokenizer;
  TextStream stream(tokenizer);
  auto add = [&](std::vector<int32_t> ids) { return *stream.add(ids); };
  EXPECT_EQ(add({'a', 0xC3, 0xA4}), "a\xc3\xa4");
  EXPECT_EQ(add({0xA4}), "") << "the character has become three marks";
  EXPECT_EQ(add({'b'}), "\xef\xbf\xbd"
                        "b")
      << "two of them stand for what was printed";
  EXPECT_EQ(*stream.finish(), "");
}
