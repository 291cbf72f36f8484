//===- LongInputsTest.cpp - Texts and files made to take long -------------===//
//
// Twice as much takes twice as long, whatever it is: one line, one word, one character over
// and over, a regular expression that looks at all of the text from each of its places.
//
//===----------------------------------------------------------------------===//
#include "../LinearTime.h"
#include "../Support/TemporaryDirectory.h"
#include "qopt/Support/File.h"
#include "qopt/Tokenizer/TokenWindows.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <nlohmann/json.hpp>

using namespace qopt;
using namespace qopt::test;
using Json = nlohmann::json;

static Json fileOf(const std::string &name) {
  Result<MappedFile> file = MappedFile::open(std::string(QOPT_TEST_INPUTS "/") + name);
  return file ? Json::parse(file->text()) : Json();
}

static std::unique_ptr<Tokenizer> parse(const Json &json) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(json.dump());
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

/// A tokenizer of the letters a and b and the byte tokens of everything.
static Json small() {
  Json vocabulary = {{"a", 0}, {"b", 1}, {"ab", 2}};
  return {{"added_tokens", Json::array()},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array({Json::array({"a", "b"})})}}}};
}

TEST(LongInputs, Texts) {
  for (const char *name : {"tiny-llama/tokenizer.json", "stories260K/tokenizer.json", "tokenizers/gpt-2.json"}) {
    std::unique_ptr<Tokenizer> tokenizer = parse(fileOf(name));
    ASSERT_TRUE(tokenizer);
    for (const char *unit : {" ", "a", "\n", "!", "the ", "\xCC\x81"}) {
      SCOPED_TRACE(std::string(name) + " '" + unit + "'");
      const std::string text = repeated(unit, 1 << 15);
      Result<std::vector<int32_t>> ids = tokenizer->encode(text, true);
      ASSERT_TRUE(bool(ids)) << ids.error().message;
      EXPECT_EQ(*tokenizer->decode(*ids), text);
      expectLinearTime(1 << 15, [&](size_t size) { (void)tokenizer->encode(repeated(unit, size), true); });
    }
  }
}

TEST(LongInputs, RegularExpressions) {
  // Seconds for 128 KiB, where each place looks at all of the rest.
  for (const char *regex : {"a*[bc]", "a*b|a", "(a+)+[bc]", "(a|aa)+$", "a+?(?=b)|a"}) {
    SCOPED_TRACE(regex);
    Json split = {{"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", regex}}}};
    Json replace = {{"type", "Replace"}, {"pattern", {{"Regex", regex}}}, {"content", "a"}};
    for (const auto &[part, step] : {std::pair("pre_tokenizer", split), {"normalizer", replace}}) {
      Json json = small();
      json[part] = step;
      std::unique_ptr<Tokenizer> tokenizer = parse(json);
      ASSERT_TRUE(tokenizer);
      std::clock_t start = std::clock();
      if (Result<std::vector<int32_t>> ids = tokenizer->encode(std::string(1 << 17, 'a'), false); !ids)
        EXPECT_NE(ids.error().message.find("regex gave up at byte "), std::string::npos) << ids.error().message;
      EXPECT_LT(std::clock() - start, 2 * CLOCKS_PER_SEC);
    }
  }
  // Real ones are far from that limit.
  Json json = small();
  json["pre_tokenizer"] = fileOf("tokenizers/gpt-2.json")["pre_tokenizer"];
  EXPECT_TRUE(bool(parse(json)->encode(repeated("it's 12  ,\n", 1 << 20), false)));
}

TEST(LongInputs, CombiningMarks) {
  // Two marks whose order Unicode's normal forms exchange.
  Json json = small();
  json["normalizer"] = {{"type", "NFC"}};
  std::unique_ptr<Tokenizer> tokenizer = parse(json);
  ASSERT_TRUE(tokenizer);
  const std::string marks = "a" + repeated("\xCC\x81\xCC\x96", 4 * 500);
  EXPECT_TRUE(bool(tokenizer->encode(marks, false)));
  expectLinearTime(1 << 15, [&](size_t size) { EXPECT_TRUE(bool(tokenizer->encode(repeated(marks, size), false))); });
  Result<std::vector<int32_t>> ids = tokenizer->encode(repeated(marks, 1 << 15) + repeated("\xCC\x96", 2100), false);
  ASSERT_FALSE(bool(ids));
  EXPECT_TRUE(
      ids.error().message.starts_with("normalizer: there are more than 1024 combining characters in a row at byte "))
      << ids.error().message;
}

TEST(LongInputs, AddedTokens) {
  auto withTokens = [](size_t count) {
    Json tokens = Json::array();
    for (size_t i = 0; i < count; ++i)
      tokens.push_back({{"id", 3 + i}, {"content", "<" + std::to_string(i) + ">"}, {"special", true}});
    Json json = small();
    json["added_tokens"] = tokens;
    return json.dump();
  };
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(withTokens(100'000));
  ASSERT_TRUE(bool(tokenizer)) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocabularySize(), 100'003);
  EXPECT_EQ(*(*tokenizer)->encode("ab<7><99999><100000>", false), (std::vector<int32_t>{2, 10, 100'002}));
  const std::string half = withTokens(10'000), all = withTokens(20'000);
  expectLinearTime(10'000, [&](size_t count) { (void)Tokenizer::parse(count == 10'000 ? half : all); });
  expectLinearTime(1 << 14, [&](size_t size) { (void)(*tokenizer)->encode(repeated("<12345><<1", size), false); });
}

TEST(LongInputs, Json) {
  expectLinearTime(1 << 20, [](size_t size) { EXPECT_FALSE(bool(Tokenizer::parse(std::string(size, '[')))); });
  expectLinearTime(1 << 18, [](size_t size) { EXPECT_FALSE(bool(Tokenizer::parse(repeated("{\"a\":", size)))); });
  expectLinearTime(1 << 18, [](size_t size) { EXPECT_FALSE(bool(Tokenizer::parse("\"" + std::string(size, 'a')))); });
  expectLinearTime(1 << 18, [](size_t size) { EXPECT_FALSE(bool(Tokenizer::parse(std::string(size, '9')))); });
  // Tokens that begin alike, each made by a merge.
  auto withMerges = [](size_t count) {
    Json json = small();
    for (size_t i = 0; i < count; ++i) {
      std::string mark = "#" + std::to_string(i);
      json["model"]["vocab"][mark] = 3 + 2 * i;
      json["model"]["vocab"]["ab" + mark] = 4 + 2 * i;
      json["model"]["merges"].push_back({"ab", mark});
    }
    return json.dump();
  };
  const std::string half = withMerges(1'000), all = withMerges(2'000);
  expectLinearTime(1'000, [&](size_t count) {
    Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(count == 1'000 ? half : all);
    EXPECT_TRUE(bool(tokenizer)) << tokenizer.error().message;
  });
}

TEST(LongInputs, Corpora) {
  std::unique_ptr<Tokenizer> tokenizer = parse(fileOf("stories260K/tokenizer.json"));
  ASSERT_TRUE(tokenizer);
  TemporaryDirectory directory;
  auto expectLinearFile = [&](const char *name, const std::function<std::string(size_t)> &contents) {
    SCOPED_TRACE(name);
    expectLinearTime(1 << 15, [&](size_t size) {
      std::string path = directory.write(name, contents(size));
      for (DocumentRule rule : {DocumentRule::Automatic, DocumentRule::BlankLines, DocumentRule::Lines}) {
        // Nothing but spaces may be no tokens.
        if (Result<Corpus> corpus = readCorpus(path, tokenizer.get(), 512, {rule}))
          (void)makeWindows(*corpus, 16);
      }
    });
  };
  expectLinearFile("line.txt", [](size_t size) { return repeated("Once upon a time ", size); });
  expectLinearFile("lines.txt", [](size_t size) { return repeated("a\r\n", size); });
  expectLinearFile("blank.txt", [](size_t size) { return "a" + repeated("\n \n", size) + "a"; });
  expectLinearFile("spaces.txt", [](size_t size) { return repeated(" ", size); });
  expectLinearFile("bytes.txt", [](size_t size) { return repeated("\xff\xe2", size); });
  expectLinearFile("marks.txt", [](size_t size) { return repeated("a<|endoftext|>", size); });
  expectLinearFile("line.jsonl", [](size_t size) { return "{\"text\": \"" + repeated("a day ", size) + "\"}\n"; });
  expectLinearFile("lines.jsonl", [](size_t size) { return repeated("{\"text\": \"a\"}\n", size); });
  expectLinearFile("ids.jsonl", [](size_t size) { return "{\"input_ids\": [1" + repeated(", 20", size) + "]}\n"; });
  expectLinearFile("ids.tokens", [](size_t size) { return repeated("17 ", size); });
}
