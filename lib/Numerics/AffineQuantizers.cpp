//===- AffineQuantizers.cpp - Groups with zero points that are floats ------===//
//
// A group's range is all that its weights take, and needs not contain 0.
//
//===----------------------------------------------------------------------===//
#include "GroupScales.h"
#include "Parallel.h"
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

using namespace qopt;

namespace {

struct Range {
  float low, high;
};

Range rangeOf(const float *values, int64_t count) {
  auto [low, high] = std::minmax_element(values, values + count);
  return {*low, *high};
}

AffineCodes makeCodes(MatrixRef<const float> weights, int bits, int64_t groupSize) {
  groupSize = effectiveGroupSize(groupSize, weights.cols);
  int64_t groups = (weights.cols + groupSize - 1) / groupSize;
  return {bits, groupSize, Matrix<uint8_t>(weights.rows, weights.cols), Matrix<float>(weights.rows, groups),
          Matrix<float>(weights.rows, groups)};
}

template <typename Body>
void forEachGroup(const AffineCodes &codes, const ParallelFor &parallelFor, Body body) {
  runParallelByGroups(parallelFor, codes.codes.rows, codes.codes.cols, codes.groupSize, body);
}

} // namespace

AffineCodes qopt::quantizeMinMax(MatrixRef<const float> weights, int bits, int64_t groupSize,
                                 const ParallelFor &parallelFor) {
  AffineCodes result = makeCodes(weights, bits, groupSize);
  const auto maxCode = static_cast<float>((1 << bits) - 1);
  forEachGroup(result, parallelFor, [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    const float *values = weights.row(n) + first;
    auto [low, high] = rangeOf(values, count);
    float width = high - low, scale = low == high ? 1.0f : std::max(width / maxCode, FLT_MIN);
    for (int64_t k = 0; k < count; ++k)
      result.codes(n, first + k) = static_cast<uint8_t>(roundEven(clampTo((values[k] - low) / scale, 0.0f, maxCode)));
    result.scales(n, g) = scale;
    result.zeros(n, g) = -low / scale;
  });
  return result;
}

//===----------------------------------------------------------------------===//
// HQQ
//===----------------------------------------------------------------------===//

namespace {

constexpr int kHqqSteps = 20;
constexpr float kHqqNorm = 0.7f, kHqqBeta = 10.0f;
constexpr float kLeastRange = 1e-4f, kLargestFactor = 2e4f;

/// One group, of which `factor` is one over the scale.
struct HqqGroup {
  const float *values;
  int64_t count;
  float factor, maxCode;

  float code(float value, float zero) const { return roundEven(clampTo(value * factor + zero, 0.0f, maxCode)); }

  /// The zero point that the shrunken errors ask for; `errors` is raised by their magnitudes.
  float nextZero(float zero, double &errors) const {
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      float q = code(values[k], zero), error = values[k] - (q - zero) / factor, magnitude = std::fabs(error);
      float shrunken = std::max(magnitude - std::pow(magnitude, kHqqNorm - 1) / kHqqBeta, 0.0f);
      sum += q - (values[k] - std::copysign(shrunken, error)) * factor;
      errors += magnitude;
    }
    return static_cast<float>(sum / static_cast<double>(count));
  }
};

} // namespace

/// The power of two that the largest magnitude is near to, where the package's limits, which are
/// for weights around 1, would decide; else 0.
static int findExponent(MatrixRef<const float> weights) {
  float largest = 0;
  for (int64_t n = 0; n < weights.rows; ++n)
    for (int64_t k = 0; k < weights.cols; ++k)
      largest = std::fmax(largest, std::fabs(weights(n, k)));
  return largest == 0 || (largest >= 0x1p-10f && largest <= 0x1p10f) ? 0 : std::ilogb(largest);
}

AffineCodes qopt::quantizeHqq(MatrixRef<const float> weights, int bits, int64_t groupSize,
                              const ParallelFor &parallelFor) {
  if (int exponent = findExponent(weights)) {
    Matrix<float> scaled(weights.rows, weights.cols);
    for (int64_t n = 0; n < weights.rows; ++n)
      for (int64_t k = 0; k < weights.cols; ++k)
        scaled(n, k) = std::ldexp(weights(n, k), -exponent);
    AffineCodes codes = quantizeHqq(scaled, bits, groupSize, parallelFor);
    for (float &scale : codes.scales.values)
      scale = std::fmax(std::ldexp(scale, exponent), FLT_MIN);
    return codes;
  }
  AffineCodes result = makeCodes(weights, bits, groupSize);
  const auto maxCode = static_cast<float>((1 << bits) - 1);
  Matrix<float> factors(result.scales.rows, result.scales.cols);
  auto groupAt = [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    return HqqGroup{weights.row(n) + first, count, factors(n, g), maxCode};
  };
  forEachGroup(result, parallelFor, [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    auto [low, high] = rangeOf(weights.row(n) + first, count);
    // torch divides a number by a tensor as its reciprocal times the number.
    float range = high - low;
    float factor = std::min(range <= kLeastRange ? 1.0f : maxCode * (1 / range), kLargestFactor);
    factors(n, g) = factor;
    result.scales(n, g) = 1 / factor;
    float zero = -low * factor;
    result.zeros(n, g) = bits == 4 ? std::nearbyint(zero) : zero;
  });
  // One error decides for the whole matrix; its sum has an order that no thread changes.
  Matrix<double> errors(result.scales.rows, result.scales.cols);
  double best = std::numeric_limits<double>::infinity();
  for (int step = 0; step < kHqqSteps; ++step) {
    forEachGroup(result, parallelFor, [&](int64_t n, int64_t g, int64_t first, int64_t count) {
      errors(n, g) = 0;
      result.zeros(n, g) = groupAt(n, g, first, count).nextZero(result.zeros(n, g), errors(n, g));
    });
    double sum = 0;
    for (double error : errors.values)
      sum += error;
    if (!(sum < best))
      break;
    best = sum;
  }
  forEachGroup(result, parallelFor, [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    HqqGroup group = groupAt(n, g, first, count);
    for (int64_t k = 0; k < count; ++k)
      result.codes(n, first + k) = static_cast<uint8_t>(group.code(group.values[k], result.zeros(n, g)));
  });
  return result;
}

void qopt::dequantizeAffine(const AffineCodes &codes, MatrixRef<float> out) {
  forEachGroup(codes, {}, [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    for (int64_t k = first; k < first + count; ++k)
      out(n, k) = codes.scales(n, g) * (static_cast<float>(codes.codes(n, k)) - codes.zeros(n, g));
  });
}
