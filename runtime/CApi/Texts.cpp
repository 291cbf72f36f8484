//===- Texts.cpp - The C interface: texts that grow -----------------------===//
//
// Decoders, samplers, the tokenizer, and text from all of them.
//
//===----------------------------------------------------------------------===//
#include "../CacheEntries.h"
#include "Handles.h"
#include "qopt/Runtime/Generate.h"
#include "qopt/Runtime/ScoringText.h"
#include "qopt/Support/Targets.h"
#include <algorithm>
#include <cstring>

using namespace qrt::capi;
using qopt::Error;
using qopt::Status;
using qopt::Tokenizer;
using qrt::Result;
using qrt::Tensor;

struct qrt_decoder {
  std::unique_ptr<qrt::Decoder> decoder;
  int64_t bytes;
  Tensor logits; ///< of the last call
};

struct qrt_sampler {
  qrt::Sampler sampler;
};

std::string &qrt::capi::lastError() {
  static thread_local std::string message;
  return message;
}

Status qrt::capi::checkSize(const char *name, size_t given, size_t known) {
  if (given == known)
    return {};
  return Error{std::string("expected ") + name + "::size " + std::to_string(known) + ", but got " +
               std::to_string(given) + ": it was not set, or the program is for another version of libqrt"};
}

//===----------------------------------------------------------------------===//
// Decoders
//===----------------------------------------------------------------------===//

int64_t qrt_context_length(const qrt_module *module) { return module ? module->shared->info().contextLength : 0; }

int64_t qrt_vocabulary_size(const qrt_module *module) { return module ? module->shared->info().vocabularySize : 0; }

qrt_decoder *qrt_decoder_new(qrt_module *module, int64_t batch, int64_t capacity) {
  return guarded<qrt_decoder *>(nullptr, [&]() -> Result<qrt_decoder *> {
    if (!module)
      return Error{"a module is needed"};
    auto decoder = module->session->makeDecoder(batch, capacity);
    if (!decoder)
      return decoder.error();
    if (!*decoder)
      return Error{"the module has no entry points with caches; qrt_generate() goes without"};
    auto entries = qrt::findCacheEntries(*module->shared, batch, capacity);
    int64_t bytes = entries && *entries ? qrt::cacheBytes((*entries)->caches(), batch, capacity).value_or(0) : 0;
    return new qrt_decoder{std::move(*decoder), bytes, {}};
  });
}

void qrt_decoder_free(qrt_decoder *decoder) { delete decoder; }

int qrt_decoder_append(qrt_decoder *decoder, const int32_t *ids, size_t num_ids, const float **logits) {
  return guarded<int>(1, [&]() -> Result<int> {
    if (!decoder || !ids || !logits)
      return Error{"a decoder, tokens and a place for the logits are needed"};
    Result<Tensor> computed = decoder->decoder->append({ids, num_ids});
    if (!computed)
      return computed.error();
    decoder->logits = qrt::widened(std::move(*computed));
    *logits = decoder->logits.data<float>();
    return 0;
  });
}

int qrt_decoder_append_to(qrt_decoder *decoder, int64_t row, const int32_t *ids, size_t num_ids, const float **logits) {
  return guarded<int>(1, [&]() -> Result<int> {
    if (!decoder || !ids || !logits)
      return Error{"a decoder, tokens and a place for the logits are needed"};
    Result<Tensor> computed = decoder->decoder->appendTo(row, {ids, num_ids});
    if (!computed)
      return computed.error();
    decoder->logits = qrt::widened(std::move(*computed));
    *logits = decoder->logits.data<float>();
    return 0;
  });
}

static bool hasRow(const qrt_decoder *decoder, int64_t row) {
  return decoder && row >= 0 && row < decoder->decoder->batch();
}

int64_t qrt_decoder_row_length(const qrt_decoder *decoder, int64_t row) {
  return hasRow(decoder, row) ? decoder->decoder->length(row) : -1;
}

void qrt_decoder_cut(qrt_decoder *decoder, int64_t row, int64_t length) {
  if (hasRow(decoder, row))
    decoder->decoder->cut(row, length);
}

int64_t qrt_decoder_length(const qrt_decoder *decoder) { return decoder ? decoder->decoder->length() : 0; }

int64_t qrt_decoder_capacity(const qrt_decoder *decoder) { return decoder ? decoder->decoder->capacity() : 0; }

int64_t qrt_decoder_memory(const qrt_decoder *decoder) { return decoder ? decoder->bytes : 0; }

void qrt_decoder_clear(qrt_decoder *decoder) {
  if (decoder)
    decoder->decoder->clear();
}

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

static Result<qrt::SamplingOptions> readSampling(const qrt_sampling &given) {
  if (Status status = checkSize("qrt_sampling", given.size, sizeof given); !status)
    return status.error();
  // NaN is in no range.
  if (!(given.temperature >= 0 && given.temperature <= 100))
    return Error{"expected a temperature from 0 to 100, but got " + std::to_string(given.temperature)};
  if (given.top_k < 0)
    return Error{"expected a top_k of at least 0, but got " + std::to_string(given.top_k)};
  if (!(given.top_p >= 0 && given.top_p <= 1))
    return Error{"expected a top_p from 0 to 1, but got " + std::to_string(given.top_p)};
  return qrt::SamplingOptions{given.temperature, given.top_k, given.top_p, given.seed};
}

qrt_sampler *qrt_sampler_new(const qrt_sampling *sampling) {
  return guarded<qrt_sampler *>(nullptr, [&]() -> Result<qrt_sampler *> {
    if (!sampling)
      return new qrt_sampler{qrt::Sampler({})};
    Result<qrt::SamplingOptions> options = readSampling(*sampling);
    if (!options)
      return options.error();
    return new qrt_sampler{qrt::Sampler(*options)};
  });
}

void qrt_sampler_free(qrt_sampler *sampler) { delete sampler; }

int qrt_sample(qrt_sampler *sampler, const float *logits, size_t num_logits, int32_t *token) {
  return guarded<int>(1, [&]() -> Result<int> {
    if (!sampler || !logits || !token)
      return Error{"a sampler, logits and a place for the token are needed"};
    Result<int32_t> sampled = sampler->sampler.sample({logits, num_logits});
    if (!sampled)
      return sampled.error();
    *token = *sampled;
    return 0;
  });
}

//===----------------------------------------------------------------------===//
// Tokenizer
//===----------------------------------------------------------------------===//

/// The tokenizer of the module, read when it is first asked for.
static Result<const Tokenizer *> tokenizerOf(qrt_module *module) {
  if (!module)
    return Error{"a module is needed"};
  if (module->tokenizer)
    return module->tokenizer.get();
  std::span<const char> section = module->shared->section(qopt::kTokenizerSection);
  if (section.empty())
    return Error{"the module holds no tokenizer; compile it with one (qopt --tokenizer=FILE)"};
  auto parsed = Tokenizer::parse({section.data(), section.size()});
  if (!parsed)
    return Error{"tokenizer: " + parsed.error().message};
  module->tokenizer = std::move(*parsed);
  return module->tokenizer.get();
}

int64_t qrt_encode(qrt_module *module, const char *text, size_t bytes, int add_special, int32_t *ids, size_t capacity) {
  return guarded<int64_t>(-1, [&]() -> Result<int64_t> {
    Result<const Tokenizer *> tokenizer = tokenizerOf(module);
    if (!tokenizer)
      return tokenizer.error();
    if ((!text && bytes > 0) || (!ids && capacity > 0))
      return Error{"a text and a place for its ids are needed"};
    Result<std::vector<int32_t>> encoded = (*tokenizer)->encode({text, bytes}, add_special != 0);
    if (!encoded)
      return encoded.error();
    std::copy_n(encoded->begin(), std::min(capacity, encoded->size()), ids);
    return static_cast<int64_t>(encoded->size());
  });
}

int64_t qrt_decode(qrt_module *module, const int32_t *ids, size_t num_ids, int skip_special, char *text,
                   size_t capacity) {
  return guarded<int64_t>(-1, [&]() -> Result<int64_t> {
    Result<const Tokenizer *> tokenizer = tokenizerOf(module);
    if (!tokenizer)
      return tokenizer.error();
    if ((!ids && num_ids > 0) || (!text && capacity > 0))
      return Error{"ids and a place for their text are needed"};
    Result<std::string> decoded = (*tokenizer)->decode({ids, num_ids}, skip_special != 0);
    if (!decoded)
      return decoded.error();
    if (capacity > 0) {
      size_t written = std::min(capacity - 1, decoded->size());
      std::memcpy(text, decoded->data(), written);
      text[written] = 0;
    }
    return static_cast<int64_t>(decoded->size());
  });
}

int32_t qrt_end_of_text(qrt_module *module) {
  Result<const Tokenizer *> tokenizer = tokenizerOf(module);
  if (!tokenizer)
    return -1;
  std::vector<int32_t> ends = qrt::endTokens(module->shared->info(), *tokenizer);
  return ends.empty() ? -1 : ends.front();
}

int32_t qrt_begin_of_text(qrt_module *module) {
  Result<const Tokenizer *> tokenizer = tokenizerOf(module);
  return tokenizer ? (*tokenizer)->beginOfText() : -1;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

int64_t qrt_generate(qrt_module *module, const int32_t *prompt, size_t num_prompt, const qrt_generation *options,
                     qrt_token_callback callback, void *user) {
  return guarded<int64_t>(-1, [&]() -> Result<int64_t> {
    if (!module || !options || (!prompt && num_prompt > 0))
      return Error{"a module, a prompt and options are needed"};
    if (Status status = checkSize("qrt_generation", options->size, sizeof *options); !status)
      return status.error();
    if (options->max_tokens < 1)
      return Error{"expected max_tokens of at least 1, but got " + std::to_string(options->max_tokens)};
    Result<qrt::SamplingOptions> sampling = readSampling(options->sampling);
    if (!sampling)
      return sampling.error();
    auto model = qrt::makeSessionModel(*module->session);
    if (!model)
      return model.error();
    // Ids need no tokenizer.
    const Tokenizer *tokenizer = nullptr;
    if (!module->shared->section(qopt::kTokenizerSection).empty()) {
      Result<const Tokenizer *> read = tokenizerOf(module);
      if (!read)
        return read.error();
      tokenizer = *read;
    }
    std::optional<qrt::TextStream> stream;
    Status decoding;
    if (tokenizer) {
      stream.emplace(*tokenizer);
      if (Result<std::string> shown = stream->add({prompt, num_prompt}); !shown)
        return shown.error();
    }
    auto emit = [&](int32_t token) {
      std::string text;
      if (stream) {
        Result<std::string> added = stream->add({&token, 1});
        if (!added) {
          decoding = added.error();
          return false;
        }
        text = std::move(*added);
      }
      return !callback || callback(user, token, text.c_str()) == 0;
    };
    qrt::GenerateOptions generation{options->max_tokens, *sampling, qrt::endTokens(module->shared->info(), tokenizer)};
    Result<qrt::Generated> result = qrt::generate(**model, {prompt, prompt + num_prompt}, generation, emit);
    if (!result)
      return result.error();
    if (!decoding)
      return decoding.error();
    return static_cast<int64_t>(result->tokens.size());
  });
}
