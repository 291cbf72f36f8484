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
    if (self->threadId[0] == 0 &&
        __atomic_compare_exchange_n(&errors->code, &none, QRT_INDEX_OUT_OF_RANGE, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      errors->a = id;
      errors->b = columns;
    }
    return;
  }
  for (int32_t i = (int32_t)self->threadId[0]; i < columns; i += (int32_t)self->blockDim[0])
    logits[token * columns + i] = scale * table[id * columns + i];
}

EXPORT void nothing(QrtSimThread *self, void *const *args) {}

EXPORT void trap(QrtSimThread *self, void *const *args) { self->api->trap(self, QRT_SIM_EXPLICIT, 0, 0, 0); }
