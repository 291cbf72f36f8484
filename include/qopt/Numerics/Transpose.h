//===- Transpose.h - Columns of a stored matrix as rows -------------------===//
//
// Models keep W transposed and often in 16 bits, quantizers want rows of outputs in
// float32: both are changed on the way, tile by tile.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_TRANSPOSE_H
#define QOPT_NUMERICS_TRANSPOSE_H

#include "qopt/Numerics/Matrix.h"
#include "qopt/Support/ElementType.h"
#include <optional>

namespace qopt {

/// A dense matrix of F32, F16 or BF16, at any address.
struct StoredMatrix {
  const char *data = nullptr;
  ElementType type = ElementType::F32;
  int64_t rows = 0, cols = 0;
  bool isTransposed = false; ///< columns are stored one after the other, not rows
};

/// rows(r, k) = from(k, first + r) for all columns [first, first + rows.rows) of `from`.
void readColumns(const StoredMatrix &from, int64_t first, MatrixRef<float> rows);

/// The place of the first infinity or NaN.
std::optional<int64_t> findNonFinite(const float *values, int64_t count);

} // namespace qopt

#endif // QOPT_NUMERICS_TRANSPOSE_H
