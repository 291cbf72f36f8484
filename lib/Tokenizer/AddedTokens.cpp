//===- AddedTokens.cpp - Tokens found in the text before anything else ----===//
//
// Added tokens are cut out of the text before it is normalized and split, as Hugging Face's
// tokenizers do; a prompt may contain thousands of them, and a file thousands to look for.
//
//===----------------------------------------------------------------------===//
#include "AddedTokens.h"
#include "Unicode.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <unicode/uchar.h>
#include <unordered_set>

using namespace qopt;
using namespace qopt::tokenizer;

//===----------------------------------------------------------------------===//
// Finding
//===----------------------------------------------------------------------===//

/// \w as Unicode's regular expressions define it (UTS 18, annex C).
static bool isWordCharacter(char32_t c) {
  UChar32 character = static_cast<UChar32>(c);
  return u_hasBinaryProperty(character, UCHAR_ALPHABETIC) || u_hasBinaryProperty(character, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(character) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

static bool beginsWithWord(std::string_view text) { return !text.empty() && isWordCharacter(firstCharacter(text)); }
static bool endsWithWord(std::string_view text) {
  return !text.empty() && isWordCharacter(firstCharacter(text.substr(lastCharacterStart(text))));
}

void AddedTokenFinder::add(std::string text, const AddedToken &token) { entries.push_back({std::move(text), token}); }

/// Sorts the tokens, which is what longestAt() searches in, and notes how they begin: at
/// nearly every byte of an ordinary text no token does.
void AddedTokenFinder::prepare() {
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) {
    return a.text != b.text ? a.text < b.text : a.token.id < b.token.id;
  });
  for (const Entry &entry : entries)
    firstBytes.set(static_cast<unsigned char>(entry.text[0]));
}

/// The longest token that `text` begins with. The entries that share the first n
/// bytes of the text are a range of the sorted table, which shrinks with n.
const AddedTokenFinder::Entry *AddedTokenFinder::longestAt(std::string_view text) const {
  const Entry *longest = nullptr;
  auto first = entries.begin();
  auto last = entries.end();
  for (size_t depth = 0; depth < text.size() && first != last; ++depth) {
    unsigned char wanted = static_cast<unsigned char>(text[depth]);
    auto byteAt = [depth](const Entry &entry) {
      return depth < entry.text.size() ? static_cast<unsigned char>(entry.text[depth]) : -1;
    };
    first = std::partition_point(first, last, [&](const Entry &entry) { return byteAt(entry) < wanted; });
    last = std::partition_point(first, last, [&](const Entry &entry) { return byteAt(entry) <= wanted; });
    if (first != last && first->text.size() == depth + 1)
      longest = &*first;
  }
  return longest;
}

std::vector<Segment> AddedTokenFinder::split(std::string_view text) const {
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const Entry *entry = firstBytes[static_cast<unsigned char>(text[at])] ? longestAt(text.substr(at)) : nullptr;
    if (!entry) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + entry->text.size();
    at = end;
    const AddedToken &token = entry->token;
    // What a token has stripped belongs to it, so a token that begins there is no match.
    if (begin < done) // inside what the token before it stripped
      continue;
    if (token.isSingleWord && (endsWithWord(text.substr(0, begin)) || beginsWithWord(text.substr(end))))
      continue;
    // White space on the left is taken up to the token before; on the right, without limit.
    if (token.stripsLeft)
      while (begin > done) {
        size_t previous = lastCharacterStart(text.substr(0, begin));
        if (previous < done || !isWhiteSpace(firstCharacter(text.substr(previous))))
          break;
        begin = previous;
      }
    if (token.stripsRight)
      while (end < text.size() && isWhiteSpace(firstCharacter(text.substr(end))))
        end += characterLength(text[end]);
    if (done < begin)
      segments.push_back({{done, begin}, -1});
    segments.push_back({{begin, end}, token.id});
    done = end;
  }
  if (done < text.size())
    segments.push_back({{done, text.size()}, -1});
  return segments;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// Longer ones make finding slow in a text made for that; no real one comes near.
static constexpr size_t maxTokenSize = 4096;

AddedTokens::AddedTokens(const Field &root, const Bpe &model, const Normalizer &normalizer) {
  std::optional<Field> list = root.find("added_tokens");
  size_t count = list ? list->size() : 0;
  // A token may be in the vocabulary, too; then both must agree on its number.
  std::unordered_map<int32_t, std::string_view> modelTokens;
  for (const auto &[token, id] : model.vocabulary())
    modelTokens.emplace(id, token);
  std::unordered_set<std::string_view> contents;
  std::unordered_map<int32_t, size_t> indexOfId;

  all.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Field field = (*list)[i];
    AddedToken token;
    token.id = field["id"].id();
    token.content = field["content"].string();
    token.isSpecial = field.booleanOr("special", false);
    token.isSingleWord = field.booleanOr("single_word", false);
    token.stripsLeft = field.booleanOr("lstrip", false);
    token.stripsRight = field.booleanOr("rstrip", false);
    token.isNormalized = field.booleanOr("normalized", !token.isSpecial);
    if (token.content.empty())
      field["content"].fail("an added token must not be empty");
    if (token.content.size() > maxTokenSize)
      field["content"].fail("an added token of " + std::to_string(token.content.size()) + " bytes is longer than " +
                            std::to_string(maxTokenSize));
    std::string name = "'" + printable(token.content) + "'";
    auto sameId = modelTokens.find(token.id);
    if (sameId != modelTokens.end() && sameId->second != token.content)
      field["id"].fail("id " + std::to_string(token.id) + " of " + name + " is that of '" + printable(sameId->second) +
                       "' in model.vocab");
    if (int32_t modelId = model.find(token.content); modelId >= 0 && modelId != token.id)
      field["id"].fail(name + " has id " + std::to_string(token.id) + " here, but " + std::to_string(modelId) +
                       " in model.vocab");
    if (auto [place, isNew] = indexOfId.try_emplace(token.id, i); !isNew)
      field["id"].fail("id " + std::to_string(token.id) + " is that of added_tokens[" + std::to_string(place->second) +
                       "], too");
    all.push_back(std::move(token));
    if (!contents.insert(all.back().content).second)
      field["content"].fail(name + " occurs twice");

    AddedToken &added = all.back();
    added.decoded = added.content;
    // Tokens that are looked for behind the normalizer are found in its output, so they
    // go through it themselves.
    if (!added.isNormalized) {
      rawFinder.add(added.content, added);
      continue;
    }
    Result<std::string> normalized = normalizer.apply(added.content);
    if (!normalized)
      field["content"].fail(normalized.error().message);
    added.decoded = *normalized;
    if (!normalized->empty())
      normalizedFinder.add(std::move(*normalized), added);
  }
  rawFinder.prepare();
  normalizedFinder.prepare();
}
