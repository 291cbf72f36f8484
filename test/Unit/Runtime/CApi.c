/* Compiled as C: qrt.h must not need C++. */
#include "qopt/Runtime/qrt.h"

/* Sums all logits after tokens 0 and 1; -1 on any failure. */
double runFromC(const char *path) {
  qrt_module *module = qrt_open(path, 1);
  if (!module)
    return -1;
  int64_t values[2] = {0, 1};
  QrtTensor ids = {values, QRT_I64, 2, {1, 2}};
  qrt_result *result = qrt_run(module, "forward", &ids, 1);
  const QrtTensor *logits = qrt_result_output(result, 0);
  double sum = logits ? 0 : -1;
  if (logits)
    for (int64_t i = 0; i < logits->dims[1] * logits->dims[2]; ++i)
      sum += ((const float *)logits->data)[i];
  qrt_result_free(result);
  qrt_close(module);
  return sum;
}
