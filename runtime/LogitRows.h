//===- LogitRows.h - The logits of a batch, row by row --------------------===//
//
// A window of 2048 tokens of a vocabulary of 256,000 has 2 GiB of logits in float32. They
// stay in the type that the model gives, and those of a model that others are compared with
// go to a file while the other one runs: memory holds one window of one model.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_LOGITROWS_H
#define QOPT_LIB_RUNTIME_LOGITROWS_H

#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/UnlinkedFile.h"
#include <optional>

namespace qrt {

class LogitRows {
public:
  /// `logits`: f32, f16 or bf16, [..., vocabulary].
  explicit LogitRows(Tensor logits);

  /// Moves them to a temporary file if they are large.
  Status spill();
  /// Row `i` in float32: where it lies, or in `buffer`. Several threads may ask.
  Result<const float *> row(int64_t i, std::vector<float> &buffer) const;

private:
  int64_t rowBytes() const { return vocabulary * qopt::elementBytes(type); }

  ElementType type;
  int64_t vocabulary;
  Tensor logits; ///< none where they are in the file
  std::optional<qopt::UnlinkedFile> file;
};

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_LOGITROWS_H
