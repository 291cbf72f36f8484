//===- SmallFloats.h - Weights to float8, and to 16 numbers ---------------===//
//
// Codes that stand for numbers which are not evenly spaced: float8 e4m3, and tables of 16
// numbers with a scale per block of consecutive inputs of a row. Everything is computed in
// float32 in the order of the packages or standards that are named, so that codes and scales
// are theirs bit for bit.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_SMALLFLOATS_H
#define QOPT_NUMERICS_SMALLFLOATS_H

#include "qopt/Numerics/Quantizers.h"
#include <array>

namespace qopt {

//===----------------------------------------------------------------------===//
// float8
//===----------------------------------------------------------------------===//

/// The largest magnitude of e4m3 (f8E4M3FN: no infinities).
inline constexpr float kLargestFloat8 = 448.0f;

/// The bits of the nearest e4m3, halves to even, saturating; NaN becomes 0.
uint8_t toFloat8(float x);
float fromFloat8(uint8_t bits);

/// Which weights share a scale.
enum class Float8Scales { Row, Tensor, Block };

/// W ~ scale * e4m3(code): scales [N, G], G = ceil(K / groupSize).
struct Float8Codes {
  int64_t groupSize = 0; ///< inputs per scale; K but for blocks
  Matrix<uint8_t> codes;
  Matrix<float> scales;
};

/// Of a row or of all weights: scale = absmax / 448, code = e4m3(w / scale). [torchao
/// Float8WeightOnlyConfig; quanto qfloat8] Of blocks of 128 x 128: r = 448 / absmax, code = e4m3(w *
/// r), scale = 1 / r. [transformers FP8 fine-grained] Where all are zeros, the scale is 1.
Float8Codes quantizeFloat8(MatrixRef<const float> weights, Float8Scales scales);
void dequantizeFloat8(const Float8Codes &codes, MatrixRef<float> out);

//===----------------------------------------------------------------------===//
// Tables of 16 numbers
//===----------------------------------------------------------------------===//

using Table16 = std::array<float, 16>;

extern const Table16 kNf4;  ///< rising; QLoRA's quantiles of the normal distribution
extern const Table16 kFp4;  ///< bitsandbytes' FP4 by code, bit 3 being the sign
extern const Table16 kE2m1; ///< OCP's e2m1 by code, bit 3 being the sign

/// W ~ scale * table[code]: codes [N, K] in 0..15, scales [N, G], G = ceil(K / groupSize).
struct TableCodes {
  Table16 table;
  int64_t groupSize = 0; ///< inputs per scale, 1..K
  Matrix<uint8_t> codes;
  Matrix<float> scales;
};

/// bitsandbytes' quantize_4bit: scale = absmax, the nearest entry of w / absmax, the lower one on a
/// midpoint. Blocks begin anew with each row: where their size does not divide K, the last one of
/// a row is short, while those of the package run on. A block of zeros gets scale 1. With
/// `doubleQuant` the scales go through 8 bits: absmax less the mean of all, by blocks of 256 of them
/// to the nearest of 256 numbers (dynamic map). [bitsandbytes functional.py]
TableCodes quantizeNf4(MatrixRef<const float> weights, int64_t groupSize, bool doubleQuant,
                       const ParallelFor &parallelFor);
TableCodes quantizeFp4(MatrixRef<const float> weights, int64_t groupSize, bool doubleQuant,
                       const ParallelFor &parallelFor);

/// Which power of two scales a block, by its largest magnitude m; 6 is the largest e2m1.
enum class MxRule {
  Even,  ///< floor(log2 m) - 2 of m rounded to one bit behind the point
  Floor, ///< the same of m itself (OCP MX 1.0): m may saturate
  Ceil,  ///< ceil(log2 m) - 2
  Rceil, ///< ceil(log2(m / 6)): the smallest that does not saturate
};

/// OCP MXFP4: blocks of `groupSize` (32 in the standard), scale 2^e, e in [-127, 127], code =
/// e2m1(w / scale), halves to even, saturating.
TableCodes quantizeMxfp4(MatrixRef<const float> weights, int64_t groupSize, MxRule rule,
                         const ParallelFor &parallelFor);

/// NVFP4: t = absmax of W / (448 * 6), scales t * e4m3(clamp(absmax of the block / 6 / t, 2^-6, 448)),
/// codes e2m1(w * (1 / t / e4m3 scale)). [torchao NVFP4Tensor]
TableCodes quantizeNvfp4(MatrixRef<const float> weights, int64_t groupSize, const ParallelFor &parallelFor);

void dequantizeTable(const TableCodes &codes, MatrixRef<float> out);

} // namespace qopt

#endif // QOPT_NUMERICS_SMALLFLOATS_H
