//===- Sampler.h - The next token from logits -----------------------------===//
//
// The likeliest token, or one drawn from the likely ones by a seeded generator: the same
// seed gives the same tokens on every machine whose logits are the same.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SAMPLER_H
#define QOPT_RUNTIME_SAMPLER_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <span>
#include <vector>

namespace qrt {

struct SamplingOptions {
  double temperature = 0; ///< that logits are divided by; 0: always the most likely token
  int64_t topK = 0;       ///< sample from so many of the most likely tokens; 0: from all
  double topP = 1;        ///< of these, from the fewest whose probabilities reach this
  uint64_t seed = 0;
};

/// The token that `random`, in [0, 1), draws. Ties go to the smaller id.
int32_t sampleToken(std::span<const float> logits, const SamplingOptions &options, double random);

/// Draws one token after the other.
class Sampler {
public:
  explicit Sampler(const SamplingOptions &options) : options(options), state(options.seed) {}

  /// Errors: no logits; logits that are NaN, +infinity, or all -infinity.
  qopt::Result<int32_t> sample(std::span<const float> logits);

private:
  SamplingOptions options;
  uint64_t state;
};

} // namespace qrt

#endif // QOPT_RUNTIME_SAMPLER_H
