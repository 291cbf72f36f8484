//===- GroupQuantizersTest.cpp - Group-wise scales, codes and packing -----===//
#include "TestUtils.h"
#include <cfloat>
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::test;

namespace {

GroupOptions minMax(int bits, int64_t groupSize, bool symmetric) {
  return {bits, groupSize, symmetric, ScaleGrid::MinMax, false};
}

/// Weighted squared error of one group for a scale and a zero point.
double groupError(const Matrix<float> &w, int64_t n, int64_t first, int64_t last, double scale, int zero, int maxCode,
                  const std::vector<double> &importance) {
  double sum = 0;
  for (int64_t k = first; k < last; ++k) {
    double code = std::clamp(std::nearbyint(w(n, k) / scale), double(-zero), double(maxCode - zero));
    sum += importance[k] * (w(n, k) - scale * code) * (w(n, k) - scale * code);
  }
  return sum;
}

TEST(GroupQuantizers, minMaxErrorIsAtMostHalfAStep) {
  for (int bits : {2, 3, 4, 8})
    for (int64_t groupSize : {-1, 1, 7, 32, 64, 1000})
      for (bool symmetric : {true, false}) {
        Matrix<float> weights = randomMatrix(5, 172, unsigned(bits));
        GroupCodes result = quantizeGroups(weights, minMax(bits, groupSize, symmetric), {}, {});
        Matrix<float> back(5, 172);
        dequantizeGroups(result, back);
        // The zero point of an asymmetric group is rounded, which may cost another half step at its ends.
        float bound = symmetric ? 0.5f : 1.0f;
        for (int64_t n = 0; n < 5; ++n)
          for (int64_t k = 0; k < 172; ++k)
            EXPECT_LE(std::fabs(back(n, k) - weights(n, k)), result.scales(n, k / result.groupSize) * bound * 1.0001f);
      }
}

TEST(GroupQuantizers, minMaxFollowsTheReference) {
  Matrix<float> weights(1, 4);
  weights.values = {0.0f, 1.0f, 2.0f, 3.0f};
  GroupOptions options = minMax(4, -1, true);
  EXPECT_EQ(quantizeGroups(weights, options, {}, {}).scales(0, 0), 6.0f / 15.0f);
  options.referenceMinMax = true; // no negative weight: the range starts at 0 and half the codes are lost
  GroupCodes quirk = quantizeGroups(weights, options, {}, {});
  EXPECT_EQ(quirk.scales(0, 0), 3.0f / 15.0f);
  EXPECT_EQ(quirk.zeros(0, 0), 8);
  EXPECT_EQ(quirk.codes.values, (std::vector<uint8_t>{8, 13, 15, 15}));
  GroupCodes asymmetric = quantizeGroups(weights, minMax(4, -1, false), {}, {});
  EXPECT_EQ(asymmetric.scales(0, 0), 3.0f / 15.0f);
  EXPECT_EQ(asymmetric.zeros(0, 0), 0);
}

TEST(GroupQuantizers, searchFindsTheBestOfItsGrid) {
  Matrix<float> weights = randomMatrix(6, 100, 3);
  std::vector<double> importance(100);
  std::mt19937 generator(4);
  for (double &value : importance)
    value = std::exp(std::normal_distribution<double>(0, 2)(generator));
  GroupOptions options{4, 32, true, ScaleGrid::Search, false};
  GroupCodes result = quantizeGroups(weights, options, importance, {});
  bool sawSeven = false, sawEight = false;
  for (int64_t n = 0; n < 6; ++n)
    for (int64_t g = 0; g < 4; ++g) {
      int64_t first = g * 32, last = std::min<int64_t>(first + 32, 100);
      double absMax = 0, best = DBL_MAX;
      for (int64_t k = first; k < last; ++k)
        absMax = std::max(absMax, std::fabs(double(weights(n, k))));
      for (int zero : {8, 7})
        for (int i = 0; i < 80; ++i)
          best =
              std::min(best, groupError(weights, n, first, last, absMax / 8 * (1 - i / 100.0), zero, 15, importance));
      double found = groupError(weights, n, first, last, result.scales(n, g), result.zeros(n, g), 15, importance);
      EXPECT_LE(found, best * 1.00001);
      sawSeven |= result.zeros(n, g) == 7;
      sawEight |= result.zeros(n, g) == 8;
      EXPECT_TRUE(result.zeros(n, g) == 7 || result.zeros(n, g) == 8);
    }
  EXPECT_TRUE(sawSeven && sawEight);
}

TEST(GroupQuantizers, asymmetricSearchIsNoWorseThanMinMax) {
  Matrix<float> weights = randomMatrix(8, 64, 5);
  for (float &value : weights.values)
    value += 0.7f;
  Matrix<double> identity(64, 64);
  for (int64_t k = 0; k < 64; ++k)
    identity(k, k) = 1;
  GroupOptions search{4, 32, false, ScaleGrid::Search, false};
  double searched = objective(weights, quantizeGroups(weights, search, {}, {}), identity);
  EXPECT_LT(searched, objective(weights, quantizeGroups(weights, minMax(4, 32, false), {}, {}), identity));
}

TEST(GroupQuantizers, extremeGroupsGetUsableScales) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  Matrix<float> weights(1, 16);
  weights.values = {0,    0,  1e-45f, -1e-40f, FLT_MAX, -FLT_MAX, kNan,     1,
                    kInf, -1, kNan,   kNan,    FLT_MAX, FLT_MAX,  -FLT_MAX, 0};
  for (int bits : {2, 4, 8})
    for (ScaleGrid grid : {ScaleGrid::MinMax, ScaleGrid::Search})
      for (bool symmetric : {true, false}) {
        GroupCodes result = quantizeGroups(weights, {bits, 2, symmetric, grid, false}, {}, {});
        for (int64_t g = 0; g < 8; ++g) {
          EXPECT_TRUE(std::isnormal(result.scales(0, g)) && result.scales(0, g) > 0) << g;
          EXPECT_LT(result.zeros(0, g), 1 << bits);
        }
        for (uint8_t code : result.codes.values)
          EXPECT_LT(code, 1 << bits);
        Matrix<float> back(1, 16);
        dequantizeGroups(result, back);
        EXPECT_EQ(back(0, 0), 0);
        for (float value : back.values)
          EXPECT_FALSE(std::isnan(value));
      }
}

TEST(GroupQuantizers, doesNotDependOnThreads) {
  Matrix<float> weights = randomMatrix(50, 300, 6);
  GroupOptions options;
  GroupCodes one = quantizeGroups(weights, options, {}, threads(1)),
             three = quantizeGroups(weights, options, {}, threads(3));
  EXPECT_EQ(one.codes.values, three.codes.values);
  EXPECT_EQ(one.scales.values, three.scales.values);
  EXPECT_EQ(one.zeros.values, three.zeros.values);
}

TEST(Packing, isInvertedByUnpacking) {
  for (int64_t cols = 0; cols < 10; ++cols) {
    Matrix<uint8_t> codes(3, cols);
    for (size_t i = 0; i < codes.values.size(); ++i)
      codes.values[i] = uint8_t(i * 7 % 16);
    Matrix<uint8_t> packed = packInt4(codes);
    EXPECT_EQ(packed.cols, (cols + 1) / 2);
    EXPECT_EQ(unpackInt4(packed, cols).values, codes.values);
    if (cols % 2)
      EXPECT_EQ(packed(2, cols / 2) >> 4, 0);
  }
}

TEST(Packing, evenColumnIsTheLowNibble) {
  Matrix<uint8_t> codes(1, 3);
  codes.values = {1, 2, 3};
  EXPECT_EQ(packInt4(codes).values, (std::vector<uint8_t>{0x21, 0x03}));
}

} // namespace
