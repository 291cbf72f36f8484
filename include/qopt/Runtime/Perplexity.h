//===- Perplexity.h - How well a model predicts text ----------------------===//
//
// The negative log-likelihood (NLL, in nats) of a token is -log softmax(logits at
// the position before it), computed in double from the model's float logits. The
// definitions differ in what is averaged over what:
//
//   windows    rows of one length, nothing shared between them. nll = mean over
//              rows of the mean NLL of positions 1..N-1; perplexity = exp(nll).
//              (GPTQ, github.com/IST-DASLab/gptq, and every table since.)
//   per-text   one row per text, as long as the text. nll = mean over texts of
//              the mean NLL; perplexity = mean over texts of exp(mean NLL).
//   seed       per-text, but all texts in one batch, filled up on the left with
//              the padding token. A target counts where its own attention mask is
//              1, so the first real token, predicted from filling, counts too.
//              (Hugging Face's usual script with attention_mask[:, 1:].)
//   llama.cpp  rows of n_ctx tokens that begin with BOS; only targets after the
//              middle count; nll = mean over all of them. (llama-perplexity.)
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_PERPLEXITY_H
#define QOPT_RUNTIME_PERPLEXITY_H

#include "qopt/Runtime/LanguageModel.h"
#include <functional>
#include <optional>

namespace qrt {

enum class PerplexityMode { Windows, PerText, Seed, LlamaCpp };

/// "windows", "per-text", "seed", "llama.cpp".
const char *perplexityModeName(PerplexityMode mode);
std::optional<PerplexityMode> perplexityModeByName(const std::string &name);

/// How far the model's distributions are from another's, per position:
/// KL(other || model) in nats, and whether the most likely token is the same.
struct Divergence {
  double mean = 0, median = 0, p99 = 0;
  double sameTop1 = 0; ///< 0..1
  int64_t positions = 0;
};

struct Perplexity {
  PerplexityMode mode = PerplexityMode::Windows;
  double perplexity = 0;
  double nll = 0;
  /// Of `perplexity`. windows: from the spread of the rows' means; per-text and
  /// seed: of the texts' perplexities; llama.cpp: of single tokens, as it prints.
  /// NaN when there are fewer than two of them.
  double standardError = 0;
  int64_t tokens = 0;         ///< predicted ones
  int64_t window = 0;         ///< tokens of the longest row
  std::vector<double> rowNll; ///< mean NLL of each row; its size is the number of windows
  std::optional<Divergence> divergence;
  double seconds = 0; ///< in the models
};

struct PerplexityOptions {
  PerplexityMode mode = PerplexityMode::Windows;
  int32_t paddingId = 0; ///< for mode Seed
  /// Called after each batch with the rows done and in all.
  std::function<void(int64_t, int64_t)> progress;
};

/// Whether `model` gives what a score is made of: the logits behind each token.
Status canScore(const LanguageModel &model);

/// Scores `rows`. All must have one length, except in the modes PerText and Seed.
/// With `other`, also measures the divergence of `model` from it over the same
/// rows: at every position that is no filling (LlamaCpp: those that count).
/// Results do not depend on the number of threads.
/// Errors: no rows, a row without a token to score, longer than the context,
/// ids beyond the vocabulary, vocabularies of two sizes, logits that are NaN or
/// infinite (with the row and position).
Result<Perplexity> measurePerplexity(LanguageModel &model, std::span<const std::vector<int32_t>> rows,
                                     const PerplexityOptions &options, LanguageModel *other = nullptr);

} // namespace qrt

#endif // QOPT_RUNTIME_PERPLEXITY_H
