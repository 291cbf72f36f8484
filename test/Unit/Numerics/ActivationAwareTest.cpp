//===- ActivationAwareTest.cpp - Scales of weights by their inputs --------===//
//
// Sums against one number at a time, with masked rows and a last group that is short.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/ActivationAware.h"
#include "TestUtils.h"
#include "gtest/gtest.h"

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int64_t kRows = 300, kColumns = 21, kGroup = 8;

std::vector<uint8_t> someRows() {
  std::vector<uint8_t> mask(kRows);
  for (int64_t t = 0; t < kRows; ++t)
    mask[t] = t % 3 != 1;
  return mask;
}

} // namespace

TEST(ActivationAware, SumsMoments) {
  Matrix<float> x = randomMatrix(kRows, kColumns, 1), d = randomMatrix(1, kColumns, 2),
                s = randomMatrix(1, kColumns, 3);
  for (float &scale : s.values)
    scale = 1 + std::fabs(scale);
  std::vector<uint8_t> mask = someRows();
  InputMoments moments(kColumns, kGroup), divided(kColumns, kGroup);
  // In two batches, by one thread and by several.
  for (InputMoments *one : {&moments, &divided}) {
    one->observe({x.row(0), 100, kColumns}, std::span(mask).first(100), {});
    one->observe({x.row(100), kRows - 100, kColumns}, std::span(mask).subspan(100), threads(2));
    EXPECT_EQ(one->rows(), 200);
  }
  divided.divide(s.values);
  for (int64_t k = 0; k < kColumns; ++k) {
    double sum = 0;
    for (int64_t t = 0; t < kRows; ++t)
      sum += mask[t] ? std::fabs(x(t, k)) : 0;
    EXPECT_NEAR(moments.meanMagnitudes()[k], sum / 200, 1e-6);
    EXPECT_NEAR(divided.meanMagnitudes()[k], sum / 200 / s(0, k), 1e-6);
  }
  for (int64_t group = 0; group * kGroup < kColumns; ++group) {
    int64_t first = group * kGroup, width = std::min(kGroup, kColumns - first);
    double plain = 0, scaled = 0;
    for (int64_t t = 0; t < kRows; ++t) {
      double dot = 0, dotScaled = 0;
      for (int64_t k = first; k < first + width; ++k) {
        dot += double(x(t, k)) * d(0, k);
        dotScaled += double(x(t, k)) / s(0, k) * d(0, k);
      }
      plain += mask[t] ? dot * dot : 0;
      scaled += mask[t] ? dotScaled * dotScaled : 0;
    }
    std::span<const float> row(d.row(0) + first, width);
    EXPECT_NEAR(moments.meanSquare(group, row), plain / 200, 1e-5 * plain / 200);
    EXPECT_NEAR(divided.meanSquare(group, row), scaled / 200, 1e-5 * scaled / 200);
  }
}

TEST(ActivationAware, SumsSquaresOfProducts) {
  Matrix<float> x = randomMatrix(kRows, kColumns, 4), w = randomMatrix(5, kColumns, 5);
  std::vector<uint8_t> mask = someRows();
  double all = 0, some = 0;
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t n = 0; n < w.rows; ++n) {
      double dot = 0;
      for (int64_t k = 0; k < kColumns; ++k)
        dot += double(x(t, k)) * w(n, k);
      all += dot * dot;
      some += mask[t] ? dot * dot : 0;
    }
  EXPECT_NEAR(squaredProduct(x, {}, w, {}), all, 1e-5 * all);
  EXPECT_NEAR(squaredProduct(x, mask, w, {}), some, 1e-5 * some);
  EXPECT_EQ(squaredProduct(x, mask, w, {}), squaredProduct(x, mask, w, threads(3)));
}

TEST(ActivationAware, ScalesByPowers) {
  std::vector<float> inputs = {4, 1, 16}, weights = {.25f, 1, .0625f};
  // 2, 1, 4 over the root of 1 * 4.
  EXPECT_EQ(activationScales(inputs, {}, .5), std::vector<float>({1, .5f, 2}));
  EXPECT_EQ(activationScales(inputs, {}, 0), std::vector<float>({1, 1, 1}));
  // An input that never was is scaled as little as the others allow.
  std::vector<float> dead = activationScales(std::vector<float>{0, 1}, {}, .5);
  EXPECT_FLOAT_EQ(dead[0], 1e-2f);
  EXPECT_FLOAT_EQ(dead[1], 1e2f);
  // 2 / .5, 1 / 1, 4 / .25, but for 1e-4 in the denominators.
  std::vector<float> duo = activationScales(inputs, weights, .5);
  EXPECT_NEAR(duo[0] / duo[1], 4, 1e-3);
  EXPECT_NEAR(duo[2] / duo[1], 16, 1e-2);
  Matrix<float> a(1, 4), b(1, 4);
  a.values = {1, -2, 3, 3};
  b.values = {-4, 2, 0, 1};
  std::vector<Matrix<float>> both = {a, b};
  std::vector<float> relative = relativeMagnitudes(both, 2);
  for (auto [k, expected] : {std::pair(0, .75f), {1, .75f}, {2, .5f}, {3, 1.f}})
    EXPECT_NEAR(relative[k], expected, 1e-5) << k;
}
