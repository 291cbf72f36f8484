/* The section "sim" of the test's module: its kernels, one call for each thread. */
#include "qopt/Runtime/Abi.h"
#include "qopt/Runtime/SimAbi.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT const int32_t qrt_abi_version = QRT_ABI_VERSION;

/* One block for each token; its threads share the columns. The id goes through
 * shared memory, so that the barrier and the bytes asked for are needed. */
EXPORT void look_up(QrtSimThread *self, void *const *args) {
  const float *table = *(const float **)args[0];
  const int64_t *ids = *(const int64_t **)args[1];
  float *logits = *(float **)args[2];
  QrtErrorRecord *errors = *(QrtErrorRecord **)args[3];
  int64_t tokens = *(int64_t *)args[4], token = self->blockId[0];
  int32_t columns = *(int32_t *)args[5];
  float scale = *(float *)args[6];
  if (token >= tokens)
    return;
  if (self->sharedBytes < 256)
    self->api->trap(self, QRT_SIM_SHARED_ACCESS, self->shared, 8, 8);
  if (self->threadId[0] == 0)
    *(int64_t *)self->shared = ids[token];
  self->api->barrier(self, "barrier #0");
  int64_t id = *(int64_t *)self->shared;
  if (id < 0 || id >= columns) {
    int64_t none = 0;
    if (self->threadId[0] == 0 && __atomic_compare_exchange_n(&errors->code, &none, QRT_INDEX_OUT_OF_RANGE, 0,
                                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      errors->a = id;
      errors->b = columns;
    }
    return;
  }
  for (int32_t i = (int32_t)self->threadId[0]; i < columns; i += (int32_t)self->blockDim[0])
    logits[token * columns + i] = scale * table[id * columns + i];
}

/* Texts that grow: keeps the tokens of each row, as floats, in a cache [rows][capacity]
 * and gives the row of the table that their sum says. One thread per row of a block. */
EXPORT void grow(QrtSimThread *self, void *const *args) {
  const float *table = *(const float **)args[0];
  const int64_t *ids = *(const int64_t **)args[1];
  int64_t past = **(const int64_t **)args[2];
  float *cache = *(float **)args[3], *logits = *(float **)args[4];
  QrtErrorRecord *errors = *(QrtErrorRecord **)args[5];
  int64_t tokens = *(int64_t *)args[6], capacity = *(int64_t *)args[7], row = self->threadId[0], sum = 0;
  int32_t columns = *(int32_t *)args[8];
  if (past + tokens > capacity || past == 9) { /* a fault, to be reported */
    errors->code = QRT_INDEX_OUT_OF_RANGE;
    errors->a = past;
    errors->b = capacity;
    return;
  }
  for (int64_t i = 0; i < tokens; ++i)
    cache[row * capacity + past + i] = (float)ids[row * tokens + i];
  for (int64_t i = 0; i < past + tokens; ++i)
    sum += (int64_t)cache[row * capacity + i];
  for (int32_t i = 0; i < columns; ++i)
    logits[row * columns + i] = table[sum % columns * columns + i];
}

EXPORT void nothing(QrtSimThread *self, void *const *args) {}

EXPORT void trap(QrtSimThread *self, void *const *args) { self->api->trap(self, QRT_SIM_EXPLICIT, 0, 0, 0); }
