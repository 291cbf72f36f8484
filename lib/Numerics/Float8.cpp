//===- Float8.cpp - float8 e4m3 -------------------------------------------===//
//
// Exact by construction: a normal number is rounded on its bits, one below 2^-6 as a
// multiple of 2^-9.
//
//===----------------------------------------------------------------------===//
#include "Vectorize.h"
#include "qopt/Numerics/SmallFloats.h"
#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>

using namespace qopt;

namespace {

constexpr float kMinNormal = 0x1p-6f;
constexpr int kBias = 7, kFloatBias = 127;

} // namespace

uint8_t qopt::toFloat8(float x) {
  if (std::isnan(x))
    return 0;
  uint32_t bits = std::bit_cast<uint32_t>(x), sign = bits >> 24 & 0x80;
  float magnitude = std::fmin(std::fabs(x), kLargestFloat8);
  if (magnitude < kMinNormal)
    return static_cast<uint8_t>(sign | static_cast<uint32_t>(roundEven(magnitude * 0x1p9f)));
  bits = std::bit_cast<uint32_t>(magnitude);
  bits += 0x7FFFF + (bits >> 20 & 1); // halves to even on three bits behind the point
  return static_cast<uint8_t>(sign | ((bits >> 20) - ((kFloatBias - kBias) << 3)));
}

float qopt::fromFloat8(uint8_t bits) {
  int exponent = bits >> 3 & 15, mantissa = bits & 7;
  float magnitude = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f
                                  : std::ldexp(static_cast<float>(8 + mantissa), exponent - kBias - 3);
  return bits & 0x80 ? -magnitude : magnitude;
}

static float absMaxOf(MatrixRef<const float> weights, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  float largest = 0;
  for (int64_t n = row; n < row + rows; ++n)
    for (int64_t k = column; k < column + columns; ++k)
      largest = std::fmax(largest, std::fmin(std::fabs(weights(n, k)), FLT_MAX));
  return largest;
}

Float8Codes qopt::quantizeFloat8(MatrixRef<const float> weights, Float8Scales kind) {
  constexpr int64_t kBlock = 128;
  bool areBlocks = kind == Float8Scales::Block;
  int64_t size = areBlocks ? std::min(kBlock, weights.cols) : weights.cols;
  int64_t step = areBlocks ? kBlock : kind == Float8Scales::Row ? 1 : weights.rows;
  Float8Codes result{size, Matrix<uint8_t>(weights.rows, weights.cols),
                     Matrix<float>(weights.rows, (weights.cols + size - 1) / size)};
  for (int64_t row = 0; row < weights.rows; row += step)
    for (int64_t g = 0; g < result.scales.cols; ++g) {
      int64_t rows = std::min(step, weights.rows - row), first = g * size, count = std::min(size, weights.cols - first);
      float largest = absMaxOf(weights, row, rows, first, count);
      // torch divides a number by a tensor as its reciprocal times the number.
      float factor = std::fmin(kLargestFloat8 * (1 / (largest == 0 ? 1.0f : largest)), FLT_MAX / 2);
      float scale = areBlocks ? 1 / factor : largest == 0 ? 1.0f : std::fmax(largest / kLargestFloat8, FLT_MIN);
      for (int64_t n = row; n < row + rows; ++n) {
        result.scales(n, g) = scale;
        for (int64_t k = first; k < first + count; ++k)
          result.codes(n, k) = toFloat8(areBlocks ? weights(n, k) * factor : weights(n, k) / scale);
      }
    }
  return result;
}

void qopt::dequantizeFloat8(const Float8Codes &codes, MatrixRef<float> out) {
  for (int64_t n = 0; n < codes.codes.rows; ++n)
    for (int64_t k = 0; k < codes.codes.cols; ++k)
      out(n, k) = codes.scales(n, k / codes.groupSize) * fromFloat8(codes.codes(n, k));
}
