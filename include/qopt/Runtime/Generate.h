//===- Generate.h - Text from a language model ----------------------------===//
//
// One token after the other: the likeliest, or one drawn from the likely ones by a
// seeded generator.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_GENERATE_H
#define QOPT_RUNTIME_GENERATE_H

#include "qopt/Runtime/LanguageModel.h"
#include <functional>

namespace qrt {

struct GenerateOptions {
  int64_t maxTokens = 128;
  double temperature = 0; ///< 0: always the most likely token
  double topP = 1;        ///< sample from the fewest tokens whose probabilities reach this
  uint64_t seed = 0;
  int32_t endOfText = -1; ///< stop before this token; -1: none
};

struct Generated {
  enum Stop { EndOfText, MaxTokens, Context };
  std::vector<int32_t> tokens; ///< without the prompt
  Stop stop = MaxTokens;
  double promptSeconds = 0; ///< until the first token
  double seconds = 0;       ///< for all others
};

/// "end_of_text", "max_tokens", "context".
const char *stopName(Generated::Stop stop);

/// The next token after a position with these logits. Ties go to the smaller id.
/// `random` is in [0, 1).
int32_t sampleToken(std::span<const float> logits, double temperature, double topP, double random);

/// Continues `prompt`. `onToken` sees each token as it comes. The same options
/// give the same tokens on every machine whose logits are the same. Where the model
/// has no decoder, every step runs it over all tokens so far. Errors: an empty prompt, one that fills
/// the context, logits that are not finite, errors of the model.
Result<Generated> generate(LanguageModel &model, std::vector<int32_t> prompt, const GenerateOptions &options,
                           const std::function<void(int32_t)> &onToken);

} // namespace qrt

#endif // QOPT_RUNTIME_GENERATE_H
