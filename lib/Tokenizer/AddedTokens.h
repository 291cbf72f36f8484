//===- AddedTokens.h - Tokens found in the text before anything else ------===//
//
// Special tokens such as <s>, and ordinary words that a model got later.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_ADDEDTOKENS_H
#define QOPT_LIB_TOKENIZER_ADDEDTOKENS_H

#include "Bpe.h"
#include "Normalizer.h"
#include <bitset>

namespace qopt::tokenizer {

struct AddedToken {
  int32_t id;
  std::string content;
  std::string decoded; // what decode() makes of it: normalized, if isNormalized
  bool isSingleWord;   // no word character beside it
  bool stripsLeft;     // takes the white space before it
  bool stripsRight;
  bool isNormalized; // looked for after normalization
  bool isSpecial;    // left out by decode()
};

/// A part of a text: an added token, or ordinary text (id -1).
struct Segment {
  Span span;
  int32_t id;
};

/// Finds the tokens of one set: at the leftmost place the longest one.
class AddedTokenFinder {
public:
  /// Tokens as they are looked for in the text, not empty.
  void add(std::string text, const AddedToken &token);
  /// To be called after the last add().
  void prepare();
  /// Cuts `text`, all of it. Takes at most a step per byte of the longest token at
  /// each byte of the text, usually one.
  std::vector<Segment> split(std::string_view text) const;

private:
  struct Entry {
    std::string text;
    AddedToken token;
  };
  const Entry *longestAt(std::string_view text) const;
  std::vector<Entry> entries; // sorted by text
  std::bitset<256> firstBytes;
};

class AddedTokens {
public:
  /// Reads the fields "added_tokens" and checks them against the vocabulary.
  /// Throws FieldError.
  AddedTokens(const Field &root, const Bpe &model, const Normalizer &normalizer);

  const std::vector<AddedToken> &tokens() const { return all; }
  const AddedTokenFinder &raw() const { return rawFinder; }
  const AddedTokenFinder &normalized() const { return normalizedFinder; }

private:
  std::vector<AddedToken> all;
  AddedTokenFinder rawFinder;
  AddedTokenFinder normalizedFinder;
};

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_ADDEDTOKENS_H
