//===- Evaluate.cpp - Float against quantized, both as compiled -----------===//
#include "ModelFiles.h"
#include "qopt/Module/Module.h"
#include "qopt/Runtime/Perplexity.h"
#include "qopt/Tokenizer/TokenWindows.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

using namespace qopt;
namespace fs = std::filesystem;

namespace {

/// A module that is loaded and ready.
struct Loaded {
  std::unique_ptr<qrt::Session> session;
  std::unique_ptr<qrt::LanguageModel> model;
};

/// A directory that vanishes with the object.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string pattern = (fs::temp_directory_path(ignored) / "qopt-eval-XXXXXX").string();
    if (::mkdtemp(pattern.data()))
      path = pattern;
  }
  ~TemporaryDirectory() {
    if (!path.empty())
      fs::remove_all(path, ignored);
  }
  std::string path; ///< empty when none could be made

private:
  std::error_code ignored;
};

} // namespace

static Result<Loaded> load(const std::string &path, int threads) {
  auto module = Module::open(path);
  if (!module)
    return Error{path + ": " + module.error().message};
  auto session = qrt::Session::create(*module, threads);
  if (!session)
    return Error{path + ": " + session.error().message};
  auto model = qrt::makeSessionModel(**session);
  if (!model)
    return Error{path + ": " + model.error().message};
  return Loaded{std::move(*session), std::move(*model)};
}

/// The text as rows of one length: min(2048, context) unless it is an .npy file.
static Result<std::vector<std::vector<int32_t>>> readRows(const CompileOptions &options, const std::string &text,
                                                          const qrt::LanguageModel &model) {
  Result<TokenizerFile> tokenizer = readTokenizer(options);
  if (!tokenizer)
    return tokenizer.error();
  Result<Corpus> corpus = readCorpus(text, tokenizer->tokenizer.get(), model.vocabularySize());
  if (!corpus)
    return Error{text + ": " + corpus.error().message};
  int64_t context = model.contextLength();
  Result<TokenWindows> windows = makeWindows(*corpus, std::min<int64_t>(2048, context > 0 ? context : 2048));
  if (!windows)
    return Error{text + ": " + windows.error().message};
  std::vector<std::vector<int32_t>> rows;
  for (int64_t i = 0; i < windows->count(); ++i)
    rows.emplace_back((*windows)[i].begin(), (*windows)[i].end());
  return rows;
}

Result<Evaluation> qopt::evaluateModel(const CompileOptions &options, const std::string &text) {
  if (!options.output.ends_with(".qmod"))
    return Error{options.output + ": only a .qmod module can be evaluated"};
  TemporaryDirectory directory;
  if (directory.path.empty())
    return Error{"cannot make a temporary directory"};
  CompileOptions floatOptions = options;
  floatOptions.pipeline.clear();
  floatOptions.calibration.clear();
  floatOptions.overrides.clear();
  floatOptions.output = directory.path + "/float.qmod";
  if (Result<CompileReport> compiled = compileModel(floatOptions); !compiled)
    return compiled.error();
  Result<Loaded> original = load(floatOptions.output, options.threads);
  if (!original)
    return original.error();
  Result<Loaded> quantized = load(options.output, options.threads);
  if (!quantized)
    return quantized.error();
  auto rows = readRows(options, text, *quantized->model);
  if (!rows)
    return rows.error();

  Result<qrt::Perplexity> reference = qrt::measurePerplexity(*original->model, *rows, {});
  if (!reference)
    return Error{text + ": " + reference.error().message};
  Result<qrt::Perplexity> measured = qrt::measurePerplexity(*quantized->model, *rows, {}, original->model.get());
  if (!measured)
    return Error{text + ": " + measured.error().message};
  Evaluation result;
  result.floatPerplexity = reference->perplexity;
  result.quantizedPerplexity = measured->perplexity;
  result.standardError = measured->standardError;
  result.klDivergenceMean = measured->divergence->mean;
  result.sameTop1 = measured->divergence->sameTop1;
  result.tokens = measured->tokens;
  result.windows = static_cast<int64_t>(measured->rowNll.size());
  result.window = measured->window;
  return result;
}

std::string qopt::toText(const Evaluation &evaluation) {
  char text[512];
  std::snprintf(text, sizeof text,
                "perplexity (windows of %lld tokens, %lld tokens scored)\n"
                "  float      %10.4f\n"
                "  quantized  %10.4f  (%+.2f %%)\n"
                "mean KL divergence %.5f, same top-1 %.1f %%\n",
                static_cast<long long>(evaluation.window), static_cast<long long>(evaluation.tokens),
                evaluation.floatPerplexity, evaluation.quantizedPerplexity,
                100 * (evaluation.quantizedPerplexity / evaluation.floatPerplexity - 1), evaluation.klDivergenceMean,
                100 * evaluation.sameTop1);
  return text;
}
