//===- ScoringText.h - Rows of tokens to score, and text from tokens -------===//
//
// The perplexity of a text depends on how it is cut; each mode cuts as the program that
// it is compared with.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SCORINGTEXT_H
#define QOPT_RUNTIME_SCORINGTEXT_H

#include "qopt/Runtime/Perplexity.h"
#include "qopt/Tokenizer/TokenWindows.h"
#include "qopt/Tokenizer/Tokenizer.h"

namespace qrt {

struct ScoringOptions {
  PerplexityMode mode = PerplexityMode::Windows;
  /// Tokens per window; 0: 2048, or 512 for llama.cpp, or the model's context when
  /// that is less, or the only length that it takes.
  int64_t window = 0;
  /// Only that many windows, evenly spaced: number k is window floor(k * all / n);
  /// 0: all. Not for texts.
  int64_t maxWindows = 0;
  /// How plain text is cut into documents; mode Windows only.
  qopt::DocumentRule documents = qopt::DocumentRule::Automatic;
};

/// The rows that measurePerplexity() scores, from a file of the kinds
/// that TokenWindows.h knows. Rows of an .npy stay as they are. Of text:
///
///   windows         documents, each with BOS before (where the tokenizer adds it)
///                   and end of text after it, joined and cut into windows
///   per-text, seed  each line of a .txt that is not blank, each line of a .jsonl
///   llama.cpp       the whole text, cut into windows whose first token is replaced
///                   by BOS (where the tokenizer adds it)
///
/// `tokenizer` may be null for files of ids. Errors: a window for an .npy of
/// another length, windows of texts, a document rule that the mode does not know, those of readCorpus() and
/// makeWindows().
Result<std::vector<std::vector<int32_t>>> readScoringRows(const std::string &path, const ScoringOptions &options,
                                                          const qopt::Tokenizer *tokenizer, const LanguageModel &model);

/// Turns tokens into text while they come: a character whose bytes are spread
/// over several tokens appears when it is whole.
class TextStream {
public:
  explicit TextStream(const qopt::Tokenizer &tokenizer) : tokenizer(tokenizer) {}
  /// The text that `tokens` add.
  Result<std::string> add(std::span<const int32_t> tokens);
  /// What was held back.
  Result<std::string> finish();

private:
  /// What `text`, the decoding of all tokens, adds to what was returned before.
  std::string added(std::string_view text);

  const qopt::Tokenizer &tokenizer;
  std::vector<int32_t> ids;
  std::string returned; ///< as it was decoded
};

} // namespace qrt

#endif // QOPT_RUNTIME_SCORINGTEXT_H
