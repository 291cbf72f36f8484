//===- PreTokenizer.h - Splits text into the words that BPE sees ----------===//
//
// Types: Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_PRETOKENIZER_H
#define QOPT_LIB_TOKENIZER_PRETOKENIZER_H

#include "Pattern.h"
#include <functional>

namespace qopt::tokenizer {

/// A text and its words: non-empty parts of it, in order.
struct Words {
  std::string text;
  std::vector<Span> spans;
  /// Whether the first word is where the user's text begins (Metaspace asks).
  bool startsText;
};

class PreTokenizer {
public:
  /// Leaves the text one word.
  PreTokenizer() = default;
  /// Throws FieldError.
  explicit PreTokenizer(const Field &field) { add(field); }

  /// Splits every word further. Error: a regex gave up.
  Status apply(Words &words) const;

private:
  void add(const Field &field);
  std::vector<std::function<Status(Words &)>> steps;
};

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_PRETOKENIZER_H
