/* The section "host:cuda" of the test's module: logits[b, s] = table[ids[b, s]],
 * computed by a kernel, and entry points that go wrong. The vocabulary is VOCABULARY. */
#include "qopt/Runtime/Abi.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT const int32_t qrt_abi_version = QRT_ABI_VERSION;

enum { LOOK_UP, NOTHING, TRAP, GROW };

/* table, ids, logits, errors; tokens (i64), columns (i32), scale (f32) */
static void lookUp(const QrtApi *api, QrtContext *context, const void *table, const QrtTensor *ids, void *logits) {
  const void *data = ids->data;
  int64_t tokens = ids->dims[0] * ids->dims[1];
  int32_t columns = VOCABULARY;
  float scale = 1;
  void *errors = api->errors(context);
  void *args[] = {&table, &data, &logits, &errors, &tokens, &columns, &scale};
  QrtLaunch launch = {LOOK_UP, {(int32_t)tokens, 1, 1}, {64, 1, 1}, 256, 7};
  api->launch(context, &launch, args);
}

EXPORT int64_t forward(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                       QrtTensor *outputs) {
  int64_t batch = inputs[0].dims[0], length = inputs[0].dims[1];
  void *arena = api->allocate(context, 1000000);
  void *logits = api->allocate(context, batch * length * VOCABULARY * 4);
  if (!arena || !logits)
    return QRT_OUT_OF_MEMORY;
  lookUp(api, context, parameters[0], &inputs[0], logits);
  api->release(context, arena);
  outputs[0] = (QrtTensor){logits, QRT_F32, 3, {batch, length, VOCABULARY}};
  return QRT_OK;
}

/* input_ids, past_length, one cache [batch, 1, capacity, 1]. */
EXPORT int64_t prefill(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                       QrtTensor *outputs) {
  int64_t batch = inputs[0].dims[0], tokens = inputs[0].dims[1], capacity = inputs[2].dims[2];
  void *arena = api->allocate(context, 1000000);
  void *logits = api->allocate(context, batch * VOCABULARY * 4);
  if (!arena || !logits)
    return QRT_OUT_OF_MEMORY;
  const void *table = parameters[0], *ids = inputs[0].data, *past = inputs[1].data;
  void *cache = inputs[2].data, *errors = api->errors(context);
  int32_t columns = VOCABULARY;
  void *args[] = {&table, &ids, &past, &cache, &logits, &errors, &tokens, &capacity, &columns};
  QrtLaunch nothing = {NOTHING, {2, 1, 1}, {32, 1, 1}, 0, 0};
  QrtLaunch launch = {GROW, {1, 1, 1}, {(int32_t)batch, 1, 1}, 0, 9};
  api->launch(context, &nothing, 0);
  api->launch(context, &launch, args);
  api->release(context, arena);
  outputs[0] = (QrtTensor){logits, QRT_F32, 3, {batch, 1, VOCABULARY}};
  return QRT_OK;
}

EXPORT int64_t decode(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                      QrtTensor *outputs) {
  return prefill(api, context, parameters, inputs, outputs);
}

/* f32 [n] to f32 [n] that launches `kernel` with `blocks`, and returns what the
 * device happens to hold. */
static int64_t launchOne(const QrtApi *api, QrtContext *context, const QrtTensor *inputs, QrtTensor *outputs,
                         int64_t kernel, int32_t blocks) {
  outputs[0] = inputs[0];
  outputs[0].data = api->allocate(context, inputs[0].dims[0] * 4);
  QrtLaunch launch = {kernel, {blocks, 1, 1}, {32, 1, 1}, 0, 0};
  api->launch(context, &launch, 0);
  return QRT_OK;
}

#define ENTRY(name, kernel, blocks)                                                                                    \
  EXPORT int64_t name(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,  \
                      QrtTensor *outputs) {                                                                            \
    return launchOne(api, context, inputs, outputs, kernel, blocks);                                                   \
  }

ENTRY(no_such_kernel, 3, 1)
ENTRY(too_many_blocks, NOTHING, -1)
ENTRY(empty_grid, TRAP, 0)
ENTRY(trap, TRAP, 1)

/* Two kernels: which of them failed is only known where each is waited for. */
EXPORT int64_t two_kernels(const QrtApi *api, QrtContext *context, const void *const *parameters,
                           const QrtTensor *inputs, QrtTensor *outputs) {
  launchOne(api, context, inputs, outputs, TRAP, 1);
  return launchOne(api, context, inputs, outputs, NOTHING, 1);
}

/* Describes its input as a row of `rowBytes`, whatever the device can do. */
static int64_t describe(const QrtApi *api, QrtContext *context, const QrtTensor *inputs, QrtTensor *outputs,
                        int64_t rowBytes) {
  _Alignas(64) char map[QRT_TENSOR_MAP_BYTES];
  api->tensorMap(context, map, inputs[0].data, 1, rowBytes, 8);
  return launchOne(api, context, inputs, outputs, NOTHING, 1);
}
EXPORT int64_t tensor(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                      QrtTensor *outputs) {
  return describe(api, context, inputs, outputs, 16);
}
EXPORT int64_t odd_tensor(const QrtApi *api, QrtContext *context, const void *const *parameters,
                          const QrtTensor *inputs, QrtTensor *outputs) {
  return describe(api, context, inputs, outputs, 12);
}

/* Launches one kernel where the capability is 90, else another. */
EXPORT int64_t by_capability(const QrtApi *api, QrtContext *context, const void *const *parameters,
                             const QrtTensor *inputs, QrtTensor *outputs) {
  return launchOne(api, context, inputs, outputs, api->capability(context) == 90 ? TRAP : NOTHING, 1);
}

/* Asks for 2^40 bytes. */
EXPORT int64_t greedy(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                      QrtTensor *outputs) {
  return api->allocate(context, (int64_t)1 << 40) ? QRT_OK : QRT_OUT_OF_MEMORY;
}

/* Returns its input. */
EXPORT int64_t alias(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                     QrtTensor *outputs) {
  outputs[0] = inputs[0];
  return QRT_OK;
}
