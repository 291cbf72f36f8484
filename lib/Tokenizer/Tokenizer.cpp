//===- Tokenizer.cpp - Text to token ids and back -------------------------===//
//
// The parts of a tokenizer.json in the order in which they act: added tokens, normalizer, more
// added tokens, pre-tokenizer, model, post-processor; and the decoder for the way back.
//
//===----------------------------------------------------------------------===//
#include "qopt/Tokenizer/Tokenizer.h"
#include "AddedTokens.h"
#include "Bpe.h"
#include "Decoder.h"
#include "Json.h"
#include "Normalizer.h"
#include "PostProcessor.h"
#include "PreTokenizer.h"
#include "qopt/Support/Utf8.h"

using namespace qopt;
using namespace qopt::tokenizer;

/// Half of what an int32_t can index: normalization makes text longer.
static constexpr size_t maxTextSize = size_t(1) << 30;

namespace {
/// The ids of words already seen in one text. Most words of a text are few.
class WordCache {
public:
  explicit WordCache(const Bpe &model) : model(model) {}

  void encode(std::string_view word, std::vector<int32_t> &ids) {
    if (word.size() > maxWordSize)
      return model.encode(word, ids);
    auto place = spans.find(word);
    if (place == spans.end()) {
      if (spans.size() == maxWords)
        return model.encode(word, ids);
      size_t begin = stored.size();
      model.encode(word, stored);
      place = spans.emplace(word, Span{begin, stored.size()}).first;
    }
    ids.insert(ids.end(), stored.begin() + static_cast<std::ptrdiff_t>(place->second.begin),
               stored.begin() + static_cast<std::ptrdiff_t>(place->second.end));
  }

private:
  static constexpr size_t maxWordSize = 64;
  static constexpr size_t maxWords = 1 << 17;
  const Bpe &model;
  std::unordered_map<std::string, Span, StringHash, std::equal_to<>> spans;
  std::vector<int32_t> stored;
};

/// A tokenizer.json with a model of type BPE.
class BpeTokenizer : public Tokenizer {
public:
  explicit BpeTokenizer(const Field &root);

  Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecialTokens) const override;
  Result<std::string> decode(std::span<const int32_t> ids, bool skipSpecialTokens) const override;
  int64_t vocabularySize() const override { return size; }
  int32_t tokenId(std::string_view token) const override;
  int32_t endOfText() const override { return endId; }
  int32_t beginOfText() const override { return postProcessor.prefix.empty() ? -1 : postProcessor.prefix[0]; }

private:
  struct Token {
    std::string_view text;
    bool isSpecial;
  };

  Status encodeText(std::string_view text, bool startsText, WordCache &words, std::vector<int32_t> &ids) const;
  int32_t findEndOfText() const;

  Bpe model;
  Normalizer normalizer;
  AddedTokens addedTokens;
  PreTokenizer preTokenizer;
  PostProcessor postProcessor;
  Decoder decoder;
  std::unordered_map<int32_t, Token> tokenOfId;
  std::unordered_map<std::string_view, int32_t> addedIds;
  int64_t size = 0;
  int32_t endId = -1;
};
} // namespace

/// A part that does nothing where the file has none.
template <typename Part>
static Part parsePart(const Field &root, const char *name) {
  std::optional<Field> field = root.find(name);
  return field ? Part(*field) : Part();
}

BpeTokenizer::BpeTokenizer(const Field &root)
    : model(root["model"]), normalizer(parsePart<Normalizer>(root, "normalizer")), addedTokens(root, model, normalizer),
      preTokenizer(parsePart<PreTokenizer>(root, "pre_tokenizer")), decoder(parsePart<Decoder>(root, "decoder")) {
  for (const auto &[text, id] : model.vocabulary())
    tokenOfId[id] = {text, false};
  for (const AddedToken &token : addedTokens.tokens()) {
    tokenOfId[token.id] = {token.decoded, token.isSpecial};
    addedIds[token.content] = token.id;
  }
  // Ids may have gaps, and the model has logits for those, too.
  for (const auto &[id, token] : tokenOfId)
    size = std::max<int64_t>(size, int64_t(id) + 1);
  if (size == 0)
    root["model"]["vocab"].fail("there are no tokens");
  if (std::optional<Field> field = root.find("post_processor"))
    postProcessor = PostProcessor(*field, [this](int32_t id) { return tokenOfId.contains(id); });
  endId = findEndOfText();
}

/// Base models end documents with the first three or four, chat models have
/// others for the end of a turn besides.
int32_t BpeTokenizer::findEndOfText() const {
  for (const char *name : {"<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>", "<|eot_id|>", "<|im_end|>"})
    if (int32_t id = tokenId(name); id >= 0)
      return id;
  return -1;
}

int32_t BpeTokenizer::tokenId(std::string_view token) const {
  auto place = addedIds.find(token);
  return place != addedIds.end() ? place->second : model.find(token);
}

/// Encodes text that has no raw added tokens in it.
Status BpeTokenizer::encodeText(std::string_view text, bool startsText, WordCache &words,
                                std::vector<int32_t> &ids) const {
  Result<std::string> normalized = normalizer.apply(text);
  if (!normalized)
    return normalized.error();
  for (const Segment &segment : addedTokens.normalized().split(*normalized)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    size_t length = segment.span.end - segment.span.begin;
    // Only what begins the text, and not what stands behind an added token, counts as its
    // beginning.
    Words parts{normalized->substr(segment.span.begin, length), {{0, length}}, startsText && segment.span.begin == 0};
    if (Status status = preTokenizer.apply(parts); !status)
      return status;
    if (parts.text.size() > 2 * maxTextSize - 1)
      return Error{"the text has " + std::to_string(parts.text.size()) + " bytes after normalization, more than 2 GiB"};
    for (Span span : parts.spans)
      for (std::string_view word = std::string_view(parts.text).substr(span.begin, span.end - span.begin);
           !word.empty();) {
        size_t cut = model.independentPrefix(word);
        words.encode(word.substr(0, cut), ids);
        word.remove_prefix(cut);
      }
  }
  return {};
}

Result<std::vector<int32_t>> BpeTokenizer::encode(std::string_view text, bool addSpecialTokens) const {
  if (text.size() > maxTextSize)
    return Error{"a text of " + std::to_string(text.size()) + " bytes is longer than 1 GiB"};
  std::string replaced; // the usual text needs no copy
  if (!isValidUtf8(text))
    text = replaced = replaceInvalidUtf8(text);
  std::vector<int32_t> ids;
  if (addSpecialTokens)
    ids = postProcessor.prefix;
  WordCache words(model);
  for (const Segment &segment : addedTokens.raw().split(text)) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    std::string_view part = text.substr(segment.span.begin, segment.span.end - segment.span.begin);
    if (Status status = encodeText(part, segment.span.begin == 0, words, ids); !status)
      return status.error();
  }
  if (addSpecialTokens)
    ids.insert(ids.end(), postProcessor.suffix.begin(), postProcessor.suffix.end());
  return ids;
}

Result<std::string> BpeTokenizer::decode(std::span<const int32_t> ids, bool skipSpecialTokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    auto place = tokenOfId.find(ids[i]);
    if (place == tokenOfId.end())
      return Error{"token " + std::to_string(i) + ": id " + std::to_string(ids[i]) + " is not in the vocabulary of " +
                   std::to_string(size)};
    if (!skipSpecialTokens || !place->second.isSpecial)
      tokens.emplace_back(place->second.text);
  }
  return decoder.apply(std::move(tokens));
}

/// The only place where exceptions of the parser and of Field end.
Result<std::unique_ptr<Tokenizer>> Tokenizer::parse(std::string_view json) {
  try {
    Result<Json> root = parseJson(json);
    if (!root)
      return root.error();
    return std::unique_ptr<Tokenizer>(std::make_unique<BpeTokenizer>(Field(*root)));
  } catch (const FieldError &error) {
    return Error{error.message};
  } catch (const std::exception &error) { // out of memory, say
    return Error{std::string("cannot read the tokenizer: ") + error.what()};
  }
}
