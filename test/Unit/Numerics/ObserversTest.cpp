//===- ObserversTest.cpp - Running statistics -----------------------------===//
#include "qopt/Numerics/Observers.h"
#include "TestUtils.h"
#include <cfloat>
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

TEST(RangeObserver, tracksTheRangeOfUnmaskedRows) {
  RangeObserver observer;
  EXPECT_EQ(observer.int8Scale(), 1.0f);
  Matrix<float> x = randomMatrix(20, 37, 1);
  x(3, 5) = -50;
  x(4, 36) = 99; // masked
  x(7, 0) = 40;
  std::vector<uint8_t> mask(20, 1);
  mask[4] = 0;
  observer.observe(x, mask);
  EXPECT_EQ(observer.min(), -50);
  EXPECT_EQ(observer.max(), 40);
  EXPECT_EQ(observer.absMax(), 50);
  EXPECT_EQ(observer.int8Scale(), 50.0f / 127.0f);
  EXPECT_EQ(observer.rows(), 19);
}

TEST(RangeObserver, countsWhatIsNotFinite) {
  RangeObserver observer;
  Matrix<float> x(2, 3);
  x.values = {kNan, 2, kInf, 3, 4, -kInf};
  observer.observe(x);
  EXPECT_EQ(observer.nonFinite(), 3);
  EXPECT_EQ(observer.min(), 2); // a range need not hold 0
  EXPECT_EQ(observer.absMax(), 4);
}

TEST(EmaScale, followsQuanto) {
  EmaScale ema;
  EXPECT_EQ(ema.scale(), 1.0f);
  ema.update(12.7f);
  EXPECT_EQ(ema.scale(), 12.7f / 127.0f);
  ema.update(25.4f);
  EXPECT_EQ(ema.scale(), 0.9f * (12.7f / 127.0f) + 0.1f * (25.4f / 127.0f));
  EmaScale restarts; // a scale of exactly 1 is taken for "nothing yet"
  restarts.update(127);
  restarts.update(254);
  EXPECT_EQ(restarts.scale(), 2.0f);
}

TEST(ColumnAbsMaxObserver, findsOutlierColumns) {
  ColumnAbsMaxObserver observer;
  Matrix<float> x = randomMatrix(10, 40, 2, 0.1f);
  x(2, 7) = -6;
  x(9, 33) = 20;
  x(5, 1) = kNan;
  observer.observe(x);
  observer.observe(randomMatrix(3, 40, 3, 0.1f));
  EXPECT_EQ(observer.outliers(6), (std::vector<int64_t>{7, 33}));
  EXPECT_EQ(observer.absMax()[33], 20);
}

double squaredError(const Matrix<float> &x, double scale) {
  double sum = 0;
  for (float value : x.values) {
    double back = scale * std::clamp(std::nearbyint(value / scale), -127.0, 127.0);
    sum += (value - back) * (value - back);
  }
  return sum;
}

TEST(HistogramObserver, clipsWhereItPays) {
  Matrix<float> x = randomMatrix(2000, 64, 4);
  x(1000, 3) = 9;
  HistogramObserver observer;
  for (int64_t t = 0; t < 2000; t += 500)
    observer.observe(MatrixRef<const float>(x.row(t), 500, 64));
  double best = DBL_MAX;
  for (int i = 0; i < 80; ++i)
    best = std::min(best, squaredError(x, 9.0 / 127 * (1 - i / 100.0)));
  EXPECT_LT(observer.int8Scale(), 9.0f / 127.0f);
  EXPECT_LE(squaredError(x, observer.int8Scale()), best * 1.01);
}

TEST(HistogramObserver, doesNotDependOnTheOrderOfCalls) {
  Matrix<float> small = randomMatrix(100, 64, 5, 0.01f), large = randomMatrix(100, 64, 6, 3.0f);
  HistogramObserver rising, falling;
  rising.observe(small);
  rising.observe(large);
  falling.observe(large);
  falling.observe(small);
  EXPECT_EQ(rising.int8Scale(), falling.int8Scale());
}

/// Many small numbers, and one large one.
Matrix<float> withOutlier() {
  Matrix<float> x = randomMatrix(2000, 64, 7);
  x(1000, 3) = -20;
  return x;
}

TEST(HistogramObserver, searchesAsItIsTold) {
  HistogramObserver observer;
  observer.observe(withOutlier());
  float widest = 20.0f / 127.0f;
  // llm-compressor looks at the first 20 steps only.
  EXPECT_GE(observer.int8Scale({2.4, 0.2, 5}), widest * 0.809f);
  EXPECT_LT(observer.int8Scale({2.4, 0.2, 5}), widest);
  EXPECT_LT(observer.int8Scale(), widest * 0.7f);
  // Large powers fear the clipped one more.
  EXPECT_GT(observer.int8Scale({8, 0.8, 0}), observer.int8Scale());
}

TEST(HistogramObserver, findsPercentiles) {
  HistogramObserver observer;
  Matrix<float> x(1, 1000);
  for (int i = 0; i < 1000; ++i)
    x(0, i) = float(i + 1) * (i % 2 ? 1 : -1);
  observer.observe(x);
  EXPECT_EQ(observer.percentile(100), 1000);
  EXPECT_NEAR(observer.percentile(99), 990, 0.2);
  EXPECT_NEAR(observer.percentile(50), 500, 0.2);
  EXPECT_EQ(HistogramObserver().percentile(99), 0);
}

TEST(HistogramObserver, clipsWhereTheDistributionChangesLeast) {
  HistogramObserver observer;
  observer.observe(withOutlier());
  float threshold = observer.entropyThreshold(2048, 128);
  EXPECT_LT(threshold, 10);
  EXPECT_GT(threshold, 2);
  // ONNX Runtime's default has one candidate, everything.
  EXPECT_EQ(observer.entropyThreshold(128, 128), 20);
  EXPECT_EQ(HistogramObserver().entropyThreshold(2048, 128), 0);
}

TEST(HistogramObserver, mergesAsIfItHadSeenAll) {
  Matrix<float> small = randomMatrix(100, 64, 5, 0.01f), large = withOutlier();
  HistogramObserver all, one, other;
  all.observe(small);
  all.observe(large);
  one.observe(small);
  other.observe(large);
  HistogramObserver reversed = other;
  reversed.merge(one);
  one.merge(other);
  one.merge(HistogramObserver());
  for (const HistogramObserver *merged : {&one, &reversed}) {
    EXPECT_EQ(merged->int8Scale(), all.int8Scale());
    EXPECT_EQ(merged->percentile(99), all.percentile(99));
    EXPECT_EQ(merged->entropyThreshold(2048, 128), all.entropyThreshold(2048, 128));
  }
}

TEST(Observers, extremeValuesGiveUsableScales) {
  for (float value : {0.0f, 1e-45f, 1e-38f, FLT_MAX, kInf, kNan}) {
    Matrix<float> x(1, 2, value);
    RangeObserver range;
    HistogramObserver mse;
    EmaScale ema;
    range.observe(x);
    mse.observe(x);
    ema.update(range.absMax());
    for (float scale : {range.int8Scale(), mse.int8Scale(), ema.scale()})
      EXPECT_TRUE(std::isnormal(scale) && scale > 0) << value << " " << scale;
  }
}

} // namespace
