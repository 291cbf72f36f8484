#include "qopt/Tokenizer/TokenWindows.h"
#include "../Support/TemporaryDirectory.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Npy.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace qopt;

static const std::string inputs = QOPT_TEST_INPUTS;

static std::unique_ptr<Tokenizer> tokenizerOf(const std::string &model) {
  Result<MappedFile> file = MappedFile::open(inputs + "/" + model + "/tokenizer.json");
  if (!file) {
    ADD_FAILURE() << file.error().message;
    return nullptr;
  }
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(file->text());
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

/// Checks that the text gives the windows of the reference.
static void checkReference(const std::string &model, const std::string &text, const std::string &reference,
                           const CorpusOptions &options, size_t maxDocuments, size_t numTokens) {
  std::unique_ptr<Tokenizer> tokenizer = tokenizerOf(model);
  ASSERT_TRUE(tokenizer);
  Result<Corpus> corpus =
      readCorpus(inputs + "/" + model + "/" + text, tokenizer.get(), tokenizer->vocabularySize(), options);
  ASSERT_TRUE(bool(corpus)) << corpus.error().message;
  corpus->documents.resize(std::min(corpus->documents.size(), maxDocuments));
  EXPECT_EQ(corpus->numTokens(), static_cast<int64_t>(numTokens));
  Result<TokenWindows> all = makeWindows(*corpus, 256);
  ASSERT_TRUE(bool(all)) << all.error().message;

  Result<Corpus> file = readCorpus(inputs + "/references/" + model + "/" + reference, nullptr, 2048);
  ASSERT_TRUE(bool(file)) << file.error().message;
  Result<TokenWindows> expected = makeWindows(*file, 1);
  ASSERT_TRUE(bool(expected)) << expected.error().message;
  EXPECT_EQ(expected->length, 256);
  EXPECT_EQ(pickEvenly(*all, expected->count()).ids, expected->ids);
}

// As references/*/tokens.json says.
TEST(TokenWindows, TinyLlamaReferences) {
  CorpusOptions options;
  options.rule = DocumentRule::BlankLines;
  checkReference("tiny-llama", "eval.txt", "eval.npy", options, SIZE_MAX, 98699);
  checkReference("tiny-llama", "calibration.txt", "calib.npy", options, 128, 132733);
}

TEST(TokenWindows, StoriesReferences) {
  CorpusOptions options;
  options.appendEndOfText = false;
  checkReference("stories260K", "eval.txt", "eval.npy", options, SIZE_MAX, 30495);
  checkReference("stories260K", "calibration.txt", "calib.npy", options, SIZE_MAX, 54808);
}

namespace {
/// Reads small files with the tokenizer of stories260K.
class CorpusTest : public testing::Test {
protected:
  TemporaryDirectory directory;
  std::unique_ptr<Tokenizer> tokenizer = tokenizerOf("stories260K");

  Result<Corpus> read(std::string_view name, std::string_view contents, const CorpusOptions &options = {}) {
    return readCorpus(directory.write(name, contents), tokenizer.get(), 512, options);
  }
  std::string errorOf(std::string_view name, std::string_view contents, const CorpusOptions &options = {}) {
    Result<Corpus> corpus = read(name, contents, options);
    return corpus ? "no error" : corpus.error().message;
  }
  std::vector<std::vector<int32_t>> documents(std::string_view name, std::string_view contents,
                                              const CorpusOptions &options = {}) {
    Result<Corpus> corpus = read(name, contents, options);
    if (!corpus) {
      ADD_FAILURE() << corpus.error().message;
      return {};
    }
    return corpus->documents;
  }
  /// The texts' ids, each with </s> at its end.
  std::vector<std::vector<int32_t>> encoded(std::initializer_list<std::string_view> texts) {
    std::vector<std::vector<int32_t>> result;
    for (std::string_view text : texts) {
      result.push_back(*tokenizer->encode(text));
      result.back().push_back(2);
    }
    return result;
  }
};
} // namespace

TEST_F(CorpusTest, CutsTextIntoDocuments) {
  EXPECT_EQ(documents("a.txt", "one\n\ntwo\n"), encoded({"one\n\ntwo\n"}));
  EXPECT_EQ(documents("noending", "one"), encoded({"one"}));
  EXPECT_EQ(documents("a.txt", " one \n<|endoftext|>\n<|endoftext|>two<|endoftext|>\n"), encoded({"one", "two"}));
  CorpusOptions options;
  options.rule = DocumentRule::BlankLines;
  EXPECT_EQ(documents("a.txt", "\n\n one\nmore\n\n \t\n\ntwo\r\n\r\nthree", options),
            encoded({" one\nmore", "two", "three"}));
  options.rule = DocumentRule::Whole;
  EXPECT_EQ(documents("a.txt", "a<|endoftext|>b", options), encoded({"a<|endoftext|>b"}));
  options.appendEndOfText = false;
  EXPECT_EQ(documents("a.txt", "a", options).at(0), *tokenizer->encode("a"));
}

TEST_F(CorpusTest, AcceptsEveryByteInText) {
  using namespace std::literals;
  EXPECT_EQ(documents("a.txt", "\xEF\xBB\xBF"
                               "bom\r\nx\ry"),
            encoded({"bom\nx\ry"}));
  EXPECT_EQ(documents("a.txt", "a\0b"sv), encoded({"a\0b"sv}));
  EXPECT_EQ(documents("a.txt", "a\xC0\x80"), encoded({"a\xEF\xBF\xBD\xEF\xBF\xBD"}));
}

TEST_F(CorpusTest, ReadsJsonLines) {
  EXPECT_EQ(documents("a.jsonl", "{\"text\":\"hello\"}\n\n{\"x\":1,\"text\":\"w\\u00e9\"}\r\n{\"text\":\"\"}"),
            encoded({"hello", "w\xC3\xA9"}));
  EXPECT_EQ(documents("a.jsonl", "{\"input_ids\": [1, 5, 511]}\n{\"input_ids\": []}\n{\"input_ids\": [2]}"),
            (std::vector<std::vector<int32_t>>{{1, 5, 511}, {2}}));
  EXPECT_EQ(errorOf("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\n").substr(0, 37),
            "line 2: is not valid JSON at byte 9: ");
  EXPECT_EQ(errorOf("a.jsonl", "{\"text\":\"a\"}\n\n{\"txt\":\"b\"}"), "line 3: has neither 'text' nor 'input_ids'");
  EXPECT_EQ(errorOf("a.jsonl", "{\"text\": 7}"), "line 1: text: expected a string but got the number 7");
  EXPECT_EQ(errorOf("a.jsonl", "[{\"text\": \"a\"}]"), "line 1: expected an object but got an array of 1");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": 3}"), "line 1: input_ids: expected an array but got the number 3");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [1, 512]}"),
            "line 1: input_ids[1]: id 512 is not in the vocabulary of 512");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [-1]}"), "line 1: input_ids[0]: id -1 is negative");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [18446744073709551615]}"),
            "line 1: input_ids[0]: id 18446744073709551615 is not in the vocabulary of 512");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [1.0]}"),
            "line 1: input_ids[0]: expected an integer but got the number 1.0");
  EXPECT_EQ(errorOf("a.jsonl", "\n\n"), "no tokens");
}

TEST_F(CorpusTest, ReadsTokenFiles) {
  EXPECT_EQ(documents("a.tokens", " 1 2\n3\t511 "), (std::vector<std::vector<int32_t>>{{1, 2, 3, 511}}));
  EXPECT_EQ(errorOf("a.tokens", "1 2 512"), "token 2: id 512 is not in the vocabulary of 512");
  EXPECT_EQ(errorOf("a.tokens", "1 -2"), "token 1: id -2 is negative");
  EXPECT_EQ(errorOf("a.tokens", "1.5 2"), "token 0: '1.5' is not a 64-bit integer");
  EXPECT_EQ(errorOf("a.tokens", "99999999999999999999"), "token 0: '99999999999999999999' is not a 64-bit integer");
  EXPECT_EQ(errorOf("a.tokens", ""), "no tokens");
}

TEST_F(CorpusTest, ReadsWindows) {
  std::string path = directory.file("a.npy");
  auto write = [&](NpyType type, std::vector<int64_t> shape, auto values) {
    EXPECT_TRUE(bool(writeNpy(path, type, shape, std::as_bytes(std::span(values)))));
    Result<Corpus> corpus = readCorpus(path, nullptr, 512);
    return corpus ? "no error" : corpus.error().message;
  };
  EXPECT_EQ(write(NpyType::Int64, {2, 2}, std::vector<int64_t>{1, 2, 3, 511}), "no error");
  Result<Corpus> corpus = readCorpus(path, nullptr, 512);
  ASSERT_TRUE(bool(corpus));
  EXPECT_TRUE(corpus->isWindows);
  Result<TokenWindows> windows = makeWindows(*corpus, 100);
  ASSERT_TRUE(bool(windows));
  EXPECT_EQ(windows->length, 2);
  EXPECT_EQ(windows->ids, (std::vector<int32_t>{1, 2, 3, 511}));

  EXPECT_EQ(write(NpyType::Int64, {1, 2}, std::vector<int64_t>{1, int64_t(1) << 40}),
            "row 0, token 1: id 1099511627776 is not in the vocabulary of 512");
  EXPECT_EQ(write(NpyType::Int32, {2, 1}, std::vector<int32_t>{1, -7}), "row 1, token 0: id -7 is negative");
  EXPECT_EQ(write(NpyType::Int32, {1, 1, 2}, std::vector<int32_t>{1, 2}),
            "expected token ids [n, length] or [length] but got 3 dimensions");
  EXPECT_EQ(write(NpyType::Float32, {1, 2}, std::vector<float>{1, 2}), "token ids: expected integers but got float32");
  EXPECT_EQ(write(NpyType::Int32, {int64_t(1) << 60, 0}, std::vector<int32_t>{}), "no tokens");
}

TEST_F(CorpusTest, ReadsOneRowOfAnyIntegers) {
  std::string path = directory.file("a.npy");
  const uint16_t ids[] = {1, 2, 511};
  const int64_t shape[] = {3};
  ASSERT_TRUE(bool(writeNpy(path, NpyType::UInt16, shape, std::as_bytes(std::span(ids)))));
  Result<Corpus> corpus = readCorpus(path, nullptr, 512);
  ASSERT_TRUE(bool(corpus)) << corpus.error().message;
  EXPECT_FALSE(corpus->isWindows) << "a document, to be cut";
  EXPECT_EQ(corpus->documents, (std::vector<std::vector<int32_t>>{{1, 2, 511}}));
}

TEST_F(CorpusTest, LeavesMaskedTokensOut) {
  using Documents = std::vector<std::vector<int32_t>>;
  EXPECT_EQ(documents("a.jsonl", "{\"input_ids\": [0, 0, 7, 8], \"attention_mask\": [0, 0, 1, 1]}\n"
                                 "{\"input_ids\": [3, 4], \"attention_mask\": [true, false]}\n"
                                 "{\"input_ids\": [5], \"attention_mask\": null, \"text\": null}"),
            (Documents{{7, 8}, {3}, {5}}));
  EXPECT_EQ(documents("a.jsonl", "{\"input_ids\": [9], \"attention_mask\": [0]}\n{\"input_ids\": [5]}"),
            (Documents{{5}}));
  // A list of prompts has an answer for each.
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [5]}\n{\"input_ids\": [9], \"attention_mask\": [0]}",
                    {DocumentRule::Lines, /*appendEndOfText=*/false}),
            "line 2: holds no token, or 'attention_mask' hides all");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [1, 2], \"attention_mask\": [1]}"),
            "line 1: attention_mask: has 1 elements, but input_ids 2");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [1], \"attention_mask\": [2]}"),
            "line 1: attention_mask[0]: expected 0 or 1 but got the number 2");
  EXPECT_EQ(errorOf("a.jsonl", "{\"input_ids\": [1], \"attention_mask\": 1}"),
            "line 1: attention_mask: expected an array but got the number 1");
}

TEST_F(CorpusTest, ReportsFilesItCannotUse) {
  EXPECT_EQ(errorOf("a.txt", ""), "no tokens");
  EXPECT_EQ(errorOf("a.parquet", "x"), "expected a .txt, .jsonl, .tokens or .npy file");
  EXPECT_EQ(readCorpus(directory.file("missing.txt"), tokenizer.get(), 512).error().message,
            "cannot open: No such file or directory");
  EXPECT_EQ(readCorpus(directory.write("a.txt", "x"), nullptr, 512).error().message,
            "text needs a tokenizer, and there is none");
  EXPECT_EQ(readCorpus(directory.write("a.txt", "Once"), tokenizer.get(), 100).error().message,
            "the tokenizer gives id " + std::to_string(*std::ranges::max_element(encoded({"Once"})[0])) +
                ", which is not in the model's vocabulary of 100");
}

TEST_F(CorpusTest, ManifestOfCalibrationFiles) {
  for (const char *name : {"ok.jsonl", "no_eol.jsonl", "nul.txt", "overlong.txt", "ok.tokens"}) {
    Result<Corpus> corpus = readCorpus(inputs + "/bad-inputs/calib/" + name, tokenizer.get(), 512);
    EXPECT_TRUE(bool(corpus)) << name << ": " << corpus.error().message;
  }
  EXPECT_EQ(readCorpus(inputs + "/bad-inputs/calib/oov.tokens", nullptr, 512).error().message,
            "token 2: id 999999999 is not in the vocabulary of 512");
  EXPECT_EQ(readCorpus(inputs + "/bad-inputs/calib/float.tokens", nullptr, 512).error().message,
            "token 0: '1.5' is not a 64-bit integer");
}

static Corpus countingCorpus(int32_t numTokens) {
  Corpus corpus;
  for (int32_t id = 0; id < numTokens; ++id) {
    if (id % 7 == 0)
      corpus.documents.emplace_back();
    corpus.documents.back().push_back(id);
  }
  return corpus;
}

TEST(TokenWindows, CutsAndPicks) {
  Corpus corpus = countingCorpus(29);
  Result<TokenWindows> windows = makeWindows(corpus, 4);
  ASSERT_TRUE(bool(windows));
  EXPECT_EQ(windows->count(), 7);
  for (int32_t id = 0; id < 28; ++id)
    EXPECT_EQ(windows->ids[static_cast<size_t>(id)], id);
  EXPECT_EQ(makeWindows(corpus, 30).error().message, "29 tokens are fewer than one window of 30");
  EXPECT_EQ(makeWindows(corpus, 0).error().message, "a window of 0 tokens holds nothing");

  TokenWindows picked = pickEvenly(*windows, 3); // 0, floor(7/3), floor(14/3)
  EXPECT_EQ(picked.ids, (std::vector<int32_t>{0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19}));
  EXPECT_EQ(pickEvenly(*windows, 8).ids, windows->ids);
  EXPECT_EQ(pickEvenly(*windows, 0).count(), 0);
}

TEST(TokenWindows, DrawsBySeed) {
  Result<TokenWindows> windows = makeWindows(countingCorpus(1000), 1);
  ASSERT_TRUE(bool(windows));
  TokenWindows drawn = drawWindows(*windows, 100, 1);
  EXPECT_EQ(drawn.count(), 100);
  EXPECT_TRUE(std::is_sorted(drawn.ids.begin(), drawn.ids.end()));
  EXPECT_EQ(std::adjacent_find(drawn.ids.begin(), drawn.ids.end()), drawn.ids.end());
  EXPECT_EQ(drawWindows(*windows, 100, 1).ids, drawn.ids);
  EXPECT_NE(drawWindows(*windows, 100, 2).ids, drawn.ids);
  EXPECT_EQ(drawWindows(*windows, 1000, 1).ids, windows->ids);
  EXPECT_EQ(drawWindows(*windows, 5000, 1).ids, windows->ids);
  // Every window has its chance: 1000 draws of a tenth of them give each 100 times,
  // with a standard deviation of 9.5.
  std::vector<int> times(1000);
  for (uint64_t seed = 0; seed < 1000; ++seed)
    for (int32_t id : drawWindows(*windows, 100, seed).ids)
      ++times[static_cast<size_t>(id)];
  EXPECT_GE(*std::ranges::min_element(times), 55);
  EXPECT_LE(*std::ranges::max_element(times), 145);
}
