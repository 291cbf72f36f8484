#include "qopt/Runtime/Generate.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

using namespace qrt;
using qopt::Error;

namespace {
/// SplitMix64 (Steele, Lea, Flood 2014): the standard library's distributions
/// differ between implementations, this does not.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  /// Uniform in [0, 1) with 53 bits.
  double next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }

private:
  uint64_t state;
};
} // namespace

const char *qrt::stopName(Generated::Stop stop) {
  switch (stop) {
  case Generated::EndOfText:
    return "end_of_text";
  case Generated::MaxTokens:
    return "max_tokens";
  case Generated::Context:
    return "context";
  }
  return "?";
}

int32_t qrt::sampleToken(std::span<const float> logits, double temperature, double topP, double random) {
  // max_element gives the first of equal ones.
  size_t best = static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  if (temperature <= 0)
    return static_cast<int32_t>(best);

  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  });
  std::vector<double> weights;
  double total = 0;
  for (int32_t id : order) {
    weights.push_back(std::exp((double(logits[static_cast<size_t>(id)]) - logits[best]) / temperature));
    total += weights.back();
  }
  size_t kept = 0;
  double keptWeight = 0;
  while (kept < weights.size() && (kept == 0 || keptWeight < topP * total))
    keptWeight += weights[kept++];
  double rest = random * keptWeight;
  for (size_t i = 0; i < kept; ++i)
    if ((rest -= weights[i]) < 0)
      return order[i];
  return order[kept - 1];
}

Result<Generated> qrt::generate(LanguageModel &model, std::vector<int32_t> prompt, const GenerateOptions &options,
                                const std::function<void(int32_t)> &onToken) {
  using Clock = std::chrono::steady_clock;
  int64_t context = model.contextLength();
  if (prompt.empty())
    return Error{"the prompt has no tokens"};
  if (context > 0 && static_cast<int64_t>(prompt.size()) >= context)
    return Error{"the prompt has " + std::to_string(prompt.size()) + " tokens, but the context is " +
                 std::to_string(context)};
  Random random(options.seed);
  Generated result;
  TokenBatch batch{1, 0, std::move(prompt), {}};
  auto start = Clock::now();
  while (static_cast<int64_t>(result.tokens.size()) < options.maxTokens) {
    batch.length = static_cast<int64_t>(batch.ids.size());
    if (context > 0 && batch.length >= context) {
      result.stop = Generated::Context;
      break;
    }
    Result<Tensor> logits = model.logits(batch);
    if (!logits)
      return logits.error();
    int64_t vocabulary = model.vocabularySize();
    std::span<const float> last(logits->data<float>() + (batch.length - 1) * vocabulary,
                                static_cast<size_t>(vocabulary));
    // -infinity is a token that cannot occur; NaN and +infinity are faults.
    if (!std::all_of(last.begin(), last.end(), [](float x) { return x <= std::numeric_limits<float>::max(); }) ||
        std::none_of(last.begin(), last.end(), [](float x) { return std::isfinite(x); }))
      return Error{"the logits after " + std::to_string(batch.length) + " tokens are not finite"};
    int32_t token = sampleToken(last, options.temperature, options.topP, random.next());
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    (result.promptSeconds == 0 ? result.promptSeconds : result.seconds) += seconds;
    start = Clock::now();
    if (token == options.endOfText) {
      result.stop = Generated::EndOfText;
      break;
    }
    result.tokens.push_back(token);
    batch.ids.push_back(token);
    onToken(token);
  }
  return result;
}
