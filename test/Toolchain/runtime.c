/* Uses the runtime as a C program would: runtime MODULE. Writes text token by token and at once, in one thread and
 * in several. Prints a line for each thing that works and exits with 1 at the first that does not. */
#include "qopt/Runtime/qrt.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "line %d: %s; last error: %s\n", __LINE__, #condition, qrt_last_error());                        \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

enum { kTokens = 12, kMostPrompt = 64 };

struct Text {
  int32_t tokens[kTokens];
  int count;
  char text[4096];
};

static int append(void *user, int32_t token, const char *text) {
  struct Text *written = user;
  CHECK(written->count < kTokens && strlen(written->text) + strlen(text) < sizeof written->text);
  written->tokens[written->count++] = token;
  strcat(written->text, text);
  return 0;
}

static int stopAtThird(void *user, int32_t token, const char *text) {
  (void)token;
  (void)text;
  return ++*(int *)user == 3;
}

static struct Text generate(qrt_module *module, const int32_t *prompt, int64_t count, qrt_sampling sampling) {
  struct Text text = {.count = 0};
  qrt_generation options = {sizeof options, kTokens, sampling};
  CHECK(qrt_generate(module, prompt, (size_t)count, &options, append, &text) == text.count && text.count > 0);
  return text;
}

/* The same by hand: a prompt in one call, then one token after the other. */
static void decode(qrt_module *module, const int32_t *prompt, int64_t count, qrt_sampling sampling,
                   struct Text expected) {
  qrt_decoder *decoder = qrt_decoder_new(module, 1, kMostPrompt + kTokens);
  qrt_sampler *sampler = qrt_sampler_new(&sampling);
  CHECK(decoder && sampler);
  CHECK(qrt_decoder_capacity(decoder) == kMostPrompt + kTokens);
  qrt_memory memory = {sizeof memory, 0, 0, 0, 0, -1};
  CHECK(qrt_module_memory(module, &memory) == 0 && memory.file_bytes > memory.weight_bytes && memory.weight_bytes > 0);
  CHECK(memory.device_weight_bytes == 0 && memory.cache_bytes_per_token > 0 && memory.host_weight_bytes == 0);
  CHECK(qrt_decoder_memory(decoder) == memory.cache_bytes_per_token * (kMostPrompt + kTokens));
  for (int round = 0; round < 2; ++round) {
    const float *logits = NULL;
    CHECK(qrt_decoder_append(decoder, prompt, (size_t)count, &logits) == 0);
    for (int i = 0; i < expected.count; ++i) {
      int32_t token = -1;
      CHECK(qrt_sample(sampler, logits, (size_t)qrt_vocabulary_size(module), &token) == 0);
      if (round == 0)
        CHECK(token == expected.tokens[i]);
      CHECK(qrt_decoder_append(decoder, &token, 1, &logits) == 0);
    }
    CHECK(qrt_decoder_length(decoder) == count + expected.count);
    qrt_decoder_clear(decoder);
    CHECK(qrt_decoder_length(decoder) == 0);
  }
  const float *logits = NULL;
  int32_t wrong = 1 << 20;
  CHECK(qrt_decoder_append(decoder, &wrong, 1, &logits) != 0 && strstr(qrt_last_error(), "beyond the vocabulary"));
  CHECK(qrt_decoder_append(decoder, prompt, 0, &logits) != 0);
  qrt_sampler_free(sampler);
  qrt_decoder_free(decoder);
}

static void testTokenizer(qrt_module *module) {
  const char text[] = "Once upon a time, na\xc3\xafve";
  int32_t ids[kMostPrompt], few[2] = {-1, -1};
  int64_t count = qrt_encode(module, text, strlen(text), 1, ids, kMostPrompt);
  CHECK(count > 4 && count < kMostPrompt && ids[0] == qrt_begin_of_text(module) && qrt_end_of_text(module) >= 0);
  CHECK(qrt_encode(module, text, strlen(text), 0, NULL, 0) == count - 1);
  CHECK(qrt_encode(module, text, strlen(text), 1, few, 1) == count && few[0] == ids[0] && few[1] == -1);
  char back[64];
  int64_t bytes = qrt_decode(module, ids, (size_t)count, 1, back, sizeof back);
  CHECK(bytes == (int64_t)strlen(back) && strstr(back, text));
  char start[6];
  CHECK(qrt_decode(module, ids, (size_t)count, 1, start, sizeof start) == bytes && strlen(start) == 5);
  ids[0] = 1 << 20;
  CHECK(qrt_decode(module, ids, 1, 1, back, sizeof back) == -1 && strlen(qrt_last_error()) > 0);
  CHECK(qrt_encode(NULL, text, 1, 1, ids, 1) == -1 && qrt_end_of_text(NULL) == -1);
  puts("tokenizer");
}

static void testErrors(qrt_module *module, const int32_t *prompt, int64_t count) {
  qrt_sampling greedy = {sizeof greedy, 0, 0, 1, 0}, hot = greedy, short_ = greedy;
  hot.temperature = -1;
  short_.size = 8;
  CHECK(!qrt_sampler_new(&hot) && strstr(qrt_last_error(), "expected a temperature from 0 to 100, but got -1"));
  CHECK(!qrt_sampler_new(&short_) && strstr(qrt_last_error(), "expected qrt_sampling::size"));
  qrt_generation options = {sizeof options, 0, greedy};
  CHECK(qrt_generate(module, prompt, (size_t)count, &options, NULL, NULL) == -1 &&
        strstr(qrt_last_error(), "max_tokens of at least 1"));
  options.max_tokens = 5;
  CHECK(qrt_generate(module, prompt, 0, &options, NULL, NULL) == -1 &&
        strstr(qrt_last_error(), "the prompt has no tokens"));
  int seen = 0;
  CHECK(qrt_generate(module, prompt, (size_t)count, &options, stopAtThird, &seen) == 3 && seen == 3);
  qrt_memory memory = {0, 0, 0, 0, 0, -1};
  CHECK(qrt_module_memory(module, &memory) != 0 && strstr(qrt_last_error(), "expected qrt_memory::size"));
  /* A program of version 4 has no more than this. */
  memory.size = offsetof(qrt_memory, host_weight_bytes);
  CHECK(qrt_module_memory(module, &memory) == 0 && memory.file_bytes > 0 && memory.host_weight_bytes == -1);
  CHECK(!qrt_decoder_new(module, 0, 8) && !qrt_decoder_new(module, 1, 1 << 30) && !qrt_decoder_new(NULL, 1, 8));
  CHECK(!qrt_share(NULL, NULL, 1) && !qrt_share(module, "gpu", 1) && !qrt_share(module, NULL, -1));
  qrt_sampler *sampler = qrt_sampler_new(NULL);
  float nothing[2] = {0, 0};
  int32_t token;
  CHECK(qrt_sample(sampler, nothing, 0, &token) != 0 && strstr(qrt_last_error(), "not finite"));
  CHECK(qrt_sample(sampler, nothing, 2, &token) == 0 && token == 0);
  qrt_sampler_free(sampler);
  qrt_sampler_free(NULL);
  qrt_decoder_free(NULL);
  puts("errors");
}

struct Work {
  qrt_module *module;
  const int32_t *prompt;
  int64_t count;
  qrt_sampling sampling;
  struct Text text;
};

static void *work(void *argument) {
  struct Work *work = argument;
  for (int i = 0; i < 3; ++i)
    work->text = generate(work->module, work->prompt, work->count, work->sampling);
  return NULL;
}

int main(int argc, char **argv) {
  qrt_module *module = argc == 2 ? qrt_open_on(argv[1], "cpu", 1) : NULL;
  CHECK(module && qrt_api_version() >= 4);
  testTokenizer(module);
  int32_t prompt[kMostPrompt];
  int64_t count = qrt_encode(module, "Once upon a time", 16, 1, prompt, kMostPrompt);
  CHECK(count > 0 && qrt_context_length(module) >= kMostPrompt + kTokens);
  testErrors(module, prompt, count);

  qrt_sampling greedy = {sizeof greedy, 0, 0, 1, 0}, sampled = {sizeof sampled, 1.5, 40, .95, 7};
  struct Text text = generate(module, prompt, count, greedy);
  printf("greedy: %s\n", text.text);
  decode(module, prompt, count, greedy, text);
  struct Text other = generate(module, prompt, count, sampled);
  CHECK(strcmp(text.text, other.text) != 0);
  decode(module, prompt, count, sampled, other);
  sampled.top_k = 1;
  CHECK(strcmp(generate(module, prompt, count, sampled).text, text.text) == 0);
  sampled.top_k = 40;
  puts("decoders");

  /* Several sessions of one module at once, which outlive the first. */
  enum { kThreads = 3 };
  struct Work works[kThreads];
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    works[i] = (struct Work){qrt_share(module, NULL, 1), prompt, count, i == 1 ? sampled : greedy, {.count = 0}};
    CHECK(works[i].module);
  }
  qrt_close(module);
  for (int i = 0; i < kThreads; ++i)
    CHECK(pthread_create(&threads[i], NULL, work, &works[i]) == 0);
  for (int i = 0; i < kThreads; ++i) {
    CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(strcmp(works[i].text.text, i == 1 ? other.text : text.text) == 0);
    qrt_close(works[i].module);
  }
  puts("threads");
  return 0;
}
