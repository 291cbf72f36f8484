//===- Prompt.cpp - qrun --prompt=TEXT ------------------------------------===//
//
// The text goes to the terminal as it comes, beginning with the prompt when the first
// token behind it is known: an error before that leaves standard output empty.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Runtime/ScoringText.h"
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

using namespace qopt;
using Json = nlohmann::ordered_json;

Status continuePrompt(const Request &request) {
  Result<OpenModel> opened = openModel(request, request.modulePath);
  if (!opened)
    return opened.error();
  auto tokenizer = openTokenizer(request, *opened->session);
  if (!tokenizer)
    return tokenizer.error();
  Result<std::vector<int32_t>> prompt = (*tokenizer)->encode(request.prompt);
  if (!prompt)
    return inFile("--prompt", prompt.error());

  qrt::TextStream stream(**tokenizer);
  std::string text; // all of it, for the JSON
  size_t numShown = 0;
  Status decoding;
  auto add = [&](const Result<std::string> &added) {
    if (added)
      text += *added;
    else if (decoding)
      decoding = added.error();
  };
  auto emit = [&](const Result<std::string> &added) {
    add(added);
    if (request.jsonToStdout())
      return;
    std::fwrite(text.data() + numShown, 1, text.size() - numShown, stdout);
    // Where nobody reads on, the rest is not made.
    if (std::fflush(stdout) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot write to standard output");
    numShown = text.size();
  };
  add(stream.add(*prompt));
  qrt::GenerateOptions options;
  options.maxTokens = request.maxTokens;
  options.sampling = {request.temperature, request.topK, request.topP, static_cast<uint64_t>(request.seed)};
  options.endOfText = (*tokenizer)->endOfText();
  Result<qrt::Generated> result = qrt::generate(*opened->model, *prompt, options, [&](int32_t token) {
    emit(stream.add({&token, 1}));
    return true;
  });
  if (!result)
    return inFile(request.modulePath, result.error());
  emit(stream.finish());
  if (!decoding)
    return inFile(request.modulePath, decoding.error());
  if (!request.jsonToStdout())
    std::fputs("\n", stdout);
  if (!request.isQuiet)
    std::fprintf(stderr, "qrun: %zu tokens in %.2f s, then %zu tokens in %.2f s; stopped by %s\n", prompt->size(),
                 result->promptSeconds, result->tokens.size(), result->seconds, qrt::stopName(result->stop));
  Json json = {{"text", text},
               {"prompt_tokens", prompt->size()},
               {"generated_tokens", result->tokens.size()},
               {"tokens", result->tokens},
               {"stop", qrt::stopName(result->stop)},
               {"prompt_seconds", result->promptSeconds},
               {"seconds", result->seconds},
               {"device", opened->session->device()},
               {"code", opened->session->code()}};
  return writeJson(request, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}
