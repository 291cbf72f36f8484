//===- HessianTest.cpp - Sums over tokens ---------------------------------===//
#include "TestUtils.h"
#include <cblas.h>
#include <cstdlib>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

/// sum_t a[t][i] b[t][j] in double over the rows of the mask.
Matrix<double> plainProduct(const Matrix<float> &a, const Matrix<float> &b, const std::vector<uint8_t> &mask) {
  Matrix<double> result(a.cols, a.cols);
  for (int64_t t = 0; t < a.rows; ++t)
    if (mask.empty() || mask[t])
      for (int64_t i = 0; i < a.cols; ++i)
        for (int64_t j = 0; j < a.cols; ++j)
          result(i, j) += double(a(t, i)) * b(t, j);
  return result;
}

void expectNear(const Matrix<double> &found, const Matrix<double> &expected, const Matrix<double> &h) {
  ASSERT_EQ(found.values.size(), expected.values.size());
  for (int64_t i = 0; i < h.rows; ++i)
    for (int64_t j = 0; j < h.cols; ++j)
      ASSERT_NEAR(found(i, j), expected(i, j), 2e-6 * std::sqrt(h(i, i) * h(j, j))) << i << " " << j;
}

TEST(Hessian, equalsThePlainSum) {
  Matrix<float> x = randomInputs(300, 270, 1), xFloat = x, noise = randomMatrix(300, 270, 9, 1e-3f);
  for (size_t i = 0; i < x.values.size(); ++i)
    xFloat.values[i] += noise.values[i];
  std::vector<uint8_t> mask(300, 1);
  for (int64_t t = 0; t < 300; t += 3)
    mask[t] = 0;
  for (const std::vector<uint8_t> &m : {std::vector<uint8_t>(), mask}) {
    Hessian hessian;
    accumulateHessian(hessian, x, xFloat, m, threads(2));
    Matrix<double> expected = plainProduct(x, x, m);
    expectNear(hessian.h, expected, expected);
    expectNear(hessian.c, plainProduct(xFloat, x, m), expected);
    EXPECT_EQ(hessian.tokens, m.empty() ? 300 : 200);
    for (int64_t i = 0; i < 270; ++i)
      for (int64_t j = 0; j < i; ++j)
        ASSERT_EQ(hessian.h(i, j), hessian.h(j, i));
  }
}

TEST(Hessian, theSameInputsGiveExactlyH) {
  Matrix<float> x = randomInputs(100, 40, 2);
  Hessian hessian;
  accumulateHessian(hessian, x, x, {}, {});
  EXPECT_EQ(hessian.h.values, hessian.c.values);
}

TEST(Hessian, sumsTheProductOfOneLinearInsteadOfC) {
  Matrix<float> x = randomInputs(300, 270, 1), xFloat = x, noise = randomMatrix(300, 270, 9, 0.1f);
  for (size_t i = 0; i < x.values.size(); ++i)
    xFloat.values[i] *= 1 + noise.values[i];
  Matrix<float> w = randomMatrix(90, 270, 3);
  std::vector<uint8_t> mask(300, 1);
  for (int64_t t = 0; t < 300; t += 5)
    mask[t] = 0;
  Hessian hessian, expected;
  for (int i = 0; i < 2; ++i) {
    accumulateHessian(hessian, x, xFloat, mask, threads(2), {w, {}});
    accumulateHessian(expected, x, xFloat, mask, threads(2));
  }
  EXPECT_EQ(hessian.h.values, expected.h.values);
  EXPECT_EQ(hessian.c.rows, 0);
  ASSERT_EQ(hessian.product.rows, 90);
  double difference = 0, size = 0;
  for (int64_t n = 0; n < 90; ++n)
    for (int64_t k = 0; k < 270; ++k) {
      double sum = 0;
      for (int64_t j = 0; j < 270; ++j)
        sum += w(n, j) * (expected.c(j, k) - expected.h(j, k));
      difference += (hessian.product(n, k) - sum) * (hessian.product(n, k) - sum);
      size += sum * sum;
    }
  EXPECT_LT(std::sqrt(difference / size), 1e-6);
}

TEST(Hessian, addsUpOverCallsAndReadsStridedViews) {
  Matrix<float> x = randomMatrix(64, 20, 3);
  Hessian parts;
  for (int64_t t = 0; t < 64; t += 16)
    accumulateHessian(parts, MatrixRef<const float>(x.row(t), 16, 10, 20), {}, {}, {});
  Matrix<float> left(64, 10);
  for (int64_t t = 0; t < 64; ++t)
    std::copy_n(x.row(t), 10, left.row(t));
  Matrix<double> expected = plainProduct(left, left, {});
  expectNear(parts.h, expected, expected);
  EXPECT_EQ(parts.tokens, 64);
}

TEST(Hessian, allRowsMaskedAddNothing) {
  Matrix<float> x = randomMatrix(4, 5, 3);
  Hessian hessian;
  accumulateHessian(hessian, x, x, std::vector<uint8_t>(4, 0), {});
  EXPECT_EQ(hessian.h.values, std::vector<double>(25, 0.0));
  EXPECT_EQ(hessian.tokens, 0);
}

TEST(Hessian, doesNotDependOnThreads) {
  Matrix<float> x = randomInputs(600, 600, 5), xFloat = randomInputs(600, 600, 6);
  Hessian one, three;
  accumulateHessian(one, x, xFloat, {}, threads(1));
  accumulateHessian(three, x, xFloat, {}, threads(3));
  EXPECT_EQ(one.h.values, three.h.values);
  EXPECT_EQ(one.c.values, three.c.values);
}

/// Multiplies in double, as no device does, so that only sums and rounding are compared.
class PlainProducts : public DeviceProducts {
public:
  Status multiply(MatrixRef<const float> a, bool transposeA, MatrixRef<const float> b, bool transposeB,
                  MatrixRef<float> result) override {
    if (++calls == failing)
      return Error{"the device is gone"};
    int64_t inner = transposeA ? a.rows : a.cols;
    for (int64_t i = 0; i < result.rows; ++i)
      for (int64_t j = 0; j < result.cols; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < inner; ++k)
          sum += double(transposeA ? a(k, i) : a(i, k)) * (transposeB ? b(j, k) : b(k, j));
        result(i, j) = static_cast<float>(sum);
      }
    return {};
  }
  int calls = 0, failing = 0;
};

TEST(Hessian, ofADeviceEqualsThatOfTheCpu) {
  Matrix<float> x = randomInputs(300, 70, 1), xFloat = x, noise = randomMatrix(300, 70, 9, 0.1f);
  for (size_t i = 0; i < x.values.size(); ++i)
    xFloat.values[i] *= 1 + noise.values[i];
  Matrix<float> w = randomMatrix(20, 70, 3), residual = randomMatrix(300, 20, 5);
  std::vector<uint8_t> mask(300, 1);
  for (int64_t t = 0; t < 300; t += 5)
    mask[t] = 0;
  PlainProducts device;
  Hessian withC, withProduct, alone, expected, expectedProduct;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(accumulateHessian(withC, x, xFloat, mask, threads(2), {}, device));
    ASSERT_TRUE(accumulateHessian(withProduct, x, xFloat, mask, threads(2), {w, residual}, device));
    ASSERT_TRUE(accumulateHessian(alone, x, {}, mask, threads(2), {}, device));
    accumulateHessian(expected, x, xFloat, mask, threads(2));
    accumulateHessian(expectedProduct, x, xFloat, mask, threads(2), {w, residual});
  }
  for (Hessian *hessian : {&withC, &withProduct, &alone}) {
    expectNear(hessian->h, expected.h, expected.h);
    EXPECT_EQ(hessian->tokens, 480);
    for (int64_t i = 0; i < 70; ++i)
      for (int64_t j = 0; j < i; ++j)
        ASSERT_EQ(hessian->h(i, j), hessian->h(j, i));
  }
  expectNear(withC.c, expected.c, expected.h);
  EXPECT_EQ(withProduct.c.rows, 0);
  ASSERT_EQ(withProduct.product.rows, 20);
  for (size_t i = 0; i < withProduct.product.values.size(); ++i)
    ASSERT_NEAR(withProduct.product.values[i], expectedProduct.product.values[i],
                1e-5 * std::abs(expectedProduct.product.values[i]) + 1e-3);
}

TEST(Hessian, addsWhatTheOutputIsToMakeUpFor) {
  Matrix<float> x = randomInputs(30, 7, 1), w = randomMatrix(4, 7, 3), residual = randomMatrix(30, 4, 5);
  std::vector<uint8_t> mask(30, 1);
  mask[3] = mask[17] = 0;
  Hessian hessian;
  accumulateHessian(hessian, x, x, mask, {}, {w, residual});
  for (int64_t n = 0; n < 4; ++n)
    for (int64_t k = 0; k < 7; ++k) {
      double sum = 0;
      for (int64_t t = 0; t < 30; ++t)
        sum += mask[t] * residual(t, n) * x(t, k);
      EXPECT_NEAR(hessian.product(n, k), sum, 1e-4);
    }
}

TEST(Hessian, passesOnWhatADeviceSays) {
  Matrix<float> x = randomInputs(10, 8, 1), w = randomMatrix(4, 8, 3);
  for (int call : {1, 2, 3}) {
    PlainProducts device;
    device.failing = call;
    Hessian hessian;
    Status status = accumulateHessian(hessian, x, x, {}, {}, {w, {}}, device);
    ASSERT_FALSE(status) << call;
    EXPECT_EQ(status.error().message, "the device is gone");
  }
}

/// OpenBLAS falls back to kernels of SSE3 on a processor that is newer than itself.
TEST(Hessian, multipliesByTheVectorsOfTheProcessor) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || std::getenv("OPENBLAS_CORETYPE"))
    GTEST_SKIP();
  hessianOf(randomInputs(4, 4, 1));
  EXPECT_STRNE(openblas_get_corename(), "Prescott");
}

} // namespace
