/*===- qrt.h - Running modules from C and other languages -------------------===
 *
 *   qrt_module *module = qrt_open("model.qmod", 0);
 *   if (!module) { fprintf(stderr, "%s\n", qrt_last_error()); return 1; }
 *   QrtTensor ids = {data, QRT_I64, 2, {1, 3}};
 *   qrt_result *result = qrt_run(module, "forward", &ids, 1);
 *   const QrtTensor *logits = qrt_result_output(result, 0);
 *   ...
 *   qrt_result_free(result);
 *   qrt_close(module);
 *
 * Text from a module that has a tokenizer:
 *
 *   int print(void *user, int32_t token, const char *text) { return fputs(text, stdout) < 0; }
 *   ...
 *   int32_t prompt[64];
 *   int64_t n = qrt_encode(module, "Once upon a time", 16, 1, prompt, 64);
 *   qrt_generation options = {sizeof options, 100, {sizeof(qrt_sampling), .8, 40, .95, 1}};
 *   qrt_generate(module, prompt, n, &options, print, NULL);
 *
 * Functions that can fail return NULL, nonzero or -1, and qrt_last_error() then says
 * why, in one line. Nothing is printed, nothing is thrown, the process never ends.
 * A qrt_module is for one thread at a time, with its decoders; different ones may be
 * used from different threads at once, and qrt_share() makes another of the same
 * file. Strings and pointers that are returned live as long as what they were asked
 * of. All strings are UTF-8. A struct that begins with `size` gets sizeof of itself
 * there from the caller, before it is filled or read.
 *
 *===------------------------------------------------------------------------===*/
#ifndef QOPT_RUNTIME_QRT_H
#define QOPT_RUNTIME_QRT_H

#include "qopt/Runtime/Abi.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when something is added. What a program compiled with version n uses is
 * there when qrt_api_version() >= n. */
#define QRT_API_VERSION 6
int qrt_api_version(void);

/* Why the last call of this thread failed; "" when none did. Valid until the
 * thread's next call. */
const char *qrt_last_error(void);

typedef struct qrt_module qrt_module;
typedef struct qrt_result qrt_result;

/* An input or output. dims[i] is -1 where any size may be; symbols[i] then names
 * it: equal names stand for equal sizes. Otherwise symbols[i] is NULL. */
typedef struct qrt_tensor_info {
  const char *name;
  int64_t type; /* QrtType */
  int64_t rank;
  int64_t dims[QRT_MAX_RANK];
  const char *symbols[QRT_MAX_RANK];
} qrt_tensor_info;

/* Opens and verifies a module. It runs on a CUDA device where there is one and the
 * module has code for it, else on the CPU with `threads` threads; 0: one per core. */
qrt_module *qrt_open(const char *path, int threads);
/* The same on a given device: "cpu", "cuda", "cuda:1", "sim", "sim:sm_90a"
 * or "auto". Since 2. */
qrt_module *qrt_open_on(const char *path, const char *device, int threads);
/* Another handle on the module that is open, for another thread or another device:
 * the file is mapped and its code is loaded once more, but weights that a CPU reads
 * stay where they are. The handles may be closed in any order. `device`: NULL for the
 * same. Since 4. */
qrt_module *qrt_share(const qrt_module *module, const char *device, int threads);
/* Closes a handle, whose decoders must have been freed; NULL is allowed. */
void qrt_close(qrt_module *module);
/* Where it runs: "cpu", "cuda:0", "sim" or "sim:sm_90a". */
const char *qrt_device(const qrt_module *module);
/* Which of the module's sections runs, e.g. "host:x86-64-v3" or "ptx". Since 2. */
const char *qrt_code(const qrt_module *module);

/* The entry points by number; NULL past the last. */
const char *qrt_entry_name(const qrt_module *module, size_t index);
/* Numbers of inputs and outputs; 0 when there is no such entry point. */
size_t qrt_num_inputs(const qrt_module *module, const char *entry);
size_t qrt_num_outputs(const qrt_module *module, const char *entry);
/* Fill `info`; 0 on success. */
int qrt_input(const qrt_module *module, const char *entry, size_t index, qrt_tensor_info *info);
int qrt_output(const qrt_module *module, const char *entry, size_t index, qrt_tensor_info *info);
/* What an input or output is for, whatever its name: "token_ids", "attention_mask",
 * "position_ids", "past_key", "past_value", "logits", "last_logits", "hidden_states",
 * "other", ... (qopt/Support/Roles.h has them all). NULL past the last. Since 3. */
const char *qrt_input_role(const qrt_module *module, const char *entry, size_t index);
const char *qrt_output_role(const qrt_module *module, const char *entry, size_t index);

/* Runs an entry point. `inputs` in declared order; they are copied. */
qrt_result *qrt_run(qrt_module *module, const char *entry, const QrtTensor *inputs, size_t num_inputs);
/* Output `index`; NULL past the last. */
const QrtTensor *qrt_result_output(const qrt_result *result, size_t index);
void qrt_result_free(qrt_result *result);

/*===- Memory --------------------------------------------------------------------===*/

/* Bytes of a module. Since 4. */
typedef struct qrt_memory {
  size_t size;                   /* sizeof(qrt_memory), set by the caller */
  int64_t file_bytes;            /* of the file, which is mapped: all handles and processes share it */
  int64_t weight_bytes;          /* of these, weights */
  int64_t device_weight_bytes;   /* copied to the device of this handle; 0 on a CPU */
  int64_t cache_bytes_per_token; /* keys and values of one token in one row; 0 without caches */
  int64_t host_weight_bytes;     /* copied to huge pages for this handle, as a CPU does when it begins to
                                  * write text and memory is plenty; then the file's pages are free. Since 5 */
} qrt_memory;
/* Fills `memory`, of which an older program has the first fields only; 0 on success. Since 4. */
int qrt_module_memory(const qrt_module *module, qrt_memory *memory);

/*===- Texts that grow ------------------------------------------------------------===*/

/* The longest text in tokens, and the number of tokens that there are; 0 when the
 * module does not say. Since 4. */
int64_t qrt_context_length(const qrt_module *module);
int64_t qrt_vocabulary_size(const qrt_module *module);

/* Texts that grow together, a row for each. The keys and values of their tokens stay
 * where the code runs, so that only new ones are computed. Since 4. */
typedef struct qrt_decoder qrt_decoder;
/* Empty texts: `batch` rows of at most `capacity` tokens, for which memory is taken at
 * once (qrt_decoder_memory). NULL where the module has no entry points with caches. The
 * module must outlive the decoder. */
qrt_decoder *qrt_decoder_new(qrt_module *module, int64_t batch, int64_t capacity);
void qrt_decoder_free(qrt_decoder *decoder);
/* Appends tokens [batch, n], row after row: a prompt (n > 1) in one call, then one
 * after the other. `*logits` are those behind the last one, f32 [batch, vocabulary],
 * until the decoder's next call. 0 on success; after an error the texts are as before. */
int qrt_decoder_append(qrt_decoder *decoder, const int32_t *ids, size_t num_ids, const float **logits);
/* Appends tokens to one row alone, as if there were no other: prompts of different lengths go in
 * row by row, and then a token for each by qrt_decoder_append. `*logits` are f32 [vocabulary]. An
 * error, too, where the module computes something of all rows together, as those of llm-int8 do,
 * or takes one number of rows only. Since 6. */
int qrt_decoder_append_to(qrt_decoder *decoder, int64_t row, const int32_t *ids, size_t num_ids, const float **logits);
/* Tokens of one row; -1 where there is no such row. Since 6. */
int64_t qrt_decoder_row_length(const qrt_decoder *decoder, int64_t row);
/* Forgets the tokens of a row behind the first `length`, as of a text that has ended while others
 * go on. Since 6. */
void qrt_decoder_cut(qrt_decoder *decoder, int64_t row, int64_t length);
/* Tokens of the longest row so far, and at most. */
int64_t qrt_decoder_length(const qrt_decoder *decoder);
int64_t qrt_decoder_capacity(const qrt_decoder *decoder);
/* Bytes of the keys and values, whether filled or not. */
int64_t qrt_decoder_memory(const qrt_decoder *decoder);
/* Forgets all tokens. */
void qrt_decoder_clear(qrt_decoder *decoder);

/* How the next token is chosen. Since 4. */
typedef struct qrt_sampling {
  size_t size;        /* sizeof(qrt_sampling), set by the caller */
  double temperature; /* that logits are divided by, 0 to 100; 0: always the most likely token */
  int64_t top_k;      /* draw from so many of the most likely tokens; 0: from all */
  double top_p;       /* of these, from the fewest whose probabilities reach this, 0 to 1 */
  uint64_t seed;      /* the same seed and logits give the same tokens on every machine */
} qrt_sampling;
typedef struct qrt_sampler qrt_sampler;
/* `sampling` NULL: always the most likely token. */
qrt_sampler *qrt_sampler_new(const qrt_sampling *sampling);
void qrt_sampler_free(qrt_sampler *sampler);
/* Chooses among `num_logits` tokens; 0 on success. An error where logits are NaN or infinite. */
int qrt_sample(qrt_sampler *sampler, const float *logits, size_t num_logits, int32_t *token);

/*===- Text -----------------------------------------------------------------------===*/

/* The ids of `bytes` bytes of text by the module's tokenizer; `add_special` other than 0: with
 * the tokens that the model expects around a text, as BOS. Returns how many there are
 * and writes at most `capacity` of them, which may be 0 and `ids` NULL; -1 on failure,
 * as where the module has no tokenizer. Since 4. */
int64_t qrt_encode(qrt_module *module, const char *text, size_t bytes, int add_special, int32_t *ids, size_t capacity);
/* The text of ids; `skip_special` other than 0: without special tokens. Returns its bytes
 * and writes at most `capacity` of them, the last of which is a NUL that is not counted,
 * as snprintf does; -1 on failure. Since 4. */
int64_t qrt_decode(qrt_module *module, const int32_t *ids, size_t num_ids, int skip_special, char *text,
                   size_t capacity);
/* The token that ends a text, and the one that begins it; -1 when there is none. Since 4. */
int32_t qrt_end_of_text(qrt_module *module);
int32_t qrt_begin_of_text(qrt_module *module);

/* How a text goes on. Since 4. */
typedef struct qrt_generation {
  size_t size;           /* sizeof(qrt_generation), set by the caller */
  int64_t max_tokens;    /* at least 1 */
  qrt_sampling sampling; /* with a `size` of its own */
} qrt_generation;
/* Gets each token as it comes, and the text that it adds: "" while a character is not
 * whole, or without a tokenizer. Nonzero ends the text. */
typedef int (*qrt_token_callback)(void *user, int32_t token, const char *text);
/* Continues a prompt until the end of the text, `max_tokens` or the end of the context;
 * with caches where the module has them, else much slower. Returns the number of new
 * tokens, or -1. `callback` may be NULL. Since 4. */
int64_t qrt_generate(qrt_module *module, const int32_t *prompt, size_t num_prompt, const qrt_generation *options,
                     qrt_token_callback callback, void *user);

#ifdef __cplusplus
}
#endif

#endif /* QOPT_RUNTIME_QRT_H */
