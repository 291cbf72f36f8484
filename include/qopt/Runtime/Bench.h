//===- Bench.h - Tokens per second ----------------------------------------===//
//
// A prompt and the tokens after it use the machine in different ways, so they are
// measured apart.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_BENCH_H
#define QOPT_RUNTIME_BENCH_H

#include "qopt/Runtime/LanguageModel.h"

namespace qrt {

inline constexpr int64_t kBenchStartTokens = 16;

struct BenchResult {
  int64_t promptTokens = 0, startTokens = 0; ///< of the prompt; before the first that is generated
  int64_t generatedTokens = 0;               ///< 0: the model takes only one length, or 16 tokens at most
  double promptTokensPerSecond = 0, generationTokensPerSecond = 0;
};

/// Measures the median of several passes over `promptTokens` made-up tokens (512
/// or the context when that is less), as the beginning of a text where the model keeps keys
/// and values, and the generation of 32 tokens after `startTokens`.
/// Takes a few seconds at least. Errors: what the model's code reports, more tokens than its context.
Result<BenchResult> runBench(LanguageModel &model, int64_t startTokens = kBenchStartTokens);

} // namespace qrt

#endif // QOPT_RUNTIME_BENCH_H
