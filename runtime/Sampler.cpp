//===- Sampler.cpp - The next token from logits ---------------------------===//
//
// Only as many tokens are sorted as can be drawn, where their number is limited.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Sampler.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace qrt;
using qopt::Error;
using qopt::Result;

/// SplitMix64 (Steele, Lea, Flood 2014), uniform in [0, 1) with 53 bits: the standard
/// library's distributions differ between implementations, this does not.
static double nextRandom(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/// The ids of the `count` largest logits, the largest first.
static std::vector<int32_t> largest(std::span<const float> logits, size_t count) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  auto end = order.begin() + static_cast<ptrdiff_t>(count);
  std::partial_sort(order.begin(), end, order.end(), [&](int32_t a, int32_t b) {
    float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  });
  order.resize(count);
  return order;
}

int32_t qrt::sampleToken(std::span<const float> logits, const SamplingOptions &options, double random) {
  // max_element gives the first of equal ones.
  size_t best = static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  if (options.temperature <= 0)
    return static_cast<int32_t>(best);

  size_t count = options.topK > 0 ? std::min(logits.size(), static_cast<size_t>(options.topK)) : logits.size();
  std::vector<int32_t> order = largest(logits, count);
  std::vector<double> weights;
  double total = 0;
  for (int32_t id : order) {
    weights.push_back(std::exp((double(logits[static_cast<size_t>(id)]) - logits[best]) / options.temperature));
    total += weights.back();
  }
  size_t kept = 0;
  double keptWeight = 0;
  while (kept < weights.size() && (kept == 0 || keptWeight < options.topP * total))
    keptWeight += weights[kept++];
  double rest = random * keptWeight;
  for (size_t i = 0; i < kept; ++i)
    if ((rest -= weights[i]) < 0)
      return order[i];
  return order[kept - 1];
}

Result<int32_t> Sampler::sample(std::span<const float> logits) {
  // -infinity is a token that cannot occur; NaN and +infinity are faults.
  if (!std::all_of(logits.begin(), logits.end(), [](float x) { return x <= std::numeric_limits<float>::max(); }) ||
      std::none_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }))
    return Error{"the logits are not finite"};
  return sampleToken(logits, options, nextRandom(state));
}
