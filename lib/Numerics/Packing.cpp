//===- Packing.cpp - Two 4-bit codes per byte -----------------------------===//
//
// The low nibble comes first; rows begin on a byte.
//
//===----------------------------------------------------------------------===//
#include "Vectorize.h"
#include "qopt/Numerics/Quantizers.h"
#include <cassert>

using namespace qopt;

QOPT_CPU_CLONES static void packPairs(const uint8_t *__restrict from, int64_t pairs, uint8_t *__restrict to) {
  for (int64_t i = 0; i < pairs; ++i)
    to[i] = uint8_t((from[2 * i] & 15) | (from[2 * i + 1] << 4));
}

Matrix<uint8_t> qopt::packInt4(const Matrix<uint8_t> &codes) {
  Matrix<uint8_t> packed(codes.rows, (codes.cols + 1) / 2);
  for (int64_t n = 0; n < codes.rows; ++n) {
    const uint8_t *from = codes.row(n);
    uint8_t *to = packed.row(n);
    packPairs(from, codes.cols / 2, to);
    if (codes.cols % 2)
      to[codes.cols / 2] = from[codes.cols - 1] & 15;
  }
  return packed;
}

Matrix<uint8_t> qopt::unpackInt4(const Matrix<uint8_t> &packed, int64_t cols) {
  assert(packed.cols == (cols + 1) / 2 && "packed width does not fit the number of columns");
  Matrix<uint8_t> codes(packed.rows, cols);
  for (int64_t n = 0; n < packed.rows; ++n) {
    const uint8_t *from = packed.row(n);
    uint8_t *to = codes.row(n);
    for (int64_t k = 0; k < cols; ++k)
      to[k] = k % 2 ? from[k / 2] >> 4 : from[k / 2] & 15;
  }
  return codes;
}
