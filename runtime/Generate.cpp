//===- Generate.cpp - Text from a language model --------------------------===//
//
// A decoder keeps what is known of the text where the model has one; else every step computes all.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Generate.h"
#include <algorithm>
#include <chrono>

using namespace qrt;
using qopt::Error;

namespace {
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
    logits = widened(std::move(*computed));
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
  case Generated::Caller:
    return "caller";
  }
  return "?";
}

std::vector<int32_t> qrt::endTokens(const qopt::ModuleInfo &info, const qopt::Tokenizer *tokenizer) {
  if (!info.text.endOfText.empty() || !tokenizer || tokenizer->endOfText() < 0)
    return info.text.endOfText;
  return {tokenizer->endOfText()};
}

Status qrt::checkPrompt(const LanguageModel &model, std::span<const int32_t> prompt) {
  int64_t context = model.contextLength();
  if (prompt.empty())
    return Error{"the prompt has no tokens"};
  if (context > 0 && static_cast<int64_t>(prompt.size()) >= context)
    return Error{"the prompt has " + std::to_string(prompt.size()) + " tokens, but the context is " +
                 std::to_string(context)};
  return {};
}

Result<Generated> qrt::generate(LanguageModel &model, std::vector<int32_t> prompt, const GenerateOptions &options,
                                const std::function<bool(int32_t)> &onToken) {
  using Clock = std::chrono::steady_clock;
  int64_t context = model.contextLength();
  if (Status status = checkPrompt(model, prompt); !status)
    return status.error();
  Sampler sampler(options.sampling);
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
    Result<int32_t> sampled = sampler.sample(*logits);
    if (!sampled)
      return Error{sampled.error().message + " after " + std::to_string(text->length()) + " tokens"};
    int32_t token = *sampled;
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    (result.promptSeconds == 0 ? result.promptSeconds : result.seconds) += seconds;
    start = Clock::now();
    if (std::find(options.endOfText.begin(), options.endOfText.end(), token) != options.endOfText.end()) {
      result.stop = Generated::EndOfText;
      break;
    }
    result.tokens.push_back(token);
    next = {token};
    if (!onToken(token)) {
      result.stop = Generated::Caller;
      break;
    }
  }
  return result;
}
