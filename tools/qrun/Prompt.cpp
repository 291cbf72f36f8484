//===- Prompt.cpp - qrun --prompt=TEXT and --prompt-file=FILE -------------===//
//
// A text goes to the terminal as it comes, beginning with the prompt when the first
// token behind it is known: an error before that leaves standard output empty. Of several
// texts, which grow together, the first that has not ended is shown; the others wait.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Runtime/ScoringText.h"
#include "qopt/Support/Utf8.h"
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
  explicit ShownText(const Tokenizer &tokenizer) : stream(tokenizer) {}

  void add(std::span<const int32_t> ids) { keep(stream.add(ids)); }
  void finish() { keep(stream.finish()); }

  void show() {
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
  std::string text;
  size_t numShown = 0;
  Status decoding;
};

} // namespace

namespace {

/// All texts, shown in the order of their prompts.
class ShownTexts {
public:
  ShownTexts(const Request &request, const Tokenizer &tokenizer, std::span<const std::vector<int32_t>> prompts)
      : request(request), prompts(prompts), ended(prompts.size()) {
    for (const std::vector<int32_t> &prompt : prompts)
      texts.emplace_back(tokenizer).add(prompt);
  }

  void add(size_t i, int32_t token) {
    texts[i].add({&token, 1});
    if (i == current && !request.jsonToStdout())
      texts[i].show();
  }

  void end(size_t i, const qrt::Generated &result) {
    texts[i].finish();
    char line[160];
    std::snprintf(line, sizeof line, "qrun: %zu tokens in %.2f s, then %zu tokens in %.2f s; stopped by %s\n",
                  prompts[i].size(), result.promptSeconds, result.tokens.size(), result.seconds,
                  qrt::stopName(result.stop));
    ended[i] = line;
    for (; current < texts.size() && !ended[current].empty(); ++current) {
      if (!request.jsonToStdout()) {
        texts[current].show();
        std::fputs(current + 1 < texts.size() ? "\n\n" : "\n", stdout);
        std::fflush(stdout); // a terminal shows both
      }
      if (!request.isQuiet)
        std::fputs(ended[current].c_str(), stderr);
    }
    if (current < texts.size() && !request.jsonToStdout())
      texts[current].show();
  }

  const ShownText &operator[](size_t i) const { return texts[i]; }

private:
  const Request &request;
  std::span<const std::vector<int32_t>> prompts;
  std::vector<ShownText> texts;
  std::vector<std::string> ended; ///< what is said of those that have
  size_t current = 0;             ///< the first that has not
};

} // namespace

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
  ShownTexts texts(request, **tokenizer, *prompts);
  qrt::GenerateOptions options;
  options.maxTokens = request.maxTokens;
  options.sampling = {request.temperature, request.topK, request.topP, static_cast<uint64_t>(request.seed)};
  options.endOfText = qrt::endTokens(opened->session->module().info(), tokenizer->get());
  Result<std::vector<qrt::Generated>> results = qrt::generateAll(
      *opened->model, *prompts, options,
      [&](size_t i, int32_t token) {
        texts.add(i, token);
        return true;
      },
      [&](size_t i, const qrt::Generated &result) { texts.end(i, result); },
      [&](const std::string &why) {
        std::fprintf(stderr, "qrun: warning: %s: %zu prompts are continued one after the other, not together: %s\n",
                     printable(request.modulePath).c_str(), prompts->size(), why.c_str());
      });
  if (!results)
    return inFile(request.modulePath, results.error());
  Json all = Json::array();
  for (size_t i = 0; i < results->size(); ++i) {
    if (!texts[i].status())
      return inFile(request.modulePath, texts[i].status().error());
    const qrt::Generated &result = (*results)[i];
    all.push_back({{"text", texts[i].whole()},
                   {"prompt_tokens", (*prompts)[i].size()},
                   {"generated_tokens", result.tokens.size()},
                   {"tokens", result.tokens},
                   {"stop", qrt::stopName(result.stop)},
                   {"prompt_seconds", result.promptSeconds},
                   {"seconds", result.seconds},
                   {"device", opened->session->device()},
                   {"code", opened->session->code()}});
  }
  const Json &json = all.size() == 1 ? all.front() : all;
  return writeJson(request, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}
