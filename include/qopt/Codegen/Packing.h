//===- Packing.h - Weights in the layouts of kernels -----------------------===//
//
// What the kernel dialect says of packed weights (docs/Dialects/Kernel.md), as functions
// on plain arrays. N outputs, K inputs; blocks = ceil(N / 16), padding is zero.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_PACKING_H
#define QOPT_CODEGEN_PACKING_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <vector>

namespace qopt {

//===----------------------------------------------------------------------===//
// Some outputs
//===----------------------------------------------------------------------===//
//
// Blocks do not depend on each other, so weights can be packed in parts: of `n` outputs
// that begin with a block. `packed` is their part of the whole.

/// [K, N] elements of `bytes` bytes each, of which the columns [first, first + n) are
/// packed, to [blocks][K][16].
void packColumns(const char *weights, int64_t bytes, int64_t k, int64_t columns, int64_t first, int64_t n,
                 char *packed);
/// [N, M] elements of `bytes` bytes each to [blocks][M][16].
void packRows(const char *weights, int64_t bytes, int64_t n, int64_t m, char *packed);
void packInt8Columns(const int8_t *codes, int64_t n, int64_t k, int8_t *packed);
void packInt8Dot(const int8_t *codes, int64_t n, int64_t k, int8_t *packed);
void packDotCorrection(const int8_t *codes, int64_t n, int64_t k, int32_t *packed);

/// How `matmul_w4a16` has its inputs: groups are padded to steps of eight.
struct Int4Layout {
  /// `groupSize` <= 0: K.
  Int4Layout(int64_t k, int64_t groupSize);
  int64_t k, groupSize;
  int64_t groups, groupSteps; ///< steps of each group but the last
  int64_t steps;              ///< of all
};

/// Whether zero points are all 7 or 8, so that packed scales can have them as their signs.
bool areSigns(llvm::ArrayRef<char> zeros);

/// `zeros` [N, groups], if they are signs, else null.
void packInt4Codes(const Int4Layout &layout, const int8_t *codes, const int8_t *signs, int64_t n, int8_t *packed);
void packInt4Scales(const Int4Layout &layout, const char *scales, int64_t scaleBytes, const int8_t *signs, int64_t n,
                    char *packed);

//===----------------------------------------------------------------------===//
// All outputs
//===----------------------------------------------------------------------===//

/// [K, N] floats to [blocks][K][16].
std::vector<float> packFloatWeights(llvm::ArrayRef<float> weights, int64_t k, int64_t n);
/// The same for 16-bit floats, given as their bits.
std::vector<uint16_t> packHalfWeights(llvm::ArrayRef<uint16_t> weights, int64_t k, int64_t n);

/// [N, K] codes to [blocks][K][16].
std::vector<int8_t> packInt8Columns(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k);

/// [N, K] codes to [blocks][ceil(K / 4)][16][4]: four consecutive inputs of a column
/// share an int32 lane, as vpdpbusd wants them.
std::vector<int8_t> packInt8Dot(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k);

/// [N, M] floats (`bytes` bytes each: 2 or 4) of outlier columns to [blocks][M][16].
std::vector<int8_t> packOutlierWeights(llvm::ArrayRef<char> weights, int64_t bytes, int64_t n, int64_t m);

/// 128 * (sum over k of a column's codes), [blocks * 16]: what x + 128 instead of x
/// adds to a dot product.
std::vector<int32_t> packDotCorrection(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k);

/// 4-bit weights of `matmul_w4a16`. Groups are padded to multiples of eight inputs;
/// `codes` is [blocks][steps][16][4 bytes], where the byte b of a step holds inputs
/// b (low nibble) and b + 4 (high). Scales and zeros are [blocks][groups][16].
struct Int4Weights {
  std::vector<int8_t> codes;
  std::vector<int8_t> scales; ///< bytes of f16 or f32, as given
  std::vector<int8_t> zeros;  ///< empty: 8 everywhere
  int64_t steps = 0, groups = 0;
};

/// `codes` [N, ceil(K / 2)], `scales` [N, groups] of `scaleBytes` bytes each (2: f16, 4:
/// f32), `zeros` [N, groups] or empty. Zeros that are all 7 or 8 disappear: since
/// s (q - 7) = -s ((15 - q) - 8), a 7 becomes a negative scale. `groupSize` <= 0: K.
Int4Weights packInt4(llvm::ArrayRef<int8_t> codes, llvm::ArrayRef<char> scales, int64_t scaleBytes,
                     llvm::ArrayRef<int8_t> zeros, int64_t n, int64_t k, int64_t groupSize);

} // namespace qopt

#endif // QOPT_CODEGEN_PACKING_H
