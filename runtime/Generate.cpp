//===- Generate.cpp - Text from a language model --------------------------===//
//
// The same seed gives the same text on every machine.
//
//===----------------------------------------------------------------------===//
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

/// The logits behind a text that grows.
class Text {
public:
  /// `capacity`: the most tokens that it will have.
  static Result<Text> start(LanguageModel &model, int64_t capacity) {
    Result<std::unique_ptr<Decoder>> decoder = model.makeDecoder(capacity);
    if (!decoder)
      return decoder.error();
    return Text(model, std::move(*decoder));
  }

  int64_t length() const { return static_cast<int64_t>(all.ids.size()); }
  /// Valid until the next call.
  Result<std::span<const float>> append(std::span<const int32_t> ids) {
    all.ids.insert(all.ids.end(), ids.begin(), ids.end());
    all.length = length();
    Result<Tensor> computed = decoder ? decoder->append(ids) : model->logits(all);
    if (!computed)
      return computed.error();
    logits = decoder ? widened(std::move(*computed)) : std::move(*computed);
    std::span<const float> values(logits.data<float>(), static_cast<size_t>(logits.numElements()));
    return decoder ? values : values.last(static_cast<size_t>(model->vocabularySize()));
  }

private:
  Text(LanguageModel &model, std::unique_ptr<Decoder> decoder) : model(&model), decoder(std::move(decoder)) {}

  LanguageModel *model;
  std::unique_ptr<Decoder> decoder; // may be null
  TokenBatch all{1, 0, {}, {}};
  Tensor logits;
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
  int64_t capacity = static_cast<int64_t>(prompt.size()) + std::max<int64_t>(options.maxTokens, 0);
  Result<Text> text = Text::start(model, context > 0 ? std::min(capacity, context) : capacity);
  if (!text)
    return text.error();
  std::vector<int32_t> next = std::move(prompt);
  auto start = Clock::now();
  while (static_cast<int64_t>(result.tokens.size()) < options.maxTokens) {
    if (context > 0 && text->length() + static_cast<int64_t>(next.size()) >= context) {
      result.stop = Generated::Context;
      break;
    }
    Result<std::span<const float>> logits = text->append(next);
    if (!logits)
      return logits.error();
    std::span<const float> last = *logits;
    // -infinity is a token that cannot occur; NaN and +infinity are faults.
    if (!std::all_of(last.begin(), last.end(), [](float x) { return x <= std::numeric_limits<float>::max(); }) ||
        std::none_of(last.begin(), last.end(), [](float x) { return std::isfinite(x); }))
      return Error{"the logits after " + std::to_string(text->length()) + " tokens are not finite"};
    int32_t token = sampleToken(last, options.temperature, options.topP, random.next());
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    (result.promptSeconds == 0 ? result.promptSeconds : result.seconds) += seconds;
    start = Clock::now();
    if (token == options.endOfText) {
      result.stop = Generated::EndOfText;
      break;
    }
    result.tokens.push_back(token);
    next = {token};
    onToken(token);
  }
  return result;
}
