//===- Generate.h - Text from a language model ----------------------------===//
//
// One token after the other, chosen by a sampler, until the text or the context ends.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_GENERATE_H
#define QOPT_RUNTIME_GENERATE_H

#include "qopt/Runtime/LanguageModel.h"
#include "qopt/Runtime/Sampler.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <functional>

namespace qrt {

struct GenerateOptions {
  int64_t maxTokens = 128;
  SamplingOptions sampling;
  std::vector<int32_t> endOfText; ///< stop before any of these tokens
};

struct Generated {
  enum Stop { EndOfText, MaxTokens, Context, Caller };
  std::vector<int32_t> tokens; ///< without the prompt
  Stop stop = MaxTokens;
  double promptSeconds = 0; ///< until the first token
  double seconds = 0;       ///< for all others
};

/// The tokens that end a text: those that the files beside the model name, else the one that `tokenizer`,
/// which may be null, has by a usual name.
std::vector<int32_t> endTokens(const qopt::ModuleInfo &info, const qopt::Tokenizer *tokenizer);

/// Whether the model has room for a token behind `prompt`; an error says what there is.
Status checkPrompt(const LanguageModel &model, std::span<const int32_t> prompt);

/// "end_of_text", "max_tokens", "context", "caller".
const char *stopName(Generated::Stop stop);

/// Continues `prompt`. `onToken` sees each token as it comes, and ends the text where it
/// returns false. The same options give the same tokens on every machine whose logits are the same. Where the model
/// has no decoder, every step runs it over all tokens so far. Errors: an empty prompt, one that fills
/// the context, logits that are not finite, errors of the model.
Result<Generated> generate(LanguageModel &model, std::vector<int32_t> prompt, const GenerateOptions &options,
                           const std::function<bool(int32_t)> &onToken);

/// Continues several prompts together, each as generate() continues it alone: prompts go through the
/// model one after the other, and from then on all texts that have not ended get a token in each step.
/// `onToken` sees the number of the prompt, too; `onEnd` each text that has ended. Where the model
/// cannot, they are continued one after the other, and `onAlone` is told why.
Result<std::vector<Generated>> generateAll(LanguageModel &model, std::span<const std::vector<int32_t>> prompts,
                                           const GenerateOptions &options,
                                           const std::function<bool(size_t, int32_t)> &onToken,
                                           const std::function<void(size_t, const Generated &)> &onEnd,
                                           const std::function<void(const std::string &)> &onAlone);

} // namespace qrt

#endif // QOPT_RUNTIME_GENERATE_H
