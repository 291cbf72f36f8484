//===- ScaleRangeTest.cpp - Weights beyond the range of float16 -----------===//
//
// A power of two changes nothing of a layer but its scales, however large it is.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/ScaleRange.h"
#include "TestUtils.h"
#include "qopt/Support/Half.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

double sqnr(const Matrix<float> &weights, const Matrix<float> &quantized) {
  ErrorSums sums = quantizationError(weights, quantized);
  return 10 * std::log10(sums.signal / sums.noise);
}

Matrix<float> scaled(Matrix<float> weights, float factor) {
  for (float &value : weights.values)
    value *= factor;
  return weights;
}

TEST(ScaleRange, groupsKeepTheirRatioAtAnySize) {
  GroupOptions options{4, 32, true, ScaleGrid::Search, false, /*float16Scales=*/true};
  Matrix<float> weights = randomMatrix(16, 128, 1);
  auto ratioAt = [&](float factor) {
    Matrix<float> changed = scaled(weights, factor), back(16, 128);
    dequantizeGroups(quantizeGroups(changed, options, {}, {}), back);
    return sqnr(changed, back);
  };
  double expected = ratioAt(1);
  for (float factor : {0x1p-100f, 0x1p-30f, 0x1p-20f, 0x1p-12f, 0x1p12f, 0x1p20f, 0x1p100f})
    EXPECT_NEAR(ratioAt(factor), expected, .2) << factor;
}

TEST(ScaleRange, rowsKeepTheirRatioAtAnySize) {
  Matrix<float> weights = randomMatrix(8, 64, 2);
  std::vector<int64_t> columns = {3, 17};
  auto ratiosAt = [&](float factor) {
    Matrix<float> changed = scaled(weights, factor), all(8, 64), split(8, 64);
    dequantizeChannels(quantizeChannelsLlmInt8(changed), all);
    dequantizeSplit(quantizeChannelsLlmInt8(changed, columns), split);
    return std::pair(sqnr(changed, all), sqnr(changed, split));
  };
  auto [all, split] = ratiosAt(1);
  for (float factor : {0x1p-60f, 0x1p-30f, 0x1p-20f, 0x1p20f, 0x1p60f}) {
    EXPECT_NEAR(ratiosAt(factor).first, all, .1) << factor;
    EXPECT_NEAR(ratiosAt(factor).second, split, .1) << factor;
  }
}

/// All of the ways in which a matrix is stored agree, and one group that does not fit is enough.
TEST(ScaleRange, oneGroupDecides) {
  GroupOptions options{4, 16, true, ScaleGrid::Search, false, true};
  for (float odd : {0.0f, 1.0f, 1e-6f, 1e7f}) {
    Matrix<float> rows(5, 40, .01f); // [N, K], the last group is short
    for (int64_t k = 32; k < 40; ++k)
      rows(3, k) = -odd;
    bool fits = odd == 0 || odd == 1;
    EXPECT_EQ(withFittingScales(rows, options).float16Scales, fits) << odd;
    std::vector<float> columns;
    std::vector<uint16_t> brains;
    for (int64_t k = 0; k < 40; ++k)
      for (int64_t n = 0; n < 5; ++n) {
        columns.push_back(rows(n, k));
        brains.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(rows(n, k)) >> 16));
      }
    auto stored = [&](const void *data, ElementType type) {
      return fitFloat16Scales({static_cast<const char *>(data), type, 40, 5, false}, options);
    };
    EXPECT_EQ(stored(columns.data(), ElementType::F32), fits) << odd;
    EXPECT_EQ(stored(brains.data(), ElementType::BF16), fits) << odd;
  }
  std::vector<uint16_t> halves(40 * 5, floatToHalf(65504));
  EXPECT_TRUE(
      fitFloat16Scales({reinterpret_cast<const char *>(halves.data()), ElementType::F16, 40, 5, false}, options));
  halves[7] = 1; // with larger ones in its group
  EXPECT_TRUE(
      fitFloat16Scales({reinterpret_cast<const char *>(halves.data()), ElementType::F16, 40, 5, false}, options));
  std::fill_n(halves.begin(), 16 * 5, uint16_t(1));
  EXPECT_FALSE(
      fitFloat16Scales({reinterpret_cast<const char *>(halves.data()), ElementType::F16, 40, 5, false}, options));
}

} // namespace
