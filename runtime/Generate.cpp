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
/// The logits behind texts that grow.
class Texts {
public:
  /// `capacity`: the most tokens that one will have.
  static Result<Texts> start(LanguageModel &model, int64_t rows, int64_t capacity) {
    Result<std::unique_ptr<Decoder>> decoder = model.makeDecoder(rows, capacity);
    if (!decoder)
      return decoder.error();
    return Texts(model, std::move(*decoder));
  }

  /// Why rows cannot have tokens of their own; empty where they can.
  std::string whyTogether() const {
    if (!decoder)
      return model->fixedRows() > 0 ? "it takes " + std::to_string(model->fixedRows()) + " rows, no more and no fewer"
                                    : "it has no key-value cache";
    return decoder->areRowsAlone() ? "" : "its code takes one length for all rows";
  }

  /// The logits behind the tokens of one row; valid until the next call.
  Result<std::span<const float>> appendTo(size_t row, std::span<const int32_t> ids) {
    if (!decoder) {
      all.ids.insert(all.ids.end(), ids.begin(), ids.end());
      all.length = static_cast<int64_t>(all.ids.size());
    }
    return keep(decoder ? decoder->appendTo(static_cast<int64_t>(row), ids) : model->logits(all));
  }
  /// A token for each row; the logits of all.
  Result<std::span<const float>> step(std::span<const int32_t> ids) {
    return ids.size() == 1 ? appendTo(0, ids) : keep(decoder->append(ids));
  }
  /// Forgets the last token of a row.
  void takeBack(size_t row) {
    auto at = static_cast<int64_t>(row);
    decoder->cut(at, decoder->length(at) - 1);
  }

private:
  Texts(LanguageModel &model, std::unique_ptr<Decoder> decoder) : model(&model), decoder(std::move(decoder)) {}

  Result<std::span<const float>> keep(Result<Tensor> computed) {
    if (!computed)
      return computed.error();
    logits = widened(std::move(*computed));
    std::span<const float> values(logits.data<float>(), static_cast<size_t>(logits.numElements()));
    return decoder ? values : values.last(static_cast<size_t>(model->vocabularySize()));
  }

  LanguageModel *model;
  std::unique_ptr<Decoder> decoder; // may be null
  TokenBatch all{1, 0, {}, {}};
  Tensor logits;
};

/// One of the texts.
struct Growing {
  Sampler sampler;
  size_t length; ///< in tokens, all but the one that comes next
  int32_t next = 0;
  bool hasEnded = false;
  Generated result;
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
  Result<std::vector<Generated>> all = generateAll(
      model, {&prompt, 1}, options, [&](size_t, int32_t token) { return onToken(token); },
      [](size_t, const Generated &) {}, [](const std::string &) {});
  if (!all)
    return all.error();
  return std::move(all->front());
}

/// The most rows of one decoder: from there on a step hardly costs less for each.
static constexpr size_t kMostRows = 16;

/// Continues some prompts, from number `first` on, as rows of one decoder.
static Result<std::vector<Generated>> generateRows(Texts &texts, size_t first,
                                                   std::span<const std::vector<int32_t>> prompts, int64_t context,
                                                   const GenerateOptions &options,
                                                   const std::function<bool(size_t, int32_t)> &onToken,
                                                   const std::function<void(size_t, const Generated &)> &onEnd) {
  using Clock = std::chrono::steady_clock;
  std::vector<Growing> rows;
  for (const std::vector<int32_t> &prompt : prompts)
    rows.push_back({Sampler(options.sampling), prompt.size(), 0, false, {}});
  size_t numGrowing = rows.size();
  auto start = Clock::now();
  auto end = [&](size_t row, Generated::Stop stop) {
    rows[row].hasEnded = true;
    rows[row].result.stop = stop;
    --numGrowing;
    onEnd(first + row, rows[row].result);
  };
  // What follows the logits of a row: a token, or the end.
  auto take = [&](size_t row, std::span<const float> logits) -> Status {
    Growing &text = rows[row];
    Result<int32_t> sampled = text.sampler.sample(logits);
    if (!sampled)
      return Error{sampled.error().message + " after " + std::to_string(text.length) + " tokens"};
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    (text.result.promptSeconds == 0 ? text.result.promptSeconds : text.result.seconds) += seconds;
    text.next = *sampled;
    if (std::find(options.endOfText.begin(), options.endOfText.end(), *sampled) != options.endOfText.end()) {
      end(row, Generated::EndOfText);
      return {};
    }
    text.result.tokens.push_back(*sampled);
    if (!onToken(first + row, *sampled))
      end(row, Generated::Caller);
    else if (static_cast<int64_t>(text.result.tokens.size()) >= options.maxTokens)
      end(row, Generated::MaxTokens);
    else if (context > 0 && static_cast<int64_t>(text.length) + 1 >= context)
      end(row, Generated::Context);
    return {};
  };
  for (size_t row = 0; row < rows.size(); ++row) {
    start = Clock::now();
    Result<std::span<const float>> logits = texts.appendTo(row, prompts[row]);
    if (!logits)
      return logits.error();
    if (Status status = take(row, *logits); !status)
      return status.error();
  }
  std::vector<int32_t> ids(rows.size());
  while (numGrowing > 0) {
    start = Clock::now();
    for (size_t row = 0; row < rows.size(); ++row)
      ids[row] = rows[row].next;
    Result<std::span<const float>> logits = texts.step(ids);
    if (!logits)
      return logits.error();
    size_t vocabulary = logits->size() / rows.size();
    for (size_t row = 0; row < rows.size(); ++row) {
      // A text that has ended stays as it was.
      if (rows[row].hasEnded) {
        texts.takeBack(row);
        continue;
      }
      ++rows[row].length;
      if (Status status = take(row, logits->subspan(row * vocabulary, vocabulary)); !status)
        return status.error();
    }
  }
  std::vector<Generated> results;
  for (Growing &text : rows)
    results.push_back(std::move(text.result));
  return results;
}

Result<std::vector<Generated>> qrt::generateAll(LanguageModel &model, std::span<const std::vector<int32_t>> prompts,
                                                const GenerateOptions &options,
                                                const std::function<bool(size_t, int32_t)> &onToken,
                                                const std::function<void(size_t, const Generated &)> &onEnd,
                                                const std::function<void(const std::string &)> &onAlone) {
  for (const std::vector<int32_t> &prompt : prompts)
    if (Status status = checkPrompt(model, prompt); !status)
      return status.error();
  std::vector<Generated> results(prompts.size());
  if (options.maxTokens < 1)
    return results;
  int64_t context = model.contextLength();
  size_t most = kMostRows;
  for (size_t first = 0; first < prompts.size();) {
    size_t count = std::min(prompts.size() - first, most);
    size_t longest = 0;
    for (const std::vector<int32_t> &prompt : prompts.subspan(first, count))
      longest = std::max(longest, prompt.size());
    int64_t capacity = static_cast<int64_t>(longest) + options.maxTokens;
    Result<Texts> texts =
        Texts::start(model, static_cast<int64_t>(count), context > 0 ? std::min(capacity, context) : capacity);
    if (std::string why = texts ? texts->whyTogether() : texts.error().message; count > 1 && !why.empty()) {
      // Caches of fewer rows may fit.
      most = texts ? 1 : count / 2;
      if (most == 1)
        onAlone(why);
      continue;
    }
    if (!texts)
      return texts.error();
    Result<std::vector<Generated>> some =
        generateRows(*texts, first, prompts.subspan(first, count), context, options, onToken, onEnd);
    if (!some)
      return some.error();
    std::move(some->begin(), some->end(), results.begin() + static_cast<std::ptrdiff_t>(first));
    first += count;
  }
  return results;
}
