//===- Tokenizer.h - tokenizer.json of Hugging Face tokenizers ------------===//
//
// BPE in its two families: byte-level (GPT-2, Llama 3, Phi-3.5 ...) and
// sentencepiece style (Metaspace, byte fallback: Llama 2, Mistral, Phi-3 ...).
// Gives the ids of the Python package for every text, invalid UTF-8 included
// (replaced by U+FFFD, as reading the file with errors="replace" does).
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TOKENIZER_TOKENIZER_H
#define QOPT_TOKENIZER_TOKENIZER_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

class Tokenizer {
public:
  /// `json` is the text of a tokenizer.json. Errors name the field.
  static Result<std::unique_ptr<Tokenizer>> parse(std::string_view json);
  virtual ~Tokenizer() = default;

  /// With `addSpecialTokens` the post-processor adds what the model was trained
  /// with (usually BOS). Special tokens inside the text are recognised.
  virtual Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecialTokens = true) const = 0;
  /// Unknown ids are an error. With `skipSpecialTokens` special tokens vanish.
  virtual Result<std::string> decode(std::span<const int32_t> ids, bool skipSpecialTokens = true) const = 0;

  /// One more than the largest id.
  virtual int64_t vocabularySize() const = 0;
  /// Id of a token's exact text; -1 when there is none.
  virtual int32_t tokenId(std::string_view token) const = 0;
  /// The end-of-text token by the usual names (</s>, <|endoftext|>, <|eot_id|>,
  /// <|end_of_text|>, <eos> ...); -1 when there is none.
  virtual int32_t endOfText() const = 0;
  /// The token that the post-processor puts first; -1 when there is none.
  virtual int32_t beginOfText() const = 0;
};

} // namespace qopt

#endif // QOPT_TOKENIZER_TOKENIZER_H
