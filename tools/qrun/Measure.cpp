//===- Measure.cpp - qrun --perplexity=FILE -------------------------------===//
//
// Perplexity of a module on a text, and where another module is given, how far their
// distributions are apart.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Runtime/ScoringText.h"
#include "qopt/Support/Progress.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Utf8.h"
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json;

/// Everything that was measured, and on what. NLL per row is what other programs average
/// and compare.
static Json toJson(const qrt::Perplexity &result, const qrt::Session &session) {
  Json json = {{"perplexity", result.perplexity},
               {"nll", result.nll},
               {"standard_error", result.standardError}, // null when it is NaN
               {"tokens", result.tokens},
               {"windows", result.rowNll.size()},
               {"window", result.window},
               {"mode", qrt::perplexityModeName(result.mode)},
               {"device", session.device()},
               {"code", session.code()},
               {"seconds", result.seconds}};
  if (result.divergence) {
    json["kl_divergence_mean"] = result.divergence->mean;
    json["kl_divergence_median"] = result.divergence->median;
    json["kl_divergence_p99"] = result.divergence->p99;
    json["same_top1"] = result.divergence->sameTop1;
  }
  bool isByText = result.mode == qrt::PerplexityMode::PerText || result.mode == qrt::PerplexityMode::Seed;
  json[isByText ? "nll_texts" : "nll_windows"] = result.rowNll;
  if (isByText)
    for (double nll : result.rowNll)
      json["perplexity_texts"].push_back(std::exp(nll));
  return json;
}

/// The figures with the words of the mode: rows are texts or windows.
static void print(const qrt::Perplexity &result) {
  bool isByText = result.mode == qrt::PerplexityMode::PerText || result.mode == qrt::PerplexityMode::Seed;
  if (isByText)
    for (size_t i = 0; i < result.rowNll.size(); ++i)
      std::printf("text %zu: perplexity %.6f\n", i, std::exp(result.rowNll[i]));
  std::printf("perplexity %.6f", result.perplexity);
  if (!std::isnan(result.standardError))
    std::printf(" +- %.6f", result.standardError);
  std::printf(" (mode %s: %lld tokens in %zu %s of %s%lld)\n", qrt::perplexityModeName(result.mode),
              static_cast<long long>(result.tokens), result.rowNll.size(), isByText ? "texts" : "windows",
              isByText ? "at most " : "", static_cast<long long>(result.window));
  if (result.divergence)
    std::printf("KL divergence mean %.7f, median %.7f, 99 %% below %.7f; same most likely token %.3f %%\n",
                result.divergence->mean, result.divergence->median, result.divergence->p99,
                result.divergence->sameTop1 * 100);
}

Status measure(const Request &request) {
  qrt::PerplexityMode mode = *qrt::perplexityModeByName(request.mode); // one of the choices of --mode
  Result<OpenModel> measured = openModel(request, request.modulePath);
  if (!measured)
    return measured.error();
  if (Status status = qrt::canScore(*measured->model); !status)
    return inFile(request.modulePath, status.error());
  std::unique_ptr<Tokenizer> tokenizer; // files of ids need none
  if (!measured->session->module().section(kTokenizerSection).empty()) {
    auto opened = openTokenizer(request, *measured->session);
    if (!opened)
      return opened.error();
    tokenizer = std::move(*opened);
  }
  auto rows = qrt::readScoringRows(request.perplexityFile,
                                   {mode, request.window, request.maxWindows, *documentRuleByName(request.documents)},
                                   tokenizer.get(), *measured->model);
  if (!rows)
    return inFile(request.perplexityFile, rows.error());

  // Both modules run where --device says, and see the same rows.
  OpenModel other;
  if (!request.compareModule.empty()) {
    Result<OpenModel> opened = openModel(request, request.compareModule);
    if (!opened)
      return opened.error();
    other = std::move(*opened);
  }

  Progress progress("perplexity", request.isQuiet);
  qrt::PerplexityOptions options;
  options.mode = mode;
  options.progress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  // Rows of one batch have one length; what fills up the shorter ones must be chosen.
  if (mode == qrt::PerplexityMode::Seed) {
    std::vector<int32_t> ends = qrt::endTokens(measured->session->module().info(), tokenizer.get());
    int64_t padding = request.paddingId >= 0 || ends.empty() ? request.paddingId : ends.front();
    if (padding < 0)
      return inFile(request.modulePath, {"it names no end of text to pad with; give --padding-id=N"});
    options.paddingId = static_cast<int32_t>(padding);
  }
  Result<qrt::Perplexity> result = qrt::measurePerplexity(*measured->model, *rows, options, other.model.get());
  progress.clear();
  if (!result)
    return inFile(request.perplexityFile, result.error());
  if (!request.jsonToStdout())
    print(*result);
  return writeJson(request, toJson(*result, *measured->session).dump(2) + "\n");
}
