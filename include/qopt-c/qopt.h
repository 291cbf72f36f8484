/*===- qopt.h - The compiler from C and other languages ---------------------===
 *
 *   qopt_context *context;
 *   if (qopt_create(QOPT_ABI_VERSION, &context)) { fprintf(stderr, "%s\n", qopt_last_error()); return 1; }
 *   const char *options[] = {"--target=cpu,cuda", "-o", "model.qmod"};
 *   qopt_result *result;
 *   if (qopt_compile_file(context, "model.onnx", options, 3, &result))
 *     fprintf(stderr, "%s\n", qopt_last_error());
 *   ...
 *   qopt_result_free(result);
 *   qopt_destroy(context);
 *
 * Options are strings, spelled as on the command line of `qopt` (qopt --help); each is
 * one argument. What is written to a file appears complete or not at all.
 *
 * Functions that can fail return a qopt_code, and qopt_last_error() then says why, in one
 * line. Nothing is printed, nothing is thrown, the process never ends: where LLVM would
 * end it, the call returns QOPT_ERROR_INTERNAL instead; what it had in memory is lost
 * then, and a program should end soon.
 *
 * Contexts share nothing: several may compile at once, in different threads. One context
 * is for one thread at a time, but for qopt_cancel(). A compilation has a thread of its
 * own, so the caller's may have a small stack. All strings are UTF-8 and end with a NUL;
 * those that are returned live as long as what they were asked of.
 *
 *===------------------------------------------------------------------------===*/
#ifndef QOPT_C_QOPT_H
#define QOPT_C_QOPT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when programs have to be compiled again. */
#define QOPT_ABI_VERSION 1
/* That of the library. */
int qopt_abi_version(void);
/* "0.1.0": what `qopt --version` prints. */
const char *qopt_version(void);

typedef enum qopt_code {
  QOPT_OK = 0,
  QOPT_ERROR_INPUT = 1,     /* the model, text or tokenizer cannot be used, or not with these options */
  QOPT_ERROR_USAGE = 2,     /* options that are wrong; a call with arguments that make no sense */
  QOPT_ERROR_IO = 3,        /* a file cannot be opened, read or written */
  QOPT_ERROR_MEMORY = 4,    /* there is too little */
  QOPT_ERROR_CANCELLED = 5, /* qopt_cancel() was called */
  QOPT_ERROR_INTERNAL = 6   /* a fault of the compiler */
} qopt_code;

/* Why the last call of this thread failed, "FILE: where: what" where it is about a file;
 * "" when none did. Valid until the thread's next call. */
const char *qopt_last_error(void);

typedef struct qopt_context qopt_context;
typedef struct qopt_result qopt_result;

/* `abi_version` is QOPT_ABI_VERSION of the header that the program is compiled with; an
 * error where the library has another. */
qopt_code qopt_create(int abi_version, qopt_context **context);
/* No compilation may be under way; NULL is allowed. */
void qopt_destroy(qopt_context *context);

/*===- What happens meanwhile ------------------------------------------------===*/

/* One linear layer. Figures that a scheme has not are NaN. */
typedef struct qopt_layer {
  size_t size;             /* sizeof(qopt_layer) in the library */
  const char *name;        /* "model.layers.0.self_attn.q_proj" */
  const char *node;        /* the exporter's name */
  const char *group;       /* the first layer that reads the same value; "" where it is not known yet */
  const char *scheme;      /* its name (qopt --list-schemes) */
  const char *activations; /* "int8" or "float" */
  int64_t out_features, in_features;
  double bits_per_weight; /* with scales and zero points */
  double loss;            /* GPTQ: mean squared error of an output over tokens */
  double damping;         /* GPTQ: the share finally added to the Hessian's diagonal */
  double sqnr_db;         /* of the weights, in dB */
  int64_t tokens;         /* of calibration, that weighed in; 0 without */
  int fallback;           /* 1: GPTQ gave up, the weights were rounded to nearest */
  double seconds;
} qopt_layer;

/* What a compilation calls while it runs, never two at once, from threads of its own;
 * NULL where something is not wanted. Strings are valid during the call. A callback may
 * call qopt_cancel() and functions of other contexts, none else of this context. */
typedef struct qopt_callbacks {
  size_t size; /* sizeof(qopt_callbacks), set by the caller */
  void *user;  /* handed to each of them */
  /* Batches of calibration done of all. */
  void (*progress)(void *user, int64_t done, int64_t total);
  /* "FILE: ...", what `qopt` prints as a warning. */
  void (*warning)(void *user, const char *text);
  /* "FILE: where: ...", what was left of the model as it was, and why (qopt --remarks). */
  void (*remark)(void *user, const char *text);
  /* A layer that was just quantized. */
  void (*layer)(void *user, const qopt_layer *layer);
} qopt_callbacks;
/* Copied; NULL: none from now on. */
qopt_code qopt_set_callbacks(qopt_context *context, const qopt_callbacks *callbacks);

/* Ends the compilation that is under way in this context, or else the next one, soon, with
 * QOPT_ERROR_CANCELLED: nothing is written then and no temporary is left. From any thread
 * and from callbacks. */
void qopt_cancel(qopt_context *context);

/*===- Compilation -----------------------------------------------------------===*/

/* Compiles a model: .onnx, .mlir or .mlirbc. The output goes to the file that -o names, or
 * else to memory (qopt_result_bytes): a module (.qmod), or IR as text with --until. `result` may be
 * NULL with -o. With --list-layers nothing is compiled, and the result has the layers.
 *
 * Options that are the command's and not the library's are QOPT_ERROR_USAGE: the model
 * among the options, --help, --version, --completion, --quiet, --remarks (there are
 * callbacks), --mlir-..., lists (qopt_describe), and "-" for a standard stream. */
qopt_code qopt_compile_file(qopt_context *context, const char *model, const char *const *options, size_t num_options,
                            qopt_result **result);

/* The same of a model in memory, which must stay as it is until the call returns and is not
 * copied. `name` stands for it in messages and its ending says what it is ("model.onnx").
 * `directory`: where external data, tokenizer.json and config.json are looked for; NULL:
 * nowhere, and external data are an error. */
qopt_code qopt_compile_memory(qopt_context *context, const void *model, size_t num_bytes, const char *name,
                              const char *directory, const char *const *options, size_t num_options,
                              qopt_result **result);

/* What output in memory is: ".qmod", ".mlir" or ".mlirbc"; NULL, the default: as the options
 * say. For all later compilations of this context. */
qopt_code qopt_set_memory_format(qopt_context *context, const char *format);

/* The output in memory and its size in bytes; NULL and 0 where it went to a file. */
const void *qopt_result_bytes(const qopt_result *result, size_t *num_bytes);
/* The path of the output; NULL where it is in memory or there is none. */
const char *qopt_result_path(const qopt_result *result);
/* What --report writes, as JSON: docs/schemas/qopt-report.json. */
const char *qopt_result_report(const qopt_result *result);
/* The linear layers in the order of the graph. `layer` is filled; its `size` is set by the
 * caller. QOPT_ERROR_USAGE past the last. */
size_t qopt_result_num_layers(const qopt_result *result);
qopt_code qopt_result_layer(const qopt_result *result, size_t index, qopt_layer *layer);
/* NULL is allowed. */
void qopt_result_free(qopt_result *result);

/*===- What there is ---------------------------------------------------------===*/

/* What --list-schemes or --print-pipelines lists, as JSON (docs/schemas), or what
 * --dump-pass-pipeline prints: one of these among the options, with those that it takes.
 * `*text` lives until the next call of this function with this context. */
qopt_code qopt_describe(qopt_context *context, const char *const *options, size_t num_options, const char **text);

#ifdef __cplusplus
}
#endif

#endif /* QOPT_C_QOPT_H */
