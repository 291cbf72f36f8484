//===- ModelFiles.cpp - What lies beside a model and what goes into it ----===//
//
// Exporters put a tokenizer and a configuration beside a model. What is found is used, what is
// missing is asked of the graph, or assumed with a warning.
//
//===----------------------------------------------------------------------===//
#include "ModelFiles.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

using namespace qopt;
namespace fs = std::filesystem;

static fs::path beside(const std::string &model, const char *name) { return fs::path(model).parent_path() / name; }

/// A positive integer member, looked for in `json` and in its member `inner`.
static int64_t findNumber(const nlohmann::json &json, const char *name, const char *inner) {
  if (!json.is_object())
    return 0;
  if (auto found = json.find(name); found != json.end() && found->is_number_integer())
    return std::max<int64_t>(found->get<int64_t>(), 0);
  if (auto found = json.find(inner); found != json.end())
    return findNumber(*found, name, "");
  return 0;
}

int64_t qopt::readContextLength(const std::string &model) {
  // transformers first, then onnxruntime-genai.
  struct {
    const char *file, *name, *inner;
  } places[] = {{"config.json", "max_position_embeddings", "text_config"},
                {"genai_config.json", "context_length", "model"}};
  for (const auto &place : places) {
    Result<MappedFile> file = MappedFile::open(beside(model, place.file).string());
    // Configurations are small; whatever else bears the name is not one.
    if (!file || file->size() > (1 << 20))
      continue;
    auto json = nlohmann::json::parse(file->text(), nullptr, /*allow_exceptions=*/false);
    if (int64_t length = findNumber(json, place.name, place.inner); length > 0 && length < (int64_t(1) << 31))
      return length;
  }
  return 0;
}

Result<TokenizerFile> qopt::readTokenizer(const CompileOptions &options) {
  TokenizerFile result;
  result.path = options.tokenizer.empty() ? beside(options.model, "tokenizer.json").string() : options.tokenizer;
  // No tokenizer is no error, unless one was asked for: ids need none.
  std::error_code ignored;
  if (options.tokenizer.empty() && (!options.hasFolder || !fs::exists(result.path, ignored)))
    return TokenizerFile();
  Result<MappedFile> file = MappedFile::open(result.path);
  if (!file)
    return inFile(result.path, file.error());
  auto tokenizer = Tokenizer::parse(file->text());
  if (!tokenizer)
    return inFile(result.path, tokenizer.error());
  result.file = std::move(*file);
  result.tokenizer = std::move(*tokenizer);
  return result;
}

Result<std::vector<std::vector<int32_t>>> qopt::readSamples(const CompileOptions &options, const Tokenizer *tokenizer,
                                                            int64_t contextLength, int64_t vocabularySize) {
  auto failure = [&](const Error &error) { return inFile(options.calibration, error); };
  // Ids cannot be judged before they reach a model whose vocabulary is not known.
  int64_t limit = vocabularySize > 0 ? vocabularySize : std::numeric_limits<int32_t>::max();
  Result<Corpus> corpus = readCorpus(options.calibration, tokenizer, limit, {options.documents});
  if (!corpus)
    return failure(corpus.error());
  int64_t length = options.calibrationLength;
  if (length == 0)
    length = std::min<int64_t>(2048, contextLength > 0 ? contextLength : 2048);
  // A text shorter than one window is one short window: better than none.
  if (!corpus->isWindows)
    length = std::min(length, corpus->numTokens());
  Result<TokenWindows> windows = makeWindows(*corpus, length);
  if (!windows)
    return failure(windows.error());
  // An .npy file is used whole, rows in order.
  if (!corpus->isWindows) {
    if (windows->count() < options.calibrationSamples && options.onWarning)
      options.onWarning(printable(options.calibration) + ": asked for " + std::to_string(options.calibrationSamples) +
                        " windows of " + std::to_string(length) + " tokens, have " + std::to_string(windows->count()));
    *windows = drawWindows(*windows, options.calibrationSamples, options.seed);
  }
  if (contextLength > 0 && windows->length > contextLength)
    return failure({"windows of " + std::to_string(windows->length) + " tokens exceed the model's context of " +
                    std::to_string(contextLength)});
  std::vector<std::vector<int32_t>> samples;
  for (int64_t i = 0; i < windows->count(); ++i) {
    std::span<const int32_t> window = (*windows)[i];
    samples.emplace_back(window.begin(), window.end());
  }
  return samples;
}
