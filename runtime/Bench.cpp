//===- Bench.cpp - Tokens per second --------------------------------------===//
//
// The median of several passes over tokens that are always the same.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Bench.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/Memory.h"
#include <algorithm>
#include <chrono>

using namespace qrt;

/// Token ids that are spread over the vocabulary and always the same.
static std::vector<int32_t> madeUpTokens(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> ids;
  uint64_t state = 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX
    ids.push_back(static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocabulary)));
  }
  return ids;
}

/// Seconds of one pass over `batch`. A model that keeps keys and values computes what a text's
/// beginning needs, the last token's logits; any other those of all tokens.
static Result<double> measurePass(LanguageModel &model, const TokenBatch &batch) {
  std::unique_ptr<Decoder> decoder;
  if (batch.rows == 1) {
    Result<std::unique_ptr<Decoder>> made = model.makeDecoder(/*rows=*/1, batch.length);
    if (!made)
      return made.error();
    decoder = std::move(*made);
  }
  auto begin = std::chrono::steady_clock::now();
  Result<Tensor> logits = decoder ? decoder->append(batch.ids) : model.logits(batch);
  if (!logits)
    return logits.error();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Whether the tokens and their logits fit in memory, where the module says how many they are.
static Status checkRoom(const LanguageModel &model, int64_t rows, int64_t length) {
  std::optional<int64_t> tokens = qopt::checkedMul(rows, length);
  std::optional<int64_t> needed = tokens ? qopt::checkedMul(*tokens, model.vocabularySize()) : std::nullopt;
  if (needed)
    needed = qopt::checkedMul(*needed, sizeof(float));
  int64_t free = qopt::availableMemory();
  if (needed && *needed <= free)
    return {};
  return qopt::Error{"out of memory: " + std::to_string(rows) + " x " + std::to_string(length) +
                     " tokens, as the module takes them, need " +
                     (needed ? std::to_string(*needed) : "more than 2^63") + " bytes with their logits, " +
                     std::to_string(free) + " are free"};
}

Result<BenchResult> qrt::runBench(LanguageModel &model, int64_t startTokens) {
  using Clock = std::chrono::steady_clock;
  auto secondsSince = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  BenchResult result;
  result.promptTokens = 512;
  if (model.contextLength() > 0)
    result.promptTokens = std::min(result.promptTokens, model.contextLength());
  if (model.fixedLength() > 0)
    result.promptTokens = model.fixedLength();

  TokenBatch batch;
  batch.rows = std::max<int64_t>(model.fixedRows(), 1);
  batch.length = result.promptTokens;
  if (Status status = checkRoom(model, batch.rows, batch.length); !status)
    return status.error();
  batch.ids = madeUpTokens(batch.rows * batch.length, model.vocabularySize());
  if (Result<double> warmUp = measurePass(model, batch); !warmUp)
    return warmUp.error();
  std::vector<double> passes;
  constexpr size_t fewest = 3, most = 50;
  for (auto start = Clock::now(); passes.size() < fewest || (passes.size() < most && secondsSince(start) < 2);) {
    Result<double> seconds = measurePass(model, batch);
    if (!seconds)
      return seconds.error();
    passes.push_back(*seconds);
  }
  std::nth_element(passes.begin(), passes.begin() + static_cast<ptrdiff_t>(passes.size() / 2), passes.end());
  result.promptTokensPerSecond = static_cast<double>(batch.rows * batch.length) / passes[passes.size() / 2];

  bool isShort = model.contextLength() > 0 && model.contextLength() <= startTokens;
  if (model.fixedLength() > 0 || model.fixedRows() > 1 || isShort)
    return result;
  result.startTokens = startTokens;
  GenerateOptions options;
  options.maxTokens = 32;
  auto write = [&](int64_t after) {
    return generate(model, madeUpTokens(after, model.vocabularySize()), options, [](int32_t) { return true; });
  };
  // The first tokens of a session are slower: weights move to where they are read faster.
  if (Result<Generated> warmUp = write(std::min(startTokens, kBenchStartTokens)); !warmUp)
    return warmUp.error();
  Result<Generated> generated = write(startTokens);
  if (!generated)
    return generated.error();
  result.generatedTokens = static_cast<int64_t>(generated->tokens.size());
  if (result.generatedTokens > 1)
    result.generationTokensPerSecond = static_cast<double>(result.generatedTokens - 1) / generated->seconds;
  return result;
}
