//===- ChannelQuantizers.cpp - One int8 scale per output channel ----------===//
//
// The arithmetic is float32 in the order the two packages do it, because codes
// have to agree with theirs bit for bit.
//
//===----------------------------------------------------------------------===//
#include "Vectorize.h"
#include "qopt/Numerics/Quantizers.h"
#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>

using namespace qopt;

namespace {

constexpr float kMaxCode = 127.0f;

/// The largest magnitude of a row; NaNs do not count, infinities count as FLT_MAX.
QOPT_CPU_CLONES float absMax(const float *__restrict row, int64_t count) {
  constexpr int64_t kLanes = 16;
  float lanes[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      float a = std::fabs(row[k + lane]);
      lanes[lane] = a > lanes[lane] ? a : lanes[lane];
    }
  float result = 0;
  for (; k < count; ++k)
    result = std::fabs(row[k]) > result ? std::fabs(row[k]) : result;
  for (float lane : lanes)
    result = lane > result ? lane : result;
  return result < FLT_MAX ? result : FLT_MAX;
}

QOPT_CPU_CLONES void quantizeByDivision(const float *__restrict row, int64_t count, float scale,
                                        int8_t *__restrict codes) {
  for (int64_t k = 0; k < count; ++k)
    codes[k] = int8_t(roundEven(clampTo(row[k] / scale, -kMaxCode, kMaxCode)));
}

QOPT_CPU_CLONES void quantizeByProduct(const float *__restrict row, int64_t count, float factor,
                                       int8_t *__restrict codes) {
  for (int64_t k = 0; k < count; ++k)
    codes[k] = int8_t(roundEven(clampTo(row[k] * factor, -kMaxCode, kMaxCode)));
}

/// The same with the code -128.
QOPT_CPU_CLONES void quantizeToAll(const float *__restrict row, int64_t count, float factor, int8_t *__restrict codes) {
  for (int64_t k = 0; k < count; ++k)
    codes[k] = int8_t(roundEven(clampTo(row[k] * factor, -128.0f, kMaxCode)));
}

constexpr float kMaxHalf = 65504.0f, kMinNormalHalf = 6.103515625e-05f;

/// Whether float16 has its full precision for a row whose largest magnitude this is.
bool fitsFloat16(float largest) { return largest == 0 || (largest >= kMinNormalHalf && largest <= kMaxHalf); }

/// The float16 nearest to x (half to even), as a float. Beyond its range the
/// largest float16 instead of infinity.
inline float throughFloat16(float x) {
  // float16's subnormals are 2^-24 apart, as floats in [.5, 1) are.
  float subnormal = (x + 0.75f) - 0.75f;
  uint32_t bits = std::bit_cast<uint32_t>(x);
  bits = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFFu;
  float normal = clampTo(std::bit_cast<float>(bits), -kMaxHalf, kMaxHalf);
  return std::fabs(x) < kMinNormalHalf ? subnormal : normal;
}

QOPT_CPU_CLONES void roundToFloat16(const float *__restrict row, int64_t count, float *__restrict half) {
  for (int64_t k = 0; k < count; ++k)
    half[k] = throughFloat16(row[k]);
}

QOPT_CPU_CLONES void decode(const int8_t *__restrict codes, int64_t count, float scale, float *__restrict values) {
  for (int64_t k = 0; k < count; ++k)
    values[k] = scale * float(codes[k]);
}

} // namespace

static ChannelCodes quantizeTo127(MatrixRef<const float> weights) {
  ChannelCodes result{Matrix<int8_t>(weights.rows, weights.cols), std::vector<float>(weights.rows)};
  for (int64_t n = 0; n < weights.rows; ++n) {
    const float *row = weights.row(n);
    float largest = absMax(row, weights.cols);
    // A denormal scale would be flushed to 0 by some runtimes, and its
    // reciprocal is infinite: such a row is as good as zero.
    float scale = largest == 0 ? 1.0f : std::fmax(largest / kMaxCode, FLT_MIN);
    quantizeByDivision(row, weights.cols, scale, result.codes.row(n));
    result.scales[n] = scale;
  }
  return result;
}

ChannelCodes qopt::quantizeChannels(MatrixRef<const float> weights, ChannelSteps steps) {
  if (steps == ChannelSteps::Steps127)
    return quantizeTo127(weights);
  ChannelCodes result{Matrix<int8_t>(weights.rows, weights.cols), std::vector<float>(weights.rows)};
  for (int64_t n = 0; n < weights.rows; ++n) {
    const float *row = weights.row(n);
    float largest = absMax(row, weights.cols);
    int8_t *codes = result.codes.row(n);
    if (steps == ChannelSteps::Steps127Half) {
      result.scales[n] = std::fmax(largest / 127.5f, 0x1p-23f);
      quantizeToAll(row, weights.cols, 1.0f / result.scales[n], codes);
      continue;
    }
    result.scales[n] = largest == 0 ? 1.0f : std::fmax(largest * (1.0f / 128), FLT_MIN);
    for (int64_t k = 0; k < weights.cols; ++k)
      codes[k] = int8_t(clampTo(std::round(row[k] / result.scales[n]), -128.0f, 127.0f));
  }
  return result;
}

/// `left`: columns that are taken for zeros. A row that float16 cannot hold passes through it
/// times a power of two, which its scale takes back.
static ChannelCodes quantizeThroughFloat16(MatrixRef<const float> weights, std::span<const int64_t> left) {
  ChannelCodes result{Matrix<int8_t>(weights.rows, weights.cols), std::vector<float>(weights.rows)};
  std::vector<float> own(weights.cols), half(weights.cols);
  for (int64_t n = 0; n < weights.rows; ++n) {
    std::copy_n(weights.row(n), weights.cols, own.begin());
    for (int64_t column : left)
      own[column] = 0;
    float largest = absMax(own.data(), weights.cols);
    int exponent = fitsFloat16(largest) ? 0 : std::ilogb(largest);
    for (int64_t k = 0; exponent != 0 && k < weights.cols; ++k)
      own[k] = std::ldexp(own[k], -exponent);
    roundToFloat16(own.data(), weights.cols, half.data());
    largest = absMax(half.data(), weights.cols);
    if (largest == 0)
      largest = kMaxCode;
    // torch evaluates 127 / absmax as reciprocal times 127.
    float factor = kMaxCode * (1.0f / largest);
    quantizeByProduct(half.data(), weights.cols, factor, result.codes.row(n));
    result.scales[n] = clampTo(std::ldexp(largest / kMaxCode, exponent), FLT_MIN, FLT_MAX);
  }
  return result;
}

ChannelCodes qopt::quantizeChannelsLlmInt8(MatrixRef<const float> weights) {
  return quantizeThroughFloat16(weights, {});
}

SplitCodes qopt::quantizeChannelsLlmInt8(MatrixRef<const float> weights, std::span<const int64_t> columns) {
  SplitCodes result{quantizeThroughFloat16(weights, columns),
                    {columns.begin(), columns.end()},
                    Matrix<float>(weights.rows, columns.size())};
  bool fits = true;
  for (int64_t n = 0; n < weights.rows; ++n) {
    fits &= fitsFloat16(std::fmin(absMax(weights.row(n), weights.cols), kMaxHalf));
    for (size_t i = 0; i < columns.size(); ++i) {
      result.kept(n, i) = weights(n, columns[i]);
      fits &= std::fabs(result.kept(n, i)) <= kMaxHalf;
    }
  }
  if (fits)
    for (float &value : result.kept.values)
      value = throughFloat16(value);
  return result;
}

void qopt::dequantizeChannels(const ChannelCodes &codes, MatrixRef<float> out) {
  for (int64_t n = 0; n < codes.codes.rows; ++n)
    decode(codes.codes.row(n), codes.codes.cols, codes.scales[n], out.row(n));
}

void qopt::dequantizeSplit(const SplitCodes &codes, MatrixRef<float> out) {
  dequantizeChannels(codes.rest, out);
  for (int64_t n = 0; n < codes.kept.rows; ++n)
    for (int64_t i = 0; i < codes.kept.cols; ++i)
      out(n, codes.columns[i]) = codes.kept(n, i);
}
