//===- Prompt.cpp - qrun --prompt=TEXT and --prompt-file=FILE -------------===//
//
// A text goes to the terminal as it comes, beginning with the prompt when the first
// token behind it is known: an error before that leaves standard output empty. Several
// prompts are continued one after the other, so that each gives what it gives alone.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Runtime/ScoringText.h"
#include "qopt/Tokenizer/TokenWindows.h"
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

using namespace qopt;
using Json = nlohmann::ordered_json;

/// The tokens of all prompts, each with room behind it.
static Result<std::vector<std::vector<int32_t>>> readPrompts(const Request &request, const Tokenizer &tokenizer,
                                                             const qrt::LanguageModel &model) {
  std::vector<std::vector<int32_t>> prompts;
  std::string place = request.promptFile.empty() ? "--prompt" : request.promptFile;
  if (!request.promptFile.empty()) {
    Result<Corpus> corpus = readCorpus(request.promptFile, &tokenizer, model.vocabularySize(),
                                       {DocumentRule::Lines, /*appendEndOfText=*/false});
    if (!corpus)
      return inFile(place, corpus.error());
    prompts = std::move(corpus->documents);
    if (prompts.empty())
      return inFile(place, {"expected a prompt on each line but got none"});
  }
  for (const std::string &text : request.prompts) {
    Result<std::vector<int32_t>> ids = tokenizer.encode(text);
    if (!ids)
      return inFile(place, ids.error());
    prompts.push_back(std::move(*ids));
  }
  for (size_t i = 0; i < prompts.size(); ++i)
    if (Status status = qrt::checkPrompt(model, prompts[i]); !status)
      return prompts.size() == 1 ? inFile(request.modulePath, status.error())
                                 : inFile(place, {"prompt " + std::to_string(i + 1) + " of " +
                                                  std::to_string(prompts.size()) + ": " + status.error().message});
  return prompts;
}

namespace {

/// What is shown of a text that grows.
class ShownText {
public:
  ShownText(const Tokenizer &tokenizer, bool isShown) : stream(tokenizer), isShown(isShown) {}

  void add(std::span<const int32_t> ids) { keep(stream.add(ids)); }
  void finish() { keep(stream.finish()); }

  void show() {
    if (!isShown)
      return;
    std::fwrite(text.data() + numShown, 1, text.size() - numShown, stdout);
    // Where nobody reads on, the rest is not made.
    if (std::fflush(stdout) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot write to standard output");
    numShown = text.size();
  }

  const std::string &whole() const { return text; }
  const Status &status() const { return decoding; }

private:
  void keep(const Result<std::string> &added) {
    if (added)
      text += *added;
    else if (decoding)
      decoding = added.error();
  }

  qrt::TextStream stream;
  bool isShown;
  std::string text;
  size_t numShown = 0;
  Status decoding;
};

} // namespace

/// Continues one prompt, and says what came of it.
static Result<Json> continuePrompt(const Request &request, OpenModel &opened, const Tokenizer &tokenizer,
                                   const std::vector<int32_t> &prompt) {
  ShownText text(tokenizer, !request.jsonToStdout());
  text.add(prompt);
  qrt::GenerateOptions options;
  options.maxTokens = request.maxTokens;
  options.sampling = {request.temperature, request.topK, request.topP, static_cast<uint64_t>(request.seed)};
  options.endOfText = qrt::endTokens(opened.session->module().info(), &tokenizer);
  Result<qrt::Generated> result = qrt::generate(*opened.model, prompt, options, [&](int32_t token) {
    text.add({&token, 1});
    text.show();
    return true;
  });
  if (!result)
    return result.error();
  text.finish();
  text.show();
  if (!text.status())
    return text.status().error();
  if (!request.jsonToStdout())
    std::fputs("\n", stdout);
  if (!request.isQuiet)
    std::fprintf(stderr, "qrun: %zu tokens in %.2f s, then %zu tokens in %.2f s; stopped by %s\n", prompt.size(),
                 result->promptSeconds, result->tokens.size(), result->seconds, qrt::stopName(result->stop));
  return Json{
      {"text", text.whole()},       {"prompt_tokens", prompt.size()},      {"generated_tokens", result->tokens.size()},
      {"tokens", result->tokens},   {"stop", qrt::stopName(result->stop)}, {"prompt_seconds", result->promptSeconds},
      {"seconds", result->seconds}, {"device", opened.session->device()},  {"code", opened.session->code()}};
}

Status continuePrompts(const Request &request) {
  Result<OpenModel> opened = openModel(request, request.modulePath);
  if (!opened)
    return opened.error();
  auto tokenizer = openTokenizer(request, *opened->session);
  if (!tokenizer)
    return tokenizer.error();
  Result<std::vector<std::vector<int32_t>>> prompts = readPrompts(request, **tokenizer, *opened->model);
  if (!prompts)
    return prompts.error();
  Json texts = Json::array();
  for (const std::vector<int32_t> &prompt : *prompts) {
    if (!texts.empty() && !request.jsonToStdout())
      std::fputs("\n", stdout);
    Result<Json> text = continuePrompt(request, *opened, **tokenizer, prompt);
    if (!text)
      return inFile(request.modulePath, text.error());
    texts.push_back(std::move(*text));
  }
  const Json &json = texts.size() == 1 ? texts.front() : texts;
  return writeJson(request, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}
