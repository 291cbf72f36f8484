#include "qopt/Tokenizer/Tokenizer.h"
#include "qopt/Support/File.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

using namespace qopt;
using Json = nlohmann::json;

static std::string readInput(const std::string &name) {
  Result<MappedFile> file = MappedFile::open(std::string(QOPT_TEST_INPUTS "/") + name);
  if (!file) {
    ADD_FAILURE() << name << ": " << file.error().message;
    return "";
  }
  return std::string(file->text());
}

static std::unique_ptr<Tokenizer> parseOrNull(std::string_view json) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(json);
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

/// The message of the error that parsing `json` gives.
static std::string errorOf(std::string_view json) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::parse(json);
  return tokenizer ? "no error" : tokenizer.error().message;
}

static std::vector<int32_t> encode(const Tokenizer &tokenizer, std::string_view text, bool addSpecialTokens = true) {
  Result<std::vector<int32_t>> ids = tokenizer.encode(text, addSpecialTokens);
  if (!ids) {
    ADD_FAILURE() << ids.error().message;
    return {};
  }
  return std::move(*ids);
}

//===----------------------------------------------------------------------===//
// The ids of the original packages
//===----------------------------------------------------------------------===//

/// llama.cpp's vocabulary tests: a text, ended by a separator, for every line of ids.
static void checkLlamaCpp(const std::string &name) {
  std::unique_ptr<Tokenizer> tokenizer = parseOrNull(readInput("tokenizers/" + name + ".json"));
  ASSERT_TRUE(tokenizer);
  std::string texts = readInput("tokenizers/" + name + ".inp");
  std::istringstream lines(readInput("tokenizers/" + name + ".out"));
  const std::string separator = "\n__ggml_vocab_test__\n";
  size_t count = 0;
  for (size_t begin = 0; begin < texts.size(); ++count) {
    size_t end = texts.find(separator, begin);
    ASSERT_NE(end, std::string::npos);
    std::string text = texts.substr(begin, end - begin);
    begin = end + separator.size();
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    std::istringstream words(line);
    std::vector<int32_t> expected{std::istream_iterator<int32_t>(words), {}};
    EXPECT_EQ(encode(*tokenizer, text, /*addSpecialTokens=*/false), expected) << "text: " << text;
  }
  EXPECT_EQ(count, 46u);
}

TEST(Tokenizer, Gpt2AsInLlamaCpp) { checkLlamaCpp("gpt-2"); }
TEST(Tokenizer, Phi3AsInLlamaCpp) { checkLlamaCpp("phi-3"); }

static std::string fromHex(const std::string &hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

TEST(Tokenizer, VectorsOfThePythonPackage) {
  Json vectors = Json::parse(readInput("tokenizers/vectors.json"));
  size_t count = 0;
  for (const Json &entry : vectors) {
    Json file = Json::parse(readInput(entry["tokenizer"].get<std::string>() + "/tokenizer.json"));
    file.merge_patch(entry["patch"]);
    std::unique_ptr<Tokenizer> tokenizer = parseOrNull(file.dump());
    ASSERT_TRUE(tokenizer) << entry["patch"].dump();
    for (const Json &item : entry["cases"]) {
      std::string text = item.contains("text") ? item["text"].get<std::string>() : fromHex(item["bytes"]);
      std::vector<int32_t> ids = encode(*tokenizer, text);
      EXPECT_EQ(ids, item["ids"].get<std::vector<int32_t>>()) << entry["patch"].dump() << "\n" << item.dump();
      Result<std::string> decoded = tokenizer->decode(ids);
      ASSERT_TRUE(bool(decoded));
      EXPECT_EQ(*decoded, item["decoded"].get<std::string>()) << entry["patch"].dump() << "\n" << item.dump();
      ++count;
    }
  }
  EXPECT_GT(count, 1000u);
}

TEST(Tokenizer, NamesOfSpecialTokens) {
  std::unique_ptr<Tokenizer> tiny = parseOrNull(readInput("tiny-llama/tokenizer.json"));
  ASSERT_TRUE(tiny);
  EXPECT_EQ(tiny->vocabularySize(), 2048);
  EXPECT_EQ(tiny->beginOfText(), 2046);
  EXPECT_EQ(tiny->endOfText(), 2047);
  EXPECT_EQ(tiny->tokenId("<|end_of_text|>"), 2047);
  EXPECT_EQ(tiny->tokenId("\xC4\xA0the"), encode(*tiny, " the", false).at(0));
  EXPECT_EQ(tiny->tokenId("no such token"), -1);
  std::unique_ptr<Tokenizer> stories = parseOrNull(readInput("stories260K/tokenizer.json"));
  ASSERT_TRUE(stories);
  EXPECT_EQ(stories->vocabularySize(), 512);
  EXPECT_EQ(stories->beginOfText(), 1);
  EXPECT_EQ(stories->endOfText(), 2);
}

TEST(Tokenizer, DecodesAndReportsUnknownIds) {
  std::unique_ptr<Tokenizer> tiny = parseOrNull(readInput("tiny-llama/tokenizer.json"));
  ASSERT_TRUE(tiny);
  std::string text = "Byte-level: \xF0\x9F\x98\x80\n\ttabs  and   spaces \xE6\x97\xA5";
  std::vector<int32_t> ids = encode(*tiny, text);
  EXPECT_EQ(*tiny->decode(ids), text);
  EXPECT_EQ(*tiny->decode(ids, /*skipSpecialTokens=*/false), "<|begin_of_text|>" + text);
  for (int32_t bad : {2048, -1}) {
    ids = {5, bad};
    Result<std::string> decoded = tiny->decode(ids);
    ASSERT_FALSE(bool(decoded));
    EXPECT_EQ(decoded.error().message, "token 1: id " + std::to_string(bad) + " is not in the vocabulary of 2048");
  }
}

//===----------------------------------------------------------------------===//
// Hostile input
//===----------------------------------------------------------------------===//

TEST(Tokenizer, ManifestOfMalformedFiles) {
  std::istringstream manifest(readInput("bad-inputs/tokenizer/MANIFEST.tsv"));
  std::set<std::string> messages;
  size_t accepted = 0;
  for (std::string line; std::getline(manifest, line);) {
    std::string name = line.substr(0, line.find('\t'));
    std::string message = errorOf(readInput("bad-inputs/tokenizer/" + name));
    if (line.ends_with("\taccepted")) {
      EXPECT_EQ(message, "no error") << name;
      ++accepted;
      continue;
    }
    EXPECT_NE(message, "no error") << name;
    EXPECT_EQ(message.find('\n'), std::string::npos) << name;
    EXPECT_TRUE(messages.insert(message).second) << name << " has the message of another file: " << message;
  }
  EXPECT_EQ(accepted, 2u);
  EXPECT_EQ(messages.size(), 12u);
  auto error = [](const char *name) { return errorOf(readInput(std::string("bad-inputs/tokenizer/") + name)); };
  EXPECT_EQ(error("deep.json"), "JSON is nested deeper than 64 levels");
  EXPECT_EQ(error("utf16.json"), "is UTF-16; JSON must be UTF-8");
  EXPECT_EQ(error("no_model.json"), "model: missing");
  EXPECT_EQ(error("type_num.json"), "model.type: expected a string but got the number 7");
  EXPECT_EQ(error("dup_id.json"), "model.vocab: 'a' and 'b' have the same id 0");
  EXPECT_EQ(error("merge_result.json"), "model.merges[0]: result 'ab' is not in model.vocab");
  EXPECT_EQ(error("added_dup_id.json"), "added_tokens[0].id: id 0 of '<s>' is that of 'a' in model.vocab");
  EXPECT_EQ(error("template_missing.json"),
            "post_processor.single[0].SpecialToken.id: '<nope>' is not in special_tokens");
}

/// A small tokenizer.json with a patch applied.
static std::string smallFile(const char *patch) {
  Json file = Json::parse(R"({"added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2},
                              "merges": [["a", "b"]]}})");
  file.merge_patch(Json::parse(patch));
  return file.dump();
}

TEST(Tokenizer, ErrorsNameTheField) {
  EXPECT_EQ(errorOf(smallFile("{}")), "no error");
  EXPECT_EQ(errorOf(""), "is empty");
  EXPECT_EQ(errorOf("[]"), "expected an object but got an array of 0");
  EXPECT_EQ(errorOf(R"({"model": {"vocab": {"a": 0, "a": 1}}})"), "key 'a' occurs twice in one object");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"type": "Unigram"}})")), "model.type: unsupported model 'Unigram'");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"dropout": 0.1}})")),
            "model.dropout: dropout is for training and not supported");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"dropout": 0.0}})")), "no error");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"unk_token": "?"}})")), "model.unk_token: '?' is not in model.vocab");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"vocab": []}})")), "model.vocab: expected an object but got an array of 0");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"vocab": {"a": 4294967295}}})")),
            "model.vocab: the id of 'a': expected an integer from 0 to 2147483646 but got the number 4294967295");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"vocab": {"a": 1.5}}})")),
            "model.vocab: the id of 'a': expected an integer from 0 to 2147483646 but got the number 1.5");
  // The largest id takes no more memory than a small one.
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"vocab": {"ab": 2147483646}}})")), "no error");
  EXPECT_EQ(errorOf(R"({"model": {"vocab": {}, "merges": []}})"), "model.vocab: there are no tokens");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"merges": ["a b b"]}})")),
            "model.merges[0]: expected two tokens separated by a space but got 'a b b'");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"merges": [["a", "b", "a"]]}})")),
            "model.merges[0]: expected two tokens but got an array of 3");
  EXPECT_EQ(errorOf(smallFile(R"({"model": {"merges": [["a", "b"], ["x", "b"]]}})")),
            "model.merges[1]: token 'x' is not in model.vocab");
  EXPECT_EQ(errorOf(smallFile(R"({"normalizer": {"type": "Precompiled"}})")),
            "normalizer.type: unsupported normalizer 'Precompiled'");
  EXPECT_EQ(errorOf(smallFile(R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "X\n"}]}})")),
            R"(pre_tokenizer.pretokenizers[0].type: unsupported pre_tokenizer 'X\x0a')");
  EXPECT_EQ(errorOf(smallFile(R"({"decoder": {"type": "CTC"}})")), "decoder.type: unsupported decoder 'CTC'");
  EXPECT_EQ(errorOf(smallFile(R"({"post_processor": {"type": "Y"}})")),
            "post_processor.type: unsupported post_processor 'Y'");
  EXPECT_EQ(errorOf(smallFile(R"({"added_tokens": [{"id": 3, "content": ""}]})")),
            "added_tokens[0].content: an added token must not be empty");
  EXPECT_EQ(errorOf(smallFile(R"({"added_tokens": [{"id": 3, "content": "x"}, {"id": 3, "content": "y"}]})")),
            "added_tokens[1].id: id 3 is that of added_tokens[0], too");
  EXPECT_EQ(errorOf(smallFile(R"({"added_tokens": [{"id": 3, "content": "a"}]})")),
            "added_tokens[0].id: 'a' has id 3 here, but 0 in model.vocab");
  EXPECT_EQ(errorOf(smallFile(R"({"post_processor": {"type": "TemplateProcessing",
                                  "single": [{"SpecialToken": {"id": "s"}}, {"Sequence": {"id": "A"}}],
                                  "special_tokens": {"s": {"ids": [9]}}}})")),
            "post_processor.special_tokens.s.ids[0]: no token has the id 9");
  auto split = [](const char *regex) {
    return errorOf(smallFile((std::string(R"({"pre_tokenizer": {"type": "Split", "behavior": "Isolated",
                                              "pattern": {"Regex": ")") +
                              regex + R"("}}})")
                                 .c_str()));
  };
  EXPECT_EQ(split("[a[b]c]"), "no error");
  EXPECT_EQ(split("[a[^b]]"), "pre_tokenizer.pattern.Regex: regex '[a[^b]]': a negated character class inside another "
                              "('[^') is not supported");
  EXPECT_EQ(split("[a&&b]"), "pre_tokenizer.pattern.Regex: regex '[a&&b]': an intersection of character classes "
                             "('&&') is not supported");
  EXPECT_EQ(split("((ab){999}){999}"), "pre_tokenizer.pattern.Regex: regex '((ab){999}){999}' does not compile: "
                                       "regular expression is too large at byte 16");
}

TEST(Tokenizer, EveryPrefixOfAFileIsAnError) {
  std::string file = readInput("bad-inputs/tokenizer/ok.json");
  ASSERT_EQ(errorOf(file), "no error");
  for (size_t length = 0; length < file.size(); ++length)
    EXPECT_NE(errorOf(file.substr(0, length)), "no error") << length;
}

TEST(Tokenizer, HostilePatternsEnd) {
  // A regex that takes exponential time, one that matches nothing, replacements
  // that double the text sixty times, one that spells an added token away.
  std::unique_ptr<Tokenizer> slow = parseOrNull(
      smallFile(R"({"pre_tokenizer": {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(a+)+[bc]"}}})"));
  ASSERT_TRUE(slow);
  Result<std::vector<int32_t>> ids = slow->encode(std::string(5000, 'a'));
  ASSERT_FALSE(bool(ids));
  EXPECT_EQ(ids.error().message, "pre_tokenizer: regex gave up at byte 0 of the text: match limit exceeded");

  EXPECT_EQ(errorOf(smallFile(
                R"({"pre_tokenizer": {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "a\\Gb"}}})")),
            "pre_tokenizer.pattern.Regex: regex 'a\\Gb': \\G is not supported");

  std::unique_ptr<Tokenizer> empty = parseOrNull(
      smallFile(R"({"pre_tokenizer": {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": ""}}})"));
  ASSERT_TRUE(empty);
  EXPECT_EQ(encode(*empty, "abab"), (std::vector<int32_t>{0, 1, 0, 1}));

  Json steps = Json::array();
  for (int i = 0; i < 60; ++i)
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}});
  Json patch = {{"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}}};
  std::unique_ptr<Tokenizer> growing = parseOrNull(smallFile(patch.dump().c_str()));
  ASSERT_TRUE(growing);
  ids = growing->encode("a");
  ASSERT_FALSE(bool(ids));
  EXPECT_EQ(ids.error().message, "normalizer: replacing makes the text longer than 1048640 bytes");

  std::unique_ptr<Tokenizer> vanishing = parseOrNull(smallFile(
      R"({"normalizer": {"type": "Replace", "pattern": {"String": "x"}, "content": ""},
          "added_tokens": [{"id": 3, "content": "x", "normalized": true}]})"));
  ASSERT_TRUE(vanishing);
  EXPECT_EQ(encode(*vanishing, "axb"), (std::vector<int32_t>{2}));
}
