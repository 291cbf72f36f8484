//===- ScoringText.cpp - Rows of tokens to score, and text from tokens ----===//
//
// How a text is cut decides its perplexity, so each mode cuts as the program it stands
// for.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/ScoringText.h"
#include <algorithm>

using namespace qrt;
using qopt::Corpus;
using qopt::CorpusOptions;
using qopt::DocumentRule;
using qopt::Error;

static CorpusOptions corpusOptionsFor(PerplexityMode mode, DocumentRule documents) {
  switch (mode) {
  case PerplexityMode::Windows:
    return {documents};
  case PerplexityMode::PerText:
  case PerplexityMode::Seed:
    return {DocumentRule::Lines, /*appendEndOfText=*/false};
  case PerplexityMode::LlamaCpp:
    return {DocumentRule::Whole, /*appendEndOfText=*/false};
  }
  return {};
}

static int64_t defaultWindow(PerplexityMode mode, const LanguageModel &model) {
  if (model.fixedLength() > 0)
    return model.fixedLength();
  int64_t length = mode == PerplexityMode::LlamaCpp ? 512 : 2048;
  return model.contextLength() > 0 ? std::min(length, model.contextLength()) : length;
}

Result<std::vector<std::vector<int32_t>>> qrt::readScoringRows(const std::string &path, const ScoringOptions &options,
                                                               const qopt::Tokenizer *tokenizer,
                                                               const LanguageModel &model) {
  PerplexityMode mode = options.mode;
  bool isByText = mode == PerplexityMode::PerText || mode == PerplexityMode::Seed;
  if (isByText && (options.window > 0 || options.maxWindows > 0))
    return Error{std::string("mode ") + perplexityModeName(mode) + " scores whole texts, so windows mean nothing"};
  if (mode != PerplexityMode::Windows && options.documents != DocumentRule::Automatic)
    return Error{std::string("mode ") + perplexityModeName(mode) + " has its own rule for what a document is"};
  Result<Corpus> corpus =
      qopt::readCorpus(path, tokenizer, model.vocabularySize(), corpusOptionsFor(mode, options.documents));
  if (!corpus)
    return corpus.error();
  if (isByText)
    return std::move(corpus->documents);

  int64_t length = options.window > 0 ? options.window : defaultWindow(mode, model);
  if (int64_t count = corpus->numTokens(); !corpus->isWindows && count < length && count >= 2)
    return Error{std::to_string(count) + " tokens are fewer than one window of " + std::to_string(length) +
                 ": give a --window of 2 to " + std::to_string(count) + ", or --mode=per-text"};
  Result<qopt::TokenWindows> windows = makeWindows(*corpus, length);
  if (!windows)
    return windows.error();
  if (corpus->isWindows && options.window > 0 && options.window != windows->length)
    return Error{"its windows of " + std::to_string(windows->length) + " tokens are scored as they are, but " +
                 std::to_string(options.window) + " were asked for"};
  if (options.maxWindows > 0)
    windows = pickEvenly(*windows, options.maxWindows);
  bool putsBosFirst =
      mode == PerplexityMode::LlamaCpp && !corpus->isWindows && tokenizer && tokenizer->beginOfText() >= 0;
  std::vector<std::vector<int32_t>> rows;
  for (int64_t i = 0; i < windows->count(); ++i) {
    std::span<const int32_t> ids = (*windows)[i];
    rows.emplace_back(ids.begin(), ids.end());
    if (putsBosFirst)
      rows.back()[0] = tokenizer->beginOfText();
  }
  return rows;
}

//===----------------------------------------------------------------------===//
// TextStream
//===----------------------------------------------------------------------===//

static constexpr std::string_view kReplacement = "\xef\xbf\xbd";

std::string TextStream::added(std::string_view text) {
  if (std::string_view(returned).starts_with(text)) // what was returned is held back now
    return "";
  size_t same = 0;
  while (same < std::min(returned.size(), text.size()) && returned[same] == text[same])
    ++same;
  // Not from the middle of a character.
  while (same > 0 && same < text.size() && (static_cast<unsigned char>(text[same]) & 0xC0) == 0x80)
    --same;
  // Characters that were returned have become one mark for each of their bytes, since bytes
  // that followed made them none: those marks are not text that is added.
  std::string_view rest = text.substr(same);
  for (size_t i = same; i < returned.size() && rest.starts_with(kReplacement); ++i)
    rest.remove_prefix(kReplacement.size());
  returned = text;
  return std::string(rest);
}

Result<std::string> TextStream::add(std::span<const int32_t> tokens) {
  ids.insert(ids.end(), tokens.begin(), tokens.end());
  Result<std::string> text = tokenizer.decode(ids);
  if (!text)
    return text.error();
  // Bytes that are not yet a character decode to marks at the end.
  std::string_view whole = *text;
  while (whole.ends_with(kReplacement))
    whole.remove_suffix(kReplacement.size());
  return added(whole);
}

Result<std::string> TextStream::finish() {
  Result<std::string> text = tokenizer.decode(ids);
  if (!text)
    return text.error();
  return added(*text);
}
