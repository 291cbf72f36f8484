//===- Quantizers.h - Weights and activations to integers -----------------===//
//
// W is [N, K] (N outputs, K inputs) row-major, y = x W^T. `rne` is round half to
// even. Everything here is plain C++ on plain arrays and knows no IR. Results do
// not depend on the number of threads.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_QUANTIZERS_H
#define QOPT_NUMERICS_QUANTIZERS_H

#include "qopt/Numerics/Matrix.h"
#include "qopt/Support/Result.h"
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace qopt {

/// Runs body(begin, end) over disjoint ranges that cover [0, count). The caller
/// (a thread pool, or a plain loop) decides how many at a time.
using ParallelFor = std::function<void(int64_t count, const std::function<void(int64_t, int64_t)> &body)>;

/// Per-channel int8: codes [N, K], one scale per row, W ~ scale * code.
struct ChannelCodes {
  Matrix<int8_t> codes;
  std::vector<float> scales;
};

/// How many steps the largest magnitude of a row is, and how packages round to them.
enum class ChannelSteps {
  Steps127,     ///< quanto's qint8: code = rne(w / scale), in [-127, 127]
  Steps127Half, ///< torchao's: absmax / 127.5, at least 2^-23; code = rne(w * (1 / scale)), in [-128, 127]
  Steps128,     ///< EETQ's: absmax / 128; code = round(w / scale), halves away from zero, in [-128, 127]
};

/// scale = absmax / steps. A zero row gets codes 0 and, but for torchao's smallest scale,
/// scale 1. [optimum-quanto tensor/weights/qbytes.py, torchao quant_primitives.py, EETQ
/// cutlass_preprocessors.cc]
ChannelCodes quantizeChannels(MatrixRef<const float> weights, ChannelSteps steps = ChannelSteps::Steps127);

/// bitsandbytes' Linear8bitLt: weights pass through float16, absmax (SCB) per row,
/// code = rne(w * 127 / absmax); scales are absmax / 127. [bitsandbytes
/// functional.py int8_vectorwise_quant]
ChannelCodes quantizeChannelsLlmInt8(MatrixRef<const float> weights);

/// Codes without some columns, which are kept: codes there are 0 and do not count in the
/// scales.
struct SplitCodes {
  ChannelCodes rest;
  std::vector<int64_t> columns; ///< strictly rising
  Matrix<float> kept;           ///< [N, columns]
};

/// As quantizeChannelsLlmInt8, with `columns` kept as float16, or as they are if one of
/// them is beyond the range of float16.
SplitCodes quantizeChannelsLlmInt8(MatrixRef<const float> weights, std::span<const int64_t> columns);

/// Group-wise integers of `bits` bits: codes [N, K], stored unsigned in
/// [0, 2^bits - 1]; scales and zero points [N, G], G = ceil(K / groupSize).
/// W ~ scale * (code - zero); every scale is positive and finite.
struct GroupCodes {
  int bits = 4;
  int64_t groupSize = 0; ///< input features per group, 1..K
  Matrix<uint8_t> codes;
  Matrix<float> scales;
  Matrix<uint8_t> zeros;
};

/// How the scale of a group is chosen.
enum class ScaleGrid {
  MinMax, ///< GPTQ's find_params: symmetric 2*absmax/(2^b-1), or (max-min)/(2^b-1)
  Search, ///< both signs of absmax/2^(b-1), shrunk in 80 steps, least diag(H)-weighted squared error
};

struct GroupOptions {
  int bits = 4;
  int64_t groupSize = 128; ///< -1: one group per row; a short last group is allowed
  bool symmetric = true;
  ScaleGrid grid = ScaleGrid::Search;
  /// GPTQ's quirk for rows without negative values (xmin stays 0): only to reproduce the reference.
  bool referenceMinMax = false;
  /// Every scale is rounded to float16 before codes are chosen, so that storing it in
  /// float16 changes nothing.
  bool float16Scales = false;
};

/// Round to nearest. `importance` [K] weighs the error of the search (diag(H)); may be empty.
GroupCodes quantizeGroups(MatrixRef<const float> weights, const GroupOptions &options,
                          std::span<const double> importance, const ParallelFor &parallelFor);

/// The same with zero points that are numbers of their own.
struct AffineCodes {
  int bits = 4;
  int64_t groupSize = 0;
  Matrix<uint8_t> codes;
  Matrix<float> scales, zeros;
};

/// From the smallest weight of a group to its largest: scale = (max - min) / (2^b - 1),
/// code = rne((w - min) / scale), zero = -min / scale. Constant groups get codes 0 and a scale and
/// zero point that give the constant back. [torchao quant_primitives.py; quanto MaxOptimizer]
AffineCodes quantizeMinMax(MatrixRef<const float> weights, int bits, int64_t groupSize, const ParallelFor &parallelFor);

/// HQQ's zero points: at most 20 times the mean of what a shrinkage of the errors (lp norm .7, beta
/// 10) asks for, as long as the mean error of the whole matrix falls. [hqq core/optimize.py,
/// optimize_weights_proximal_legacy]
AffineCodes quantizeHqq(MatrixRef<const float> weights, int bits, int64_t groupSize, const ParallelFor &parallelFor);

void dequantizeAffine(const AffineCodes &codes, MatrixRef<float> out);

/// scale * (code - zero), into `out` [N, K].
void dequantizeGroups(const GroupCodes &codes, MatrixRef<float> out);
void dequantizeChannels(const ChannelCodes &codes, MatrixRef<float> out);
void dequantizeSplit(const SplitCodes &codes, MatrixRef<float> out);

/// What quantization changed: sums of w^2 and of (w - q)^2 in double.
struct ErrorSums {
  double signal = 0, noise = 0;
};
ErrorSums quantizationError(MatrixRef<const float> weights, MatrixRef<const float> quantized);

/// Two codes per byte along K, even k in the low nibble; K odd: last high nibble 0. [N, ceil(K/2)]
Matrix<uint8_t> packInt4(const Matrix<uint8_t> &codes);
Matrix<uint8_t> unpackInt4(const Matrix<uint8_t> &packed, int64_t cols);

} // namespace qopt

#endif // QOPT_NUMERICS_QUANTIZERS_H
