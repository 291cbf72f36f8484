//===- ModelFiles.cpp - What lies beside a model and what goes into it ----===//
//
// The tokenizer beside a model, and the text that it is calibrated with.
//
//===----------------------------------------------------------------------===//
#include "ModelFiles.h"
#include "Configuration.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include <limits>

using namespace qopt;

Result<TokenizerFile> qopt::readTokenizer(const CompileOptions &options) {
  TokenizerFile result;
  result.path = options.tokenizer.empty() ? findBeside(options, "tokenizer.json") : options.tokenizer;
  // No tokenizer is no error, unless one was asked for: ids need none.
  if (result.path.empty())
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
