//===- Evaluate.cpp - Float against quantized, both as compiled -----------===//
//
// Both are modules that the runtime loads, so what is measured is what users run.
//
//===----------------------------------------------------------------------===//
#include "Evaluate.h"
#include "ModelFiles.h"
#include "qopt/Module/Module.h"
#include "qopt/Runtime/ScoringText.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/TemporaryDirectory.h"
#include "qopt/Support/Tool.h"

using namespace qopt;

namespace {

/// A model that computes nothing any more once the compilation is cancelled.
class CancellableModel : public qrt::LanguageModel {
public:
  CancellableModel(std::unique_ptr<LanguageModel> model, const CompileOptions &options)
      : model(std::move(model)), options(options) {}
  Result<qrt::Tensor> logits(const qrt::TokenBatch &batch) override {
    return options.isCancelled() ? Result<qrt::Tensor>(Error{"cancelled"}) : model->logits(batch);
  }
  bool hasAllLogits() const override { return model->hasAllLogits(); }
  int64_t vocabularySize() const override { return model->vocabularySize(); }
  int64_t contextLength() const override { return model->contextLength(); }
  int64_t fixedRows() const override { return model->fixedRows(); }
  int64_t fixedLength() const override { return model->fixedLength(); }
  qrt::ThreadPool &threads() override { return model->threads(); }

private:
  std::unique_ptr<LanguageModel> model;
  const CompileOptions &options;
};

/// A module that is loaded and ready.
struct Loaded {
  std::unique_ptr<qrt::Session> session;
  std::unique_ptr<qrt::LanguageModel> model;
};

} // namespace

static Result<Loaded> load(const std::string &path, const CompileOptions &options) {
  auto module = Module::open(path);
  if (!module)
    return inFile(path, module.error());
  // Evaluation is on the CPU, whatever the module is for besides.
  auto session = qrt::Session::create(*module, {.threads = options.threads});
  if (!session)
    return inFile(path, session.error());
  auto model = qrt::makeSessionModel(**session);
  if (!model)
    return inFile(path, model.error());
  return Loaded{std::move(*session), std::make_unique<CancellableModel>(std::move(*model), options)};
}

/// The float model. Its file is gone when this returns, the mapping stays.
static Result<Loaded> compileFloat(const CompileOptions &options) {
  Result<TemporaryDirectory> directory = TemporaryDirectory::create("qopt-eval");
  if (!directory)
    return directory.error();
  CompileOptions floatOptions;
  floatOptions.model = options.model;
  floatOptions.modelBytes = options.modelBytes;
  floatOptions.hasFolder = options.hasFolder;
  floatOptions.dataDirectory = options.dataDirectory;
  floatOptions.cancelled = options.cancelled;
  floatOptions.tokenizer = options.tokenizer;
  floatOptions.targets = {std::string(deviceKindName(DeviceKind::Cpu))};
  floatOptions.cpus = options.cpus;
  floatOptions.threads = options.threads;
  floatOptions.output = directory->path() + "/float.qmod";
  if (Result<CompileReport> compiled = compileModel(floatOptions); !compiled)
    return compiled.error();
  return load(floatOptions.output, options);
}

std::string qopt::whyRefused(const Evaluation &evaluation, const CompileOptions &options) {
  auto number = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return std::string(text);
  };
  double increase = 100 * (evaluation.quantizedPerplexity / evaluation.floatPerplexity - 1);
  if (options.maxPplIncrease && !(increase <= *options.maxPplIncrease))
    return "the perplexity grows by " + number(increase) +
           " %, more than --max-ppl-increase=" + number(*options.maxPplIncrease);
  if (options.maxKl && !(evaluation.klDivergenceMean <= *options.maxKl))
    return "the mean KL divergence is " + number(evaluation.klDivergenceMean) +
           ", more than --max-kl=" + number(*options.maxKl);
  return "";
}

Result<Evaluation> qopt::evaluateModel(const CompileOptions &options) {
  if (!options.output.ends_with(".qmod"))
    return inFile(options.output, {"only a .qmod module can be evaluated"});
  const std::string &text = options.evaluation;
  Result<Loaded> quantized = load(options.output, options);
  if (!quantized)
    return quantized.error();
  if (Status status = qrt::canScore(*quantized->model); !status)
    return inFile(options.model, status.error());
  Result<TokenizerFile> tokenizer = readTokenizer(options);
  if (!tokenizer)
    return tokenizer.error();
  qrt::ScoringOptions scoring;
  scoring.documents = options.documents;
  auto rows = qrt::readScoringRows(text, scoring, tokenizer->tokenizer.get(), *quantized->model);
  if (!rows)
    return inFile(text, rows.error());
  // The text has been read and judged by now: compiling the float model takes longest.
  Result<Loaded> original = compileFloat(options);
  if (!original)
    return original.error();

  Result<qrt::Perplexity> reference = qrt::measurePerplexity(*original->model, *rows, {});
  if (!reference)
    return inFile(text, reference.error());
  Result<qrt::Perplexity> measured = qrt::measurePerplexity(*quantized->model, *rows, {}, original->model.get());
  if (!measured)
    return inFile(text, measured.error());
  Evaluation result;
  result.floatPerplexity = reference->perplexity;
  result.quantizedPerplexity = measured->perplexity;
  result.floatStandardError = reference->standardError;
  result.standardError = measured->standardError;
  result.mode = qrt::perplexityModeName(measured->mode);
  result.klDivergenceMean = measured->divergence->mean;
  result.klDivergenceMedian = measured->divergence->median;
  result.klDivergenceP99 = measured->divergence->p99;
  result.sameTop1 = measured->divergence->sameTop1;
  result.tokens = measured->tokens;
  result.windows = static_cast<int64_t>(measured->rowNll.size());
  result.window = measured->window;
  return result;
}
