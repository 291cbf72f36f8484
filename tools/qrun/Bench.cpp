//===- Bench.cpp - qrun --bench -------------------------------------------===//
//
// The speed of a module as users see it: opening it, prompt tokens in one call, then one after
// the other.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Bench.h"
#include "Commands.h"
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json;

/// Prints a line for each speed and writes both with what they were measured on.
Status bench(const Request &request) {
  auto begin = std::chrono::steady_clock::now();
  Result<OpenModel> opened = openModel(request, request.modulePath);
  if (!opened)
    return opened.error();
  double startSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Result<qrt::BenchResult> result = qrt::runBench(*opened->model, request.startTokens);
  if (!result)
    return inFile(request.modulePath, result.error());
  // A module that cannot generate has no second line.
  if (!request.jsonToStdout()) {
    std::printf("start       %8.3f s until the first token's work begins\n", startSeconds);
    std::printf("prompt      %8.1f tokens/s (%lld tokens)\n", result->promptTokensPerSecond,
                static_cast<long long>(result->promptTokens));
    if (result->generatedTokens > 0)
      std::printf("generation  %8.1f tokens/s (%lld tokens after %lld)\n", result->generationTokensPerSecond,
                  static_cast<long long>(result->generatedTokens), static_cast<long long>(result->startTokens));
  }
  Json json = {{"start_seconds", startSeconds},
               {"prompt_tokens", result->promptTokens},
               {"prompt_tokens_per_second", result->promptTokensPerSecond},
               {"generated_tokens", result->generatedTokens},
               {"start_tokens", result->startTokens},
               {"generation_tokens_per_second", result->generationTokensPerSecond},
               {"device", opened->session->device()},
               {"code", opened->session->code()},
               {"threads", opened->session->threads().size()}};
  return writeJson(request, json.dump(2) + "\n");
}
