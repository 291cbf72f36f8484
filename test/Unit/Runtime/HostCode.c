/* Host code for the tests: a language model that is one table, and entry points
 * that misbehave in every way the runtime promises to notice. */
#include "qopt/Runtime/Abi.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT const int32_t qrt_abi_version = QRT_ABI_VERSION;

typedef struct {
  const QrtApi *api;
  QrtContext *context;
  const float *table;
  const int64_t *ids;
  float *logits;
  int64_t vocabulary;
} LookUp;

static void lookUp(void *opaque, int64_t begin, int64_t end) {
  const LookUp *args = opaque;
  for (int64_t i = begin; i < end; ++i) {
    int64_t id = args->ids[i];
    if (id < 0 || id >= args->vocabulary) {
      args->api->fail(args->context, QRT_INDEX_OUT_OF_RANGE, id, args->vocabulary);
      continue;
    }
    for (int64_t v = 0; v < args->vocabulary; ++v)
      args->logits[i * args->vocabulary + v] = args->table[id * args->vocabulary + v];
  }
}

/* logits[b, s] = table[input_ids[b, s]]; the vocabulary is the second parameter. */
EXPORT int64_t forward(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                       QrtTensor *outputs) {
  int64_t vocabulary = *(const int64_t *)parameters[1];
  int64_t batch = inputs[0].dims[0], length = inputs[0].dims[1];
  float *logits = api->allocate(context, batch * length * vocabulary * 4);
  if (!logits)
    return QRT_OUT_OF_MEMORY;
  LookUp args = {api, context, parameters[0], inputs[0].data, logits, vocabulary};
  api->parallelFor(context, lookUp, &args, batch * length, 8);
  outputs[0] = (QrtTensor){logits, QRT_F32, 3, {batch, length, vocabulary}};
  return QRT_OK;
}

/* Returns its input, in memory that is not its own. */
EXPORT int64_t alias(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                     QrtTensor *outputs) {
  outputs[0] = inputs[0];
  return QRT_OK;
}

/* Says f32 [n] with memory for n bytes only. */
EXPORT int64_t too_small(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                         QrtTensor *outputs) {
  int64_t count = inputs[0].dims[0];
  outputs[0] = (QrtTensor){api->allocate(context, count), QRT_F32, 1, {count}};
  return QRT_OK;
}

/* Declared f32 [n], gives f32 [n + 1]. */
EXPORT int64_t other_shape(const QrtApi *api, QrtContext *context, const void *const *parameters,
                           const QrtTensor *inputs, QrtTensor *outputs) {
  int64_t count = inputs[0].dims[0] + 1;
  outputs[0] = (QrtTensor){api->allocate(context, count * 4), QRT_F32, 1, {count}};
  return QRT_OK;
}

EXPORT int64_t no_output(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                         QrtTensor *outputs) {
  return QRT_OK;
}

/* Asks for 2^60 bytes; leaves 1000 bytes behind. */
EXPORT int64_t greedy(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                      QrtTensor *outputs) {
  api->allocate(context, 1000);
  return api->allocate(context, (int64_t)1 << 60) ? QRT_OK : QRT_OUT_OF_MEMORY;
}

/* Records two errors: the first counts. */
EXPORT int64_t mismatch(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                        QrtTensor *outputs) {
  api->fail(context, QRT_SHAPE_MISMATCH, 3, 4);
  api->fail(context, QRT_INDEX_OUT_OF_RANGE, 5, 6);
  return QRT_INDEX_OUT_OF_RANGE;
}

/* The same for the last token of each row, with a cache of one float16 per token: 1, or for token 3 what a
 * compiled model writes for all that is beyond float16. */
EXPORT int64_t prefill(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                       QrtTensor *outputs) {
  int64_t vocabulary = *(const int64_t *)parameters[1], past = *(const int64_t *)inputs[1].data;
  int64_t batch = inputs[0].dims[0], length = inputs[0].dims[1], capacity = inputs[2].dims[2];
  const int64_t *ids = inputs[0].data;
  uint16_t *cache = inputs[2].data;
  float *logits = api->allocate(context, batch * vocabulary * 4);
  if (!logits)
    return QRT_OUT_OF_MEMORY;
  for (int64_t row = 0; row < batch; ++row) {
    for (int64_t i = 0; i < length; ++i)
      cache[row * capacity + past + i] = ids[row * length + i] == 3 ? 0x7bff : 0x3c00;
    const float *last = (const float *)parameters[0] + ids[(row + 1) * length - 1] * vocabulary;
    for (int64_t v = 0; v < vocabulary; ++v)
      logits[row * vocabulary + v] = last[v];
  }
  outputs[0] = (QrtTensor){logits, QRT_F32, 3, {batch, 1, vocabulary}};
  return QRT_OK;
}

EXPORT int64_t decode(const QrtApi *api, QrtContext *context, const void *const *parameters, const QrtTensor *inputs,
                      QrtTensor *outputs) {
  return prefill(api, context, parameters, inputs, outputs);
}
