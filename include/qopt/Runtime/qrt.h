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
 * Functions that can fail return NULL or nonzero, and qrt_last_error() then says
 * why, in one line. Nothing is printed, nothing is thrown, the process never ends.
 * Different modules may be used from different threads at the same time; one
 * module from one thread at a time. Strings and pointers that are returned live as
 * long as what they were asked of.
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
#define QRT_API_VERSION 3
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

#ifdef __cplusplus
}
#endif

#endif /* QOPT_RUNTIME_QRT_H */
