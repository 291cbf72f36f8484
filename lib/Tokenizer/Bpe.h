//===- Bpe.h - Byte pair encoding -----------------------------------------===//
//
// Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword
// Units": a word's characters are joined pair by pair, the pair whose merge was
// learned first before all others. With a queue of the pairs this takes
// n log n steps for n characters.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_BPE_H
#define QOPT_LIB_TOKENIZER_BPE_H

#include "Json.h"
#include <array>
#include <functional>
#include <unordered_map>
#include <vector>

namespace qopt::tokenizer {

/// Lets maps of strings be asked with a string_view.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using TokenMap = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

class Bpe {
public:
  /// Reads the field "model". Throws FieldError.
  explicit Bpe(const Field &model);

  /// Appends the ids of one word, which is shorter than 2^31 bytes.
  void encode(std::string_view word, std::vector<int32_t> &ids) const;

  /// The length of the first part of `word` whose ids do not depend on the rest.
  /// Sentencepiece's files split nothing before BPE, so a word may be a whole book:
  /// cutting it where no merge reaches across lets the parts be cached.
  size_t independentPrefix(std::string_view word) const;

  const TokenMap &vocabulary() const { return vocab; }
  /// -1 when there is none.
  int32_t find(std::string_view token) const;

private:
  struct Merge {
    uint32_t rank;
    int32_t result;
  };
  /// A hash table of pairs of ids, with open addressing: asked several times for
  /// every character.
  class MergeTable {
  public:
    explicit MergeTable(size_t count = 0);
    void insert(int32_t left, int32_t right, Merge merge);
    const Merge *find(int32_t left, int32_t right) const;

  private:
    struct Entry {
      int32_t left = -1;
      int32_t right = -1;
      Merge merge;
    };
    size_t place(int32_t left, int32_t right) const;
    std::vector<Entry> entries;
  };
  /// A symbol of the word; those joined to their left neighbour are dead.
  struct Symbol {
    int32_t id;
    int32_t previous;
    int32_t next;
    bool isDead;
  };

  void readVocabulary(const Field &field);
  void readMerges(const Field &field);
  std::vector<Symbol> symbolsOf(std::string_view word) const;
  void mergeAll(std::vector<Symbol> &symbols) const;
  int32_t characterId(std::string_view character) const;

  TokenMap vocab;
  MergeTable merges;
  /// Ids of the tokens that are one character below U+0400; -1: none.
  std::array<int32_t, 0x400> shortIds;
  std::array<int32_t, 256> byteIds; // of <0x00> to <0xFF>; -1: none
  int32_t unknownId = -1;
  bool fuseUnknown = false;
  bool byteFallback = false;
  bool ignoreMerges = false;
  bool cutsBeforeMarks = false; // see independentPrefix
  std::string continuingPrefix;
  std::string endSuffix;
};

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_BPE_H
