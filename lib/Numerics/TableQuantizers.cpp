//===- TableQuantizers.cpp - Weights to 16 numbers -------------------------===//
//
// A block of consecutive inputs of a row has a scale, and each weight the nearest of 16
// numbers. The families differ in these numbers, in the scale, and in what happens between
// two of them.
//
//===----------------------------------------------------------------------===//
#include "GroupScales.h"
#include "Parallel.h"
#include "qopt/Numerics/SmallFloats.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

using namespace qopt;

const Table16 qopt::kNf4 = {-1.0f,
                            -0.6961928009986877f,
                            -0.5250730514526367f,
                            -0.39491748809814453f,
                            -0.28444138169288635f,
                            -0.18477343022823334f,
                            -0.09105003625154495f,
                            0.0f,
                            0.07958029955625534f,
                            0.16093020141124725f,
                            0.24611230194568634f,
                            0.33791524171829224f,
                            0.44070982933044434f,
                            0.5626170039176941f,
                            0.7229568362236023f,
                            1.0f};
const Table16 qopt::kFp4 = {0.0f, 0.0052083333f,  0.6666667f,  1.0f,  0.33333334f,  0.5f,  0.16666667f,  0.25f,
                            0.0f, -0.0052083333f, -0.6666667f, -1.0f, -0.33333334f, -0.5f, -0.16666667f, -0.25f};
const Table16 qopt::kE2m1 = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                             -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

namespace {

constexpr float kLargestE2m1 = 6.0f;

TableCodes makeCodes(MatrixRef<const float> weights, const Table16 &table, int64_t groupSize) {
  groupSize = effectiveGroupSize(groupSize, weights.cols);
  return {table, groupSize, Matrix<uint8_t>(weights.rows, weights.cols),
          Matrix<float>(weights.rows, (weights.cols + groupSize - 1) / groupSize)};
}

/// body(row, block, first column, columns, largest magnitude) for every block, rows shared out to
/// threads.
template <typename Body>
void forEachBlock(MatrixRef<const float> weights, const TableCodes &codes, const ParallelFor &parallelFor, Body body) {
  auto measure = [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    float largest = 0;
    for (int64_t k = first; k < first + count; ++k)
      largest = std::max(largest, std::fabs(weights(n, k)));
    body(n, g, first, count, largest);
  };
  runParallelByGroups(parallelFor, weights.rows, weights.cols, codes.groupSize, measure);
}

//===----------------------------------------------------------------------===//
// bitsandbytes
//===----------------------------------------------------------------------===//

/// The codes of a table in rising order of what they stand for, and the midpoints.
struct SortedTable {
  std::vector<uint8_t> codes;
  std::vector<float> midpoints;

  explicit SortedTable(std::span<const float> table) : codes(table.size()) {
    std::iota(codes.begin(), codes.end(), 0);
    std::stable_sort(codes.begin(), codes.end(), [&](uint8_t a, uint8_t b) { return table[a] < table[b]; });
    for (size_t i = 0; i + 1 < codes.size(); ++i)
      midpoints.push_back((table[codes[i]] + table[codes[i + 1]]) / 2);
  }

  /// The nearest code, the lower one on a midpoint.
  uint8_t nearest(float value) const {
    return codes[std::lower_bound(midpoints.begin(), midpoints.end(), value) - midpoints.begin()];
  }
};

/// The 256 numbers of the dynamic map: means of neighbours among 2^i + 1 numbers from .1 to 1, times
/// 10^(i - 6), of both signs, for i = 0 .. 6; 0 and 1.
std::vector<float> dynamicMap() {
  std::vector<float> map{0.0f, 1.0f};
  for (int i = 0; i < 7; ++i) {
    int count = 1 << i;
    auto at = [&](int j) { return static_cast<float>(0.1 + 0.9 * j / count); };
    for (int j = 0; j < count; ++j)
      for (float sign : {1.0f, -1.0f})
        map.push_back(sign * ((at(j) + at(j + 1)) / 2.0f * static_cast<float>(std::pow(10.0, i - 6))));
  }
  std::ranges::sort(map);
  return map;
}

/// Scales through eight bits.
void quantizeTwice(Matrix<float> &scales) {
  constexpr int64_t kBlock = 256;
  static const std::vector<float> map = dynamicMap();
  static const SortedTable sorted(map);
  auto count = static_cast<int64_t>(scales.values.size());
  double sum = 0;
  for (float scale : scales.values)
    sum += scale;
  const auto offset = static_cast<float>(sum / static_cast<double>(count));
  for (int64_t first = 0; first < count; first += kBlock) {
    std::span<float> block(scales.values.data() + first, std::min(kBlock, count - first));
    float largest = 0;
    for (float scale : block)
      largest = std::max(largest, std::fabs(scale - offset));
    for (float &scale : block) {
      float value = map[sorted.nearest((scale - offset) * (1 / std::max(largest, FLT_MIN)))] * largest + offset;
      scale = std::max(value, FLT_MIN);
    }
  }
}

TableCodes quantizeBlocks(MatrixRef<const float> weights, const Table16 &table, int64_t groupSize, bool doubleQuant,
                          const ParallelFor &parallelFor) {
  TableCodes result = makeCodes(weights, table, groupSize);
  SortedTable sorted(table);
  forEachBlock(weights, result, parallelFor, [&](int64_t n, int64_t g, int64_t first, int64_t count, float largest) {
    float factor = 1 / std::max(largest, 1e-38f);
    for (int64_t k = first; k < first + count; ++k)
      result.codes(n, k) = sorted.nearest(clampTo(weights(n, k) * factor, -1.0f, 1.0f));
    result.scales(n, g) = largest;
  });
  if (doubleQuant)
    quantizeTwice(result.scales);
  for (float &scale : result.scales.values)
    scale = scale == 0 ? 1.0f : scale;
  return result;
}

//===----------------------------------------------------------------------===//
// e2m1
//===----------------------------------------------------------------------===//

/// The nearest e2m1, halves to the even code, saturating.
uint8_t toE2m1(float x) {
  float a = std::fabs(x);
  auto code = static_cast<uint8_t>((a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) + (a >= 3.5f) +
                                   (a > 5.0f));
  return std::signbit(x) ? code | 8 : code;
}

/// The e of the smallest 2^e that is at least x > 0.
int ceilLog2(float x) {
  int exponent;
  float fraction = std::frexp(x, &exponent); // in [.5, 1)
  return fraction == 0.5f ? exponent - 1 : exponent;
}

int mxExponent(float largest, MxRule rule) {
  constexpr int kE2m1Exponent = 2; // of its largest number
  switch (rule) {
  case MxRule::Even:
    return std::ilogb(std::bit_cast<float>(std::bit_cast<uint32_t>(largest) + (1u << 21))) - kE2m1Exponent;
  case MxRule::Floor:
    return std::ilogb(largest) - kE2m1Exponent;
  case MxRule::Ceil:
    return ceilLog2(largest) - kE2m1Exponent;
  case MxRule::Rceil:
    return ceilLog2(largest / kLargestE2m1);
  }
  return 0;
}

} // namespace

TableCodes qopt::quantizeNf4(MatrixRef<const float> weights, int64_t groupSize, bool doubleQuant,
                             const ParallelFor &parallelFor) {
  return quantizeBlocks(weights, kNf4, groupSize, doubleQuant, parallelFor);
}

TableCodes qopt::quantizeFp4(MatrixRef<const float> weights, int64_t groupSize, bool doubleQuant,
                             const ParallelFor &parallelFor) {
  return quantizeBlocks(weights, kFp4, groupSize, doubleQuant, parallelFor);
}

TableCodes qopt::quantizeMxfp4(MatrixRef<const float> weights, int64_t groupSize, MxRule rule,
                               const ParallelFor &parallelFor) {
  TableCodes result = makeCodes(weights, kE2m1, groupSize);
  forEachBlock(weights, result, parallelFor, [&](int64_t n, int64_t g, int64_t first, int64_t count, float largest) {
    // A scale of 2^-127 is no normal float32, which some processors take for 0.
    float scale = largest == 0 ? 1.0f : std::ldexp(1.0f, std::clamp(mxExponent(largest, rule), -126, 127));
    for (int64_t k = first; k < first + count; ++k)
      result.codes(n, k) = toE2m1(weights(n, k) / scale);
    result.scales(n, g) = scale;
  });
  return result;
}

TableCodes qopt::quantizeNvfp4(MatrixRef<const float> weights, int64_t groupSize, const ParallelFor &parallelFor) {
  TableCodes result = makeCodes(weights, kE2m1, groupSize);
  float largestOfAll = 0;
  for (int64_t n = 0; n < weights.rows; ++n)
    for (int64_t k = 0; k < weights.cols; ++k)
      largestOfAll = std::max(largestOfAll, std::fabs(weights(n, k)));
  const float unit = largestOfAll == 0 ? 1.0f : std::max(largestOfAll / (kLargestFloat8 * kLargestE2m1), FLT_MIN);
  forEachBlock(weights, result, parallelFor, [&](int64_t n, int64_t g, int64_t first, int64_t count, float largest) {
    float scale = fromFloat8(toFloat8(clampTo(largest / kLargestE2m1 / unit, 0x1p-6f, kLargestFloat8)));
    float factor = 1 / unit / scale;
    for (int64_t k = first; k < first + count; ++k)
      result.codes(n, k) = toE2m1(weights(n, k) * factor);
    result.scales(n, g) = std::max(unit * scale, FLT_MIN);
  });
  return result;
}

void qopt::dequantizeTable(const TableCodes &codes, MatrixRef<float> out) {
  for (int64_t n = 0; n < codes.codes.rows; ++n)
    for (int64_t k = 0; k < codes.codes.cols; ++k)
      out(n, k) = codes.scales(n, k / codes.groupSize) * codes.table[codes.codes(n, k)];
}
