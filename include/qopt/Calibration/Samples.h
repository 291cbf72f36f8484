//===- Samples.h - Token windows as a function's inputs -------------------===//
//
// Calibration text is tokens; a graph wants masks, positions and empty caches as well.
// What an argument is stands on it as its role.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_SAMPLES_H
#define QOPT_CALIBRATION_SAMPLES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/Result.h"

namespace qopt {

/// Some windows side by side, shorter ones filled up on the right with token 0,
/// which attention_mask hides.
struct SampleBatch {
  std::vector<qrt::Tensor> inputs; ///< one for each argument of the function
  std::vector<uint8_t> mask;       ///< [rows * length]; empty: every position counts
  int64_t positions = 0;           ///< rows * length
  int64_t tokens = 0;              ///< positions that count
};

/// Token ids [n, length] (any integers) of an .npy file; one window per row.
Result<std::vector<std::vector<int32_t>>> readTokenWindows(const std::string &path);

/// Batches of at most `batchSize` windows in order. Arguments are known by their role
/// (`qopt.role`): token ids, attention mask, positions, past keys and values (made
/// empty). Errors: no windows, an empty
/// window, one longer than the model's fixed length, an argument that no value can
/// be made for.
Result<std::vector<SampleBatch>> makeBatches(mlir::func::FuncOp function,
                                             const std::vector<std::vector<int32_t>> &windows, int64_t batchSize);

} // namespace qopt

#endif // QOPT_CALIBRATION_SAMPLES_H
