//===- Perplexity.cpp - How well a model predicts a text ------------------===//
//
// A mean of log probabilities over the tokens that the mode counts.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Perplexity.h"
#include "LogitRows.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

using namespace qrt;
using qopt::Error;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

static constexpr std::pair<PerplexityMode, const char *> modeNames[] = {
    {PerplexityMode::Windows, "windows"},
    {PerplexityMode::PerText, "per-text"},
    {PerplexityMode::Seed, "seed"},
    {PerplexityMode::LlamaCpp, "llama.cpp"},
};

const char *qrt::perplexityModeName(PerplexityMode mode) {
  for (auto [known, name] : modeNames)
    if (known == mode)
      return name;
  return "?";
}

std::optional<PerplexityMode> qrt::perplexityModeByName(const std::string &wanted) {
  for (auto [mode, name] : modeNames)
    if (wanted == name)
      return mode;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// One batch
//===----------------------------------------------------------------------===//

namespace {
/// What is known of one position: the NLL of the token after it, and how the two
/// models' distributions compare.
struct Score {
  double nll = std::numeric_limits<double>::quiet_NaN(); // NaN: does not count
  double divergence = std::numeric_limits<double>::quiet_NaN();
  bool sameTop1 = false;
  bool isBroken = false; // a logit is NaN or +infinity, or the target impossible
};

/// log(sum(exp(x))) with the largest x; infinite or NaN when x is not usable.
struct LogSum {
  double value;
  int64_t largest;
};
} // namespace

static LogSum logSumExp(const float *x, int64_t count) {
  int64_t largest = 0;
  bool isNan = std::isnan(x[0]);
  for (int64_t i = 1; i < count; ++i) {
    isNan |= std::isnan(x[i]);
    if (x[i] > x[largest])
      largest = i;
  }
  if (isNan || std::isinf(x[largest]))
    return {std::numeric_limits<double>::quiet_NaN(), largest};
  double sum = 0, top = x[largest];
  for (int64_t i = 0; i < count; ++i)
    sum += std::exp(x[i] - top);
  return {top + std::log(sum), largest};
}

/// KL(p || q) in nats, from logits and their log-sums.
static double divergenceOf(const float *p, double logSumP, const float *q, double logSumQ, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    double logP = p[i] - logSumP;
    if (double probability = std::exp(logP); probability > 0)
      sum += probability * (logP - (q[i] - logSumQ));
  }
  return std::max(sum, 0.0); // rounding may leave it just below
}

/// The first target of a row that counts.
static int64_t firstTarget(PerplexityMode mode, const TokenBatch &batch, int64_t row) {
  switch (mode) {
  case PerplexityMode::Windows:
  case PerplexityMode::PerText:
    return 1;
  case PerplexityMode::Seed:
    return std::max<int64_t>(batch.paddingOf(row), 1);
  case PerplexityMode::LlamaCpp:
    return batch.length / 2 + 1;
  }
  return 1;
}

/// `otherLogits`: null where nothing is compared.
static Result<std::vector<Score>> scoreBatch(PerplexityMode mode, const TokenBatch &batch, int64_t vocabulary,
                                             const LogitRows &logits, const LogitRows *otherLogits,
                                             ThreadPool &threads) {
  std::vector<Score> scores(static_cast<size_t>(batch.rows * batch.length));
  std::mutex lock;
  Status failure;
  auto rowOf = [&](const LogitRows &rows, int64_t i, std::vector<float> &buffer) -> const float * {
    Result<const float *> row = rows.row(i, buffer);
    if (row)
      return *row;
    std::lock_guard guard(lock);
    failure = row.error();
    return nullptr;
  };
  threads.parallelFor(batch.rows * batch.length, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer, otherBuffer;
    for (int64_t i = begin; i < end; ++i) {
      int64_t row = i / batch.length, position = i % batch.length;
      bool hasTarget = position + 1 < batch.length && position + 1 >= firstTarget(mode, batch, row);
      bool isCompared =
          otherLogits && (mode == PerplexityMode::LlamaCpp ? hasTarget : position >= batch.paddingOf(row));
      if (!hasTarget && !isCompared)
        continue;
      Score &score = scores[static_cast<size_t>(i)];
      const float *x = rowOf(logits, i, buffer);
      const float *y = isCompared ? rowOf(*otherLogits, i, otherBuffer) : nullptr;
      if (!x || isCompared != (y != nullptr))
        return;
      LogSum sum = logSumExp(x, vocabulary);
      score.isBroken = !std::isfinite(sum.value);
      if (hasTarget) {
        score.nll = sum.value - x[batch.ids[static_cast<size_t>(i + 1)]];
        score.isBroken |= !std::isfinite(score.nll);
      }
      if (isCompared) {
        LogSum otherSum = logSumExp(y, vocabulary);
        score.divergence = divergenceOf(y, otherSum.value, x, sum.value, vocabulary);
        score.sameTop1 = sum.largest == otherSum.largest;
        score.isBroken |= !std::isfinite(otherSum.value) || !std::isfinite(score.divergence);
      }
    }
  });
  if (!failure)
    return failure.error();
  return scores;
}

//===----------------------------------------------------------------------===//
// Which rows go together
//===----------------------------------------------------------------------===//

/// Rows [first, last) as one batch, filled up on the left to the longest.
static TokenBatch makeBatch(std::span<const std::vector<int32_t>> rows, int32_t paddingId) {
  TokenBatch batch;
  batch.rows = static_cast<int64_t>(rows.size());
  for (const std::vector<int32_t> &row : rows)
    batch.length = std::max(batch.length, static_cast<int64_t>(row.size()));
  for (const std::vector<int32_t> &row : rows) {
    int64_t padding = batch.length - static_cast<int64_t>(row.size());
    batch.padding.push_back(padding);
    batch.ids.insert(batch.ids.end(), static_cast<size_t>(padding), paddingId);
    batch.ids.insert(batch.ids.end(), row.begin(), row.end());
  }
  return batch;
}

/// How many rows one call takes: as many as keep the cores busy while the logits
/// stay small.
static int64_t rowsPerBatch(const LanguageModel &model, PerplexityMode mode, int64_t length, int64_t numRows) {
  if (mode == PerplexityMode::Seed)
    return numRows; // all in one batch: that is its definition
  if (mode == PerplexityMode::PerText)
    return 1;
  if (model.fixedRows() > 0)
    return model.fixedRows();
  constexpr int64_t mostRows = 8, mostLogits = int64_t(64) << 20;
  return std::clamp<int64_t>(mostLogits / std::max<int64_t>(length * model.vocabularySize(), 1), 1, mostRows);
}

Status qrt::canScore(const LanguageModel &model) {
  if (model.hasAllLogits())
    return {};
  return Error{
      "the model gives the logits behind the last token of a text only, and perplexity needs those behind each "
      "(export it with all logits); --prompt needs no others"};
}

static Status checkRows(const LanguageModel &model, std::span<const std::vector<int32_t>> rows,
                        const PerplexityOptions &options) {
  if (Status status = canScore(model); !status)
    return status.error();
  if (rows.empty())
    return Error{"has no tokens to score"};
  bool isRagged = options.mode == PerplexityMode::PerText || options.mode == PerplexityMode::Seed;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::string place = (isRagged ? "text " : "window ") + std::to_string(i);
    int64_t length = static_cast<int64_t>(rows[i].size());
    int64_t least = options.mode == PerplexityMode::LlamaCpp ? 4 : 2;
    if (length < least)
      return Error{place + " has " + std::to_string(length) + " tokens: no tokens to score"};
    if (model.contextLength() > 0 && length > model.contextLength())
      return Error{place + " has " + std::to_string(length) + " tokens, more than the context of " +
                   std::to_string(model.contextLength())};
    if (!isRagged && rows[i].size() != rows[0].size())
      return Error{place + " has " + std::to_string(length) + " tokens, but the first has " +
                   std::to_string(rows[0].size())};
    for (int32_t id : rows[i])
      if (id < 0 || id >= model.vocabularySize())
        return Error{place + ": token id " + std::to_string(id) + " is beyond the vocabulary of " +
                     std::to_string(model.vocabularySize())};
  }
  if (options.mode == PerplexityMode::Seed && (options.paddingId < 0 || options.paddingId >= model.vocabularySize()))
    return Error{"padding token id " + std::to_string(options.paddingId) + " is beyond the vocabulary of " +
                 std::to_string(model.vocabularySize())};
  return {};
}

//===----------------------------------------------------------------------===//
// Averages
//===----------------------------------------------------------------------===//

static double meanOf(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The standard error of the mean of `values`; NaN for fewer than two.
static double standardErrorOfMean(std::span<const double> values) {
  double mean = meanOf(values), sum = 0, count = static_cast<double>(values.size());
  for (double value : values)
    sum += (value - mean) * (value - mean);
  return count < 2 ? std::numeric_limits<double>::quiet_NaN() : std::sqrt(sum / (count - 1) / count);
}

static Divergence summarize(std::vector<double> divergences, int64_t sameTop1) {
  Divergence result;
  result.positions = static_cast<int64_t>(divergences.size());
  result.mean = meanOf(divergences);
  result.sameTop1 = static_cast<double>(sameTop1) / static_cast<double>(divergences.size());
  std::sort(divergences.begin(), divergences.end());
  // Linear interpolation between order statistics, as numpy.quantile does.
  auto quantile = [&](double q) {
    double place = q * static_cast<double>(divergences.size() - 1);
    size_t below = static_cast<size_t>(place), above = std::min(below + 1, divergences.size() - 1);
    return divergences[below] + (place - static_cast<double>(below)) * (divergences[above] - divergences[below]);
  };
  result.median = quantile(.5);
  result.p99 = quantile(.99);
  return result;
}

/// Fills in the averages from rowNll and, for llama.cpp, from all tokens.
static void average(Perplexity &result, std::span<const double> tokenNll) {
  if (result.mode == PerplexityMode::PerText || result.mode == PerplexityMode::Seed) {
    std::vector<double> perplexities;
    for (double nll : result.rowNll)
      perplexities.push_back(std::exp(nll));
    result.nll = meanOf(result.rowNll);
    result.perplexity = meanOf(perplexities);
    result.standardError = standardErrorOfMean(perplexities);
    return;
  }
  std::span<const double> values = result.mode == PerplexityMode::LlamaCpp ? tokenNll : result.rowNll;
  result.nll = meanOf(values);
  result.perplexity = std::exp(result.nll);
  result.standardError = result.perplexity * standardErrorOfMean(values);
}

//===----------------------------------------------------------------------===//
// All rows
//===----------------------------------------------------------------------===//

Result<Perplexity> qrt::measurePerplexity(LanguageModel &model, std::span<const std::vector<int32_t>> rows,
                                          const PerplexityOptions &options, LanguageModel *other) {
  if (other && other->vocabularySize() != model.vocabularySize())
    return Error{"the models to compare have vocabularies of " + std::to_string(model.vocabularySize()) + " and " +
                 std::to_string(other->vocabularySize())};
  for (const LanguageModel *each :
       {static_cast<const LanguageModel *>(&model), static_cast<const LanguageModel *>(other)})
    if (each)
      if (Status status = checkRows(*each, rows, options); !status)
        return status.error();

  Perplexity result;
  result.mode = options.mode;
  std::vector<double> tokenNll, divergences;
  int64_t sameTop1 = 0;
  size_t step = static_cast<size_t>(
      rowsPerBatch(model, options.mode, static_cast<int64_t>(rows[0].size()), static_cast<int64_t>(rows.size())));
  for (size_t first = 0; first < rows.size(); first += step) {
    TokenBatch batch = makeBatch(rows.subspan(first, std::min(step, rows.size() - first)), options.paddingId);
    auto start = std::chrono::steady_clock::now();
    std::optional<LogitRows> logits, otherLogits;
    for (auto [each, rows] : {std::pair(other, &otherLogits), std::pair(&model, &logits)}) {
      if (!each)
        continue;
      Result<Tensor> computed = each->logits(batch);
      if (!computed)
        return computed.error();
      rows->emplace(std::move(*computed));
      if (each == other)
        if (Status status = (*rows)->spill(); !status)
          return status.error();
    }
    result.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.window = std::max(result.window, batch.length);

    Result<std::vector<Score>> scored = scoreBatch(options.mode, batch, model.vocabularySize(), *logits,
                                                   other ? &*otherLogits : nullptr, model.threads());
    if (!scored)
      return scored.error();
    const std::vector<Score> &scores = *scored;
    for (int64_t row = 0; row < batch.rows; ++row) {
      size_t before = tokenNll.size();
      for (int64_t position = 0; position < batch.length; ++position) {
        const Score &score = scores[static_cast<size_t>(row * batch.length + position)];
        if (score.isBroken)
          return Error{"the logits of window " + std::to_string(first + static_cast<size_t>(row)) + ", position " +
                       std::to_string(position) + " are not finite"};
        if (!std::isnan(score.nll))
          tokenNll.push_back(score.nll);
        if (!std::isnan(score.divergence)) {
          divergences.push_back(score.divergence);
          sameTop1 += score.sameTop1;
        }
      }
      result.rowNll.push_back(meanOf(std::span(tokenNll).subspan(before)));
    }
    if (options.progress)
      options.progress(static_cast<int64_t>(first) + batch.rows, static_cast<int64_t>(rows.size()));
  }
  result.tokens = static_cast<int64_t>(tokenNll.size());
  average(result, tokenNll);
  if (!std::isfinite(result.perplexity))
    return Error{"the perplexity overflows: the mean NLL is " + std::to_string(result.nll)};
  if (other)
    result.divergence = summarize(std::move(divergences), sameTop1);
  return result;
}
