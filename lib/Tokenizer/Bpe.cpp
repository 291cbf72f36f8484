//===- Bpe.cpp - Byte pair encoding ---------------------------------------===//
//
// Sennrich et al., arXiv 1508.07909: a word begins as its characters, and the two neighbours
// whose merge was learned first become one symbol until no pair is left that was learned.
//
//===----------------------------------------------------------------------===//
#include "Bpe.h"
#include "Unicode.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <bit>
#include <cstdio>
#include <queue>

using namespace qopt;
using namespace qopt::tokenizer;

/// Sentencepiece's mark for a space, U+2581.
static constexpr std::string_view mark = "\xE2\x96\x81";

//===----------------------------------------------------------------------===//
// Merge table
//===----------------------------------------------------------------------===//

Bpe::MergeTable::MergeTable(size_t count) : entries(std::bit_ceil(2 * count + 1)) {}

/// Where the pair is or belongs: at most half of the entries are taken.
size_t Bpe::MergeTable::place(int32_t left, int32_t right) const {
  uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  key = (key ^ key >> 31) * 0x9E3779B97F4A7C15; // Fibonacci hashing: the high bits are mixed best
  size_t mask = entries.size() - 1;
  size_t at = static_cast<size_t>(key >> 32) & mask;
  while (entries[at].left >= 0 && (entries[at].left != left || entries[at].right != right))
    at = (at + 1) & mask;
  return at;
}

void Bpe::MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  entries[place(left, right)] = {left, right, merge};
}

const Bpe::Merge *Bpe::MergeTable::find(int32_t left, int32_t right) const {
  const Entry &entry = entries[place(left, right)];
  return entry.left >= 0 ? &entry.merge : nullptr;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

Bpe::Bpe(const Field &model) {
  if (model.find("type") && model.type() != "BPE") // files of before 2021 have none
    model.failType("model");
  if (std::optional<Field> dropout = model.find("dropout"); dropout && !dropout->isZero())
    dropout->fail("dropout is for training and not supported");
  continuingPrefix = model.stringOr("continuing_subword_prefix", "");
  endSuffix = model.stringOr("end_of_word_suffix", "");
  fuseUnknown = model.booleanOr("fuse_unk", false);
  byteFallback = model.booleanOr("byte_fallback", false);
  ignoreMerges = model.booleanOr("ignore_merges", false);
  readVocabulary(model["vocab"]);
  readMerges(model["merges"]);
  // GPT-2's own file has an empty one, meaning none.
  if (std::optional<Field> unknown = model.find("unk_token"); unknown && !unknown->string().empty()) {
    unknownId = find(unknown->string());
    if (unknownId < 0)
      unknown->fail("'" + printable(unknown->string()) + "' is not in model.vocab");
  }
}

void Bpe::readVocabulary(const Field &field) {
  const Json &object = field.object();
  vocab.reserve(object.size());
  std::unordered_map<int32_t, std::string_view> tokenOfId;
  tokenOfId.reserve(object.size());
  for (const auto &[token, value] : object.items()) {
    std::optional<int32_t> id = asId(value);
    if (!id)
      field.fail("the id of '" + printable(token) + "': expected an integer from 0 to 2147483646 but got " +
                 describe(value));
    auto [place, isNew] = tokenOfId.try_emplace(*id, vocab.try_emplace(token, *id).first->first);
    if (!isNew)
      field.fail("'" + printable(place->second) + "' and '" + printable(token) + "' have the same id " +
                 std::to_string(*id));
  }

  // Most symbols are short characters: their ids are looked up in an array.
  shortIds.fill(-1);
  for (char32_t c = 0; c < shortIds.size(); ++c) {
    std::string text;
    appendCharacter(text, c);
    shortIds[c] = find(text);
  }
  // Tokens that stand for the bytes of a character without a token of its own.
  for (size_t byte = 0; byte < byteIds.size(); ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
    byteIds[byte] = find(text);
  }
}

/// A merge is ["a", "b"] or, in older files, "a b".
void Bpe::readMerges(const Field &field) {
  size_t count = field.size();
  merges = MergeTable(count);
  // A mark must be a symbol of its own, and a word must not be looked up whole.
  cutsBeforeMarks = find(mark) >= 0 && continuingPrefix.empty() && endSuffix.empty() && !ignoreMerges;
  for (size_t i = 0; i < count; ++i) {
    Field entry = field[i];
    std::string left, right;
    if (entry.isArray()) {
      if (entry.size() != 2)
        entry.failExpected("two tokens");
      left = entry[size_t(0)].string();
      right = entry[size_t(1)].string();
    } else {
      const std::string &text = entry.string();
      size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        entry.failExpected("two tokens separated by a space");
      left = text.substr(0, space);
      right = text.substr(space + 1);
    }
    // Both parts and the result must be tokens, or an encoding could end in a symbol
    // that has no number.
    auto idOf = [&](const std::string &token, const char *what) {
      int32_t id = find(token);
      if (id < 0)
        entry.fail(std::string(what) + " '" + printable(token) + "' is not in model.vocab");
      return id;
    };
    int32_t leftId = idOf(left, "token");
    int32_t rightId = idOf(right, "token");
    if (!continuingPrefix.empty() && !right.starts_with(continuingPrefix))
      entry.fail("token '" + printable(right) + "' does not begin with the continuing_subword_prefix");
    int32_t resultId = idOf(left + right.substr(continuingPrefix.size()), "result");
    if (right.starts_with(mark) && !left.ends_with(mark))
      cutsBeforeMarks = false;
    // As in the original, the last of equal pairs counts.
    merges.insert(leftId, rightId, {static_cast<uint32_t>(i), resultId});
  }
}

int32_t Bpe::find(std::string_view token) const {
  auto place = vocab.find(token);
  return place == vocab.end() ? -1 : place->second;
}

//===----------------------------------------------------------------------===//
// Encoding
//===----------------------------------------------------------------------===//

int32_t Bpe::characterId(std::string_view character) const {
  char32_t value = firstCharacter(character);
  return value < shortIds.size() ? shortIds[value] : find(character);
}

/// The word as a doubly linked list of the smallest symbols: characters, or their bytes,
/// or the unknown token where neither is in the vocabulary.
std::vector<Bpe::Symbol> Bpe::symbolsOf(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  auto add = [&](int32_t id) {
    int32_t index = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, index - 1, index + 1, false});
  };
  // With fuse_unk a run of unknown characters is one token, so it is added only at its end.
  bool unknownPending = false;
  for (size_t at = 0; at < word.size();) {
    size_t length = characterLength(word[at]);
    std::string_view character = word.substr(at, length);
    int32_t id;
    std::string_view bytes = character;
    std::string decorated;
    bool isLast = at + length == word.size();
    if ((at > 0 && !continuingPrefix.empty()) || (isLast && !endSuffix.empty())) {
      decorated = (at > 0 ? continuingPrefix : "") + std::string(character) + (isLast ? endSuffix : "");
      bytes = decorated;
      id = find(decorated);
    } else {
      id = characterId(character);
    }
    at += length;

    if (id >= 0) {
      if (std::exchange(unknownPending, false))
        add(unknownId);
      add(id);
      continue;
    }
    if (byteFallback && std::all_of(bytes.begin(), bytes.end(),
                                    [&](char byte) { return byteIds[static_cast<unsigned char>(byte)] >= 0; })) {
      for (char byte : bytes)
        add(byteIds[static_cast<unsigned char>(byte)]);
      continue;
    }
    // Without an unknown token the character vanishes, as in the original.
    if (unknownId >= 0) {
      if (unknownPending && !fuseUnknown)
        add(unknownId);
      unknownPending = true;
    }
  }
  if (unknownPending)
    add(unknownId);
  if (!symbols.empty())
    symbols.back().next = -1;
  return symbols;
}

/// Merges in the order of rank, then from left to right. A heap of candidates makes that
/// n log n; pairs that a merge has destroyed stay in it and are recognised when they come up.
void Bpe::mergeAll(std::vector<Symbol> &symbols) const {
  struct Candidate {
    uint32_t rank;
    int32_t position; // of the left symbol
    int32_t result;
    bool operator>(const Candidate &other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::vector<Candidate> initial;
  auto candidateAt = [&](int32_t position) -> std::optional<Candidate> {
    const Symbol &left = symbols[static_cast<size_t>(position)];
    const Merge *merge = left.next < 0 ? nullptr : merges.find(left.id, symbols[static_cast<size_t>(left.next)].id);
    return merge ? std::optional(Candidate{merge->rank, position, merge->result}) : std::nullopt;
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    if (std::optional<Candidate> candidate = candidateAt(static_cast<int32_t>(i)))
      initial.push_back(*candidate);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue({}, std::move(initial));

  while (!queue.empty()) {
    Candidate top = queue.top();
    queue.pop();
    Symbol &left = symbols[static_cast<size_t>(top.position)];
    if (left.isDead)
      continue;
    // The symbols may have changed since; the original then asks for the result
    // of the merge only, not for its rank.
    std::optional<Candidate> current = candidateAt(top.position);
    if (!current || current->result != top.result)
      continue;
    // The left symbol becomes the result, the right one drops out of the list.
    Symbol &right = symbols[static_cast<size_t>(left.next)];
    left.id = top.result;
    left.next = right.next;
    right.isDead = true;
    if (left.next >= 0)
      symbols[static_cast<size_t>(left.next)].previous = top.position;
    // The new symbol has two new neighbourhoods, each a candidate.
    for (int32_t position : {left.previous, top.position})
      if (position >= 0)
        if (std::optional<Candidate> candidate = candidateAt(position))
          queue.push(*candidate);
  }
}

/// Where no merge crosses a mark from the left, what stands before it is encoded alone: a
/// sentence of a sentencepiece model is one word, and its parts repeat.
size_t Bpe::independentPrefix(std::string_view word) const {
  if (!cutsBeforeMarks)
    return word.size();
  size_t at = 0;
  while (word.substr(at).starts_with(mark))
    at += mark.size();
  return std::min(word.find(mark, at), word.size());
}

void Bpe::encode(std::string_view word, std::vector<int32_t> &ids) const {
  if (word.empty())
    return;
  // Llama 3: a word that is a token is that token, whatever the merges would make of it.
  if (ignoreMerges)
    if (int32_t id = find(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  std::vector<Symbol> symbols = symbolsOf(word);
  mergeAll(symbols);
  for (const Symbol &symbol : symbols)
    if (!symbol.isDead)
      ids.push_back(symbol.id);
}
