//===- Prompt.cpp - qrun --prompt=TEXT ------------------------------------===//
#include "Commands.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Runtime/ScoringText.h"
#include <cstdio>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json;

Result<std::unique_ptr<Tokenizer>> openTokenizer(const qrt::Session &session) {
  std::span<const char> section = session.module().section("tokenizer");
  if (section.empty())
    return Error{"holds no tokenizer; compile it with one (qopt --tokenizer=FILE)"};
  auto tokenizer = Tokenizer::parse({section.data(), section.size()});
  if (!tokenizer)
    return Error{"tokenizer: " + tokenizer.error().message};
  return tokenizer;
}

Status continuePrompt(const Request &request) {
  auto session = openSession(request, request.modulePath);
  if (!session)
    return session.error();
  auto model = qrt::makeSessionModel(**session);
  if (!model)
    return inFile(request.modulePath, model.error());
  auto tokenizer = openTokenizer(**session);
  if (!tokenizer)
    return inFile(request.modulePath, tokenizer.error());
  Result<std::vector<int32_t>> prompt = (*tokenizer)->encode(request.prompt);
  if (!prompt)
    return inFile("--prompt", prompt.error());

  // Text goes to the terminal as it comes, and into the JSON as a whole.
  qrt::TextStream stream(**tokenizer);
  std::string text;
  Status decoding;
  auto emit = [&](const Result<std::string> &added) {
    if (!added) {
      if (decoding)
        decoding = added.error();
      return;
    }
    text += *added;
    if (!request.jsonToStdout()) {
      std::fwrite(added->data(), 1, added->size(), stdout);
      std::fflush(stdout);
    }
  };
  emit(stream.add(*prompt));
  qrt::GenerateOptions options;
  options.maxTokens = request.maxTokens;
  options.temperature = request.temperature;
  options.topP = request.topP;
  options.seed = static_cast<uint64_t>(request.seed);
  options.endOfText = (*tokenizer)->endOfText();
  Result<qrt::Generated> result =
      qrt::generate(**model, *prompt, options, [&](int32_t token) { emit(stream.add({&token, 1})); });
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
               {"device", (*session)->device()},
               {"code", (*session)->code()}};
  return writeJson(request, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}
