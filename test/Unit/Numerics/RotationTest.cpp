//===- RotationTest.cpp - Orthogonal matrices that mix all features -------===//
//
// Against their definitions, element by element, and whatever they are made of, as rotations.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Rotation.h"
#include "TestUtils.h"
#include "qopt/Numerics/Smoothing.h"
#include "gtest/gtest.h"
#include <bit>

using namespace qopt;
using namespace qopt::test;

namespace {

/// Q, from the rows of the unit matrix.
Matrix<float> matrixOf(const Rotation &rotation) {
  Matrix<float> q(rotation.order(), rotation.order());
  for (int64_t i = 0; i < q.rows; ++i)
    q(i, i) = 1;
  rotation.rotateRows(q, {});
  return q;
}

double largestErrorOfOrthogonality(const Matrix<float> &q) {
  double largest = 0;
  for (int64_t i = 0; i < q.rows; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < q.cols; ++k)
        sum += double(q(i, k)) * q(j, k);
      largest = std::max(largest, std::fabs(sum - (i == j)));
    }
  return largest;
}

std::vector<double> alternatingSigns(int64_t count) {
  std::vector<double> signs(count, 1);
  for (int64_t i = 0; i < count; i += 3)
    signs[i] = -1;
  return signs;
}

} // namespace

TEST(Rotation, IsSylvestersMatrixForPowersOfTwo) {
  constexpr int64_t kOrder = 64;
  std::vector<double> signs = alternatingSigns(kOrder);
  Matrix<float> q = matrixOf(*Rotation::hadamard(signs));
  for (int64_t i = 0; i < kOrder; ++i)
    for (int64_t j = 0; j < kOrder; ++j)
      ASSERT_EQ(q(i, j), signs[i] * (std::popcount(uint64_t(i & j)) % 2 ? -1 : 1) / 8) << i << ' ' << j;
}

TEST(Rotation, KnowsHadamardMatricesOfModels) {
  // Those of QuaRot's tables that Paley gives, and sizes of models: 576, 768, 896, 960, 1536.
  for (int64_t order : {1, 2, 4, 12, 20, 24, 28, 36, 40, 44, 52, 60, 80, 96, 100, 108, 140, 180, 576, 768, 896, 960}) {
    std::optional<Rotation> rotation = Rotation::hadamard(std::vector<double>(order, 1));
    ASSERT_TRUE(rotation) << order;
    Matrix<float> q = matrixOf(*rotation);
    for (float value : q.values)
      ASSERT_FLOAT_EQ(std::fabs(value), 1 / std::sqrt(float(order))) << order;
    ASSERT_LT(largestErrorOfOrthogonality(q), 1e-6) << order;
  }
  for (int64_t order : {3, 6, 10, 18, 92, 172})
    EXPECT_FALSE(Rotation::hadamard(std::vector<double>(order, 1))) << order;
}

TEST(Rotation, IsRandomAndOrthogonalForOtherOrders) {
  uint64_t state = 5;
  for (int64_t order : {1, 3, 18, 92}) {
    Rotation rotation = Rotation::random(order, state);
    EXPECT_EQ(rotation.isHadamard(), order == 1);
    EXPECT_LT(largestErrorOfOrthogonality(matrixOf(rotation)), 1e-6) << order;
  }
}

TEST(Rotation, DependsOnTheSeedAlone) {
  uint64_t one = 1, again = 1, two = 2;
  Matrix<float> first = matrixOf(Rotation::random(24, one));
  EXPECT_EQ(first.values, matrixOf(Rotation::random(24, again)).values);
  EXPECT_NE(first.values, matrixOf(Rotation::random(24, two)).values);
  EXPECT_NE(first.values, matrixOf(Rotation::random(24, one)).values); // the next bits
}

TEST(Rotation, CancelsBetweenRowsAndColumns) {
  for (int64_t order : {8, 12, 40, 6}) {
    uint64_t state = 7;
    Rotation rotation = Rotation::random(order, state);
    // Three blocks, and numbers of vectors that no tile divides.
    int64_t features = 3 * order;
    Matrix<float> x = randomMatrix(19, features, 1), w = randomMatrix(features, 37, 2);
    Matrix<float> rotatedX = x, rotatedW = w, threadedW = w;
    rotation.rotateRows(rotatedX, {});
    rotation.rotateColumns(rotatedW, {});
    rotation.rotateColumns(threadedW, threads(3));
    EXPECT_EQ(rotatedW.values, threadedW.values);
    for (int64_t t = 0; t < x.rows; ++t)
      for (int64_t n = 0; n < w.cols; ++n) {
        double before = 0, after = 0;
        for (int64_t k = 0; k < features; ++k) {
          before += double(x(t, k)) * w(k, n);
          after += double(rotatedX(t, k)) * rotatedW(k, n);
        }
        ASSERT_NEAR(before, after, 1e-4) << order;
      }
  }
}

TEST(Smoothing, SharesTheDifficulty) {
  std::vector<float> inputs = {4, 100, 0, 1}, weights = {1, .25f, 2, 0};
  std::vector<float> half = smoothingScales(inputs, weights, 0.5);
  EXPECT_FLOAT_EQ(half[0], 2);
  EXPECT_FLOAT_EQ(half[1], 20);
  EXPECT_FLOAT_EQ(half[2], 1e-5f); // a feature that was always 0
  EXPECT_FLOAT_EQ(half[3], 1 / std::sqrt(1e-5f));
  EXPECT_EQ(smoothingScales(inputs, weights, 1), std::vector<float>({4, 100, 1e-5f, 1}));
  EXPECT_FLOAT_EQ(smoothingScales(inputs, weights, 0)[1], 4);
}
