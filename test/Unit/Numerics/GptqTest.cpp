//===- GptqTest.cpp - What GPTQ and its refinements promise ---------------===//
#include "TestUtils.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::test;

namespace {

GroupCodes solve(const Matrix<float> &w, Hessian hessian, const GptqOptions &options, GptqReport &report,
                 const ParallelFor &parallelFor = {}) {
  auto solver = GptqSolver::create(std::move(hessian), options, parallelFor);
  if (!solver)
    throw std::runtime_error(solver.error().message);
  Result<GroupCodes> codes = (*solver)->quantize(w, report, parallelFor);
  if (!codes)
    throw std::runtime_error(codes.error().message);
  return *codes;
}

GptqOptions withGroup(int64_t groupSize) {
  GptqOptions options;
  options.groups.groupSize = groupSize;
  return options;
}

double dampOf(const Matrix<double> &h) {
  double trace = 0;
  for (int64_t k = 0; k < h.rows; ++k)
    trace += h(k, k);
  return 0.01 * trace / double(h.rows);
}

std::vector<double> diagonalOf(const Matrix<double> &h) {
  std::vector<double> result;
  for (int64_t k = 0; k < h.rows; ++k)
    result.push_back(h(k, k));
  return result;
}

void expectUsable(const GroupCodes &codes) {
  for (float scale : codes.scales.values)
    ASSERT_TRUE(std::isnormal(scale) && scale > 0) << scale;
  for (uint8_t code : codes.codes.values)
    ASSERT_LT(code, 1 << codes.bits);
  for (uint8_t zero : codes.zeros.values)
    ASSERT_LT(zero, 1 << codes.bits);
}

struct Fixture : testing::Test {
  Matrix<float> w = randomMatrix(140, 172, 1, 0.05f);
  Hessian hessian = hessianOf(randomInputs(600, 172, 2));
  GptqReport report;
};

using Gptq = Fixture;

TEST_F(Gptq, eachStepLowersTheObjective) {
  double damp = dampOf(hessian.h);
  auto value = [&](const GroupCodes &codes) { return objective(w, codes, hessian.h, damp); };
  for (int64_t groupSize : {64, 32, -1})
    for (bool symmetric : {true, false}) {
      GptqOptions options = withGroup(groupSize);
      options.groups.symmetric = symmetric;
      options.floatTarget = 0;
      options.polishPasses = 0;
      double rtn = value(quantizeGroups(w, options.groups, diagonalOf(hessian.h), {}));
      double last = value(solve(w, hessian, options, report));
      EXPECT_LT(last, 0.7 * rtn);
      for (bool refit : {false, true}) {
        double previous = last;
        for (int passes : {1, 2, 4, 8}) {
          options.refitScales = refit;
          options.polishPasses = passes;
          double now = value(solve(w, hessian, options, report));
          EXPECT_LE(now, previous * (1 + 1e-12)) << groupSize << " " << refit << " " << passes;
          previous = now;
        }
        EXPECT_LT(previous, last);
      }
    }
}

TEST_F(Gptq, polishedCodesAreEachTheBestGivenTheOthers) {
  GptqOptions options = withGroup(64);
  options.floatTarget = 0;
  options.refitScales = false;
  options.polishPasses = 50;
  options.polishGain = 0;
  w.rows = 6;
  w.values.resize(6 * 172);
  GroupCodes codes = solve(w, hessian, options, report);
  double damp = dampOf(hessian.h), best = objective(w, codes, hessian.h, damp);
  for (int64_t k = 0; k < 172; k += 7)
    for (int step : {-1, 1}) {
      for (int64_t n = 0; n < 6; ++n) {
        GroupCodes one = codes;
        int code = one.codes(n, k) + step;
        if (code < 0 || code > 15)
          continue;
        one.codes(n, k) = uint8_t(code);
        EXPECT_GE(objective(w, one, hessian.h, damp), best * (1 - 1e-12)) << n << " " << k;
      }
    }
}

TEST_F(Gptq, reportsTheLoss) {
  GptqOptions options = withGroup(64);
  GroupCodes codes = solve(w, hessian, options, report);
  EXPECT_NEAR(report.loss, objective(w, codes, hessian.h) / 140, 1e-7 * report.loss); // of float32 products
  EXPECT_EQ(report.damping, 0.01);
  EXPECT_EQ(report.deadColumns, 0);
  EXPECT_FALSE(report.fellBack);
  expectUsable(codes);

  options.groups.referenceMinMax = true; // all in double
  options.polishPasses = 0;
  codes = solve(w, hessian, options, report);
  EXPECT_NEAR(report.loss, objective(w, codes, hessian.h) / 140, 1e-9 * report.loss);
}

TEST_F(Gptq, stopsPolishingWhereAPassGainsTooLittle) {
  GptqOptions options = withGroup(64);
  double damp = dampOf(hessian.h);
  auto value = [&](int passes, double gain) {
    options.polishPasses = passes;
    options.polishGain = gain;
    return objective(w, solve(w, hessian, options, report), hessian.h, damp);
  };
  double unpolished = value(0, 0), once = value(1, 0), converged = value(100, 0);
  EXPECT_LT(once, 0.99 * unpolished);
  EXPECT_EQ(value(100, 1), once);
  EXPECT_LT(converged, value(2, 0));
  EXPECT_NEAR(value(100, 0.002), converged, 0.01 * converged);
}

TEST_F(Gptq, floatTargetOfTheSameInputsChangesNothing) {
  GptqOptions options = withGroup(64);
  GroupCodes without = solve(w, hessian, options, report);
  Hessian same = hessian;
  same.c = same.h;
  GroupCodes with = solve(w, same, options, report);
  EXPECT_EQ(without.codes.values, with.codes.values);
  EXPECT_EQ(without.scales.values, with.scales.values);
}

TEST_F(Gptq, floatTargetBringsTheOutputNearerToTheFloatModels) {
  Matrix<float> x = randomInputs(600, 172, 2), xFloat = x, noise = randomMatrix(600, 172, 7, 0.1f);
  for (size_t i = 0; i < x.values.size(); ++i)
    xFloat.values[i] = x.values[i] * (1 + noise.values[i]) + 0.3f * x.values[(i / 172) * 172 + (i + 1) % 172];
  Hessian both;
  accumulateHessian(both, x, xFloat, {}, {});
  auto outputError = [&](double alpha) {
    GptqOptions options = withGroup(64);
    options.floatTarget = alpha;
    GroupCodes codes = solve(w, both, options, report);
    Matrix<float> q(w.rows, w.cols);
    dequantizeGroups(codes, q);
    double sum = 0;
    for (int64_t t = 0; t < 600; t += 3)
      for (int64_t n = 0; n < w.rows; n += 5) {
        double difference = 0;
        for (int64_t k = 0; k < 172; ++k)
          difference += double(xFloat(t, k)) * w(n, k) - double(x(t, k)) * q(n, k);
        sum += difference * difference;
      }
    return sum;
  };
  double none = outputError(0), half = outputError(0.5), full = outputError(1);
  EXPECT_LT(half, 0.5 * none);
  EXPECT_LT(full, half);
}

TEST_F(Gptq, theProductOfOneLinearIsWorthAsMuchAsC) {
  Matrix<float> x = randomInputs(600, 172, 2), xFloat = x, noise = randomMatrix(600, 172, 7, 0.1f);
  for (size_t i = 0; i < x.values.size(); ++i)
    xFloat.values[i] *= 1 + noise.values[i];
  Hessian withC, withProduct;
  accumulateHessian(withC, x, xFloat, {}, {});
  accumulateHessian(withProduct, x, xFloat, {}, {}, {w, {}});
  GptqReport other;
  GroupCodes one = solve(w, withC, withGroup(64), report), same = solve(w, withProduct, withGroup(64), other);
  EXPECT_NEAR(other.loss, report.loss, 1e-4 * report.loss);
  int64_t different = 0;
  for (size_t i = 0; i < one.codes.values.size(); ++i)
    different += one.codes.values[i] != same.codes.values[i];
  EXPECT_LT(different, int64_t(one.codes.values.size()) / 100);

  auto solver = GptqSolver::create(withProduct, withGroup(64), {});
  ASSERT_TRUE(solver);
  Result<GroupCodes> codes = (*solver)->quantize(randomMatrix(2, 172, 1), report, {});
  ASSERT_FALSE(codes);
  EXPECT_EQ(codes.error().message, "expected weights of 140 rows, but got 2");
}

TEST_F(Gptq, takesTheMemoryThatIsSaid) {
  GptqOptions options;
  EXPECT_EQ(gptqBytes(8192, 2048, options), 8 * 8192ll * 8192 + 12 * 2048 * 8192ll);
  EXPECT_EQ(gptqBytes(2048, 0, options), 20 * 2048ll * 2048);
  options.floatTarget = 0;
  EXPECT_EQ(gptqBytes(2048, 0, options), 8 * 2048ll * 2048);
}

TEST_F(Gptq, doesNotDependOnThreads) {
  Hessian both = hessian;
  both.c = both.h;
  for (size_t i = 0; i < both.c.values.size(); ++i)
    both.c.values[i] *= 1 + 0.01 * std::sin(double(i));
  w = randomMatrix(600, 172, 9);
  GptqReport other;
  GroupCodes one = solve(w, both, withGroup(32), report, threads(1));
  for (int64_t number : {2, 3, 7}) {
    GroupCodes several = solve(w, both, withGroup(32), other, threads(number));
    EXPECT_EQ(one.codes.values, several.codes.values);
    EXPECT_EQ(one.scales.values, several.scales.values);
    EXPECT_EQ(one.zeros.values, several.zeros.values);
    EXPECT_EQ(report.loss, other.loss);
  }
}

TEST_F(Gptq, doesNotDependOnTheScaleOfH) {
  Hessian scaled = hessian;
  for (double &value : scaled.h.values)
    value *= 0x1p-40;
  GroupCodes one = solve(w, hessian, withGroup(64), report), other = solve(w, scaled, withGroup(64), report);
  EXPECT_EQ(one.codes.values, other.codes.values);
  EXPECT_EQ(one.scales.values, other.scales.values);
}

TEST_F(Gptq, keepsScalesInFloat16) {
  for (ScaleGrid grid : {ScaleGrid::MinMax, ScaleGrid::Search}) {
    GptqOptions options = withGroup(32);
    options.groups.grid = grid;
    options.groups.float16Scales = true;
    GroupCodes codes = solve(w, hessian, options, report);
    for (float scale : codes.scales.values)
      ASSERT_EQ(scale, float(_Float16(scale)));
    expectUsable(codes);
  }
}

TEST_F(Gptq, clearsDeadColumns) {
  for (int64_t k = 0; k < 172; ++k)
    hessian.h(k, 10) = hessian.h(10, k) = 0;
  GroupCodes codes = solve(w, hessian, withGroup(64), report);
  EXPECT_EQ(report.deadColumns, 1);
  for (int64_t n = 0; n < w.rows; ++n)
    EXPECT_EQ(codes.codes(n, 10), codes.zeros(n, 0));
}

TEST_F(Gptq, roundsToNearestWithoutStatistics) {
  Hessian nothing;
  nothing.h = Matrix<double>(172, 172);
  GptqOptions options = withGroup(64);
  GroupCodes codes = solve(w, nothing, options, report);
  EXPECT_TRUE(report.fellBack);
  EXPECT_EQ(codes.codes.values, quantizeGroups(w, options.groups, {}, {}).codes.values);
}

TEST_F(Gptq, raisesTheDampingOfAnIndefiniteMatrix) {
  double mean = dampOf(hessian.h) * 100;
  for (int64_t k = 0; k < 172; ++k)
    hessian.h(k, k) -= 0.1 * mean;
  GroupCodes codes = solve(w, hessian, withGroup(64), report);
  EXPECT_FALSE(report.fellBack);
  EXPECT_GT(report.damping, 0.01);
  EXPECT_LT(report.damping, 0.2);
  expectUsable(codes);
}

TEST_F(Gptq, fallsBackWhereNothingHelps) {
  for (int64_t i = 0; i < 172; ++i)
    for (int64_t j = 0; j < 172; ++j)
      hessian.h(i, j) = i == j ? 1 : (i + j) % 2 ? 1e6 : -1e6;
  GptqOptions options = withGroup(64);
  GroupCodes codes = solve(w, hessian, options, report);
  EXPECT_TRUE(report.fellBack);
  EXPECT_EQ(codes.codes.values, quantizeGroups(w, options.groups, diagonalOf(hessian.h), {}).codes.values);
}

TEST_F(Gptq, survivesExtremeWeights) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t k = 0; k < 172; ++k) {
    w(0, k) = 0;
    w(1, k) = 1e-45f;
    w(2, k) = k % 2 ? std::numeric_limits<float>::max() : std::numeric_limits<float>::lowest();
  }
  w(3, 17) = kNan;
  w(4, 100) = kInf;
  expectUsable(solve(w, hessian, withGroup(32), report));
  expectUsable(solve(Matrix<float>(0, 172), hessian, withGroup(32), report));
}

TEST(GptqShapes, acceptsOneColumnAndAnyGroup) {
  for (int64_t cols : {1, 2, 5, 129})
    for (int64_t groupSize : {-1, 1, 4, 1000})
      for (int bits : {2, 3, 8}) {
        GptqOptions options = withGroup(groupSize);
        options.groups.bits = bits;
        GptqReport report;
        GroupCodes codes = solve(randomMatrix(3, cols, 1), hessianOf(randomMatrix(20, cols, 2)), options, report);
        EXPECT_EQ(codes.scales.cols, (cols + codes.groupSize - 1) / codes.groupSize);
        expectUsable(codes);
      }
}

std::string createError(const Hessian &hessian, const GptqOptions &options) {
  auto solver = GptqSolver::create(hessian, options, {});
  return solver ? "" : solver.error().message;
}

TEST_F(Gptq, rejectsWhatItCannotUse) {
  EXPECT_EQ(createError({}, {}), "expected a square hessian, but got 0x0");
  Hessian bad = hessian;
  bad.c = Matrix<double>(3, 3);
  EXPECT_EQ(createError(bad, {}), "expected float statistics of 172x172, but got 3x3");
  bad = hessian;
  bad.product = Matrix<double>(3, 3);
  EXPECT_EQ(createError(bad, {}), "expected float statistics of 172 columns alone, but got 3");
  bad = hessian;
  bad.h(4, 5) = std::numeric_limits<double>::infinity();
  EXPECT_EQ(createError(bad, {}), "the hessian is not finite at row 4, column 5: activations overflow or contain nan");
  GptqOptions options;
  options.staticGroups = false;
  EXPECT_EQ(createError(hessian, options), "act-order requires static groups");
  options = withGroup(0);
  EXPECT_EQ(createError(hessian, options), "expected a positive group size or -1, but got 0");
  options = withGroup(64);
  options.groups.bits = 9;
  EXPECT_EQ(createError(hessian, options), "expected 2 to 8 bits, but got 9");
  options = withGroup(64);
  options.polishGain = -1;
  EXPECT_EQ(createError(hessian, options), "expected a gain per polishing pass between 0 and 1, but got -1.000000");
  options = withGroup(64);
  options.dampPercent = -1;
  EXPECT_EQ(createError(hessian, options), "expected a damping between 0 and 1, but got -1.000000");

  auto solver = GptqSolver::create(hessian, withGroup(64), {});
  ASSERT_TRUE(solver);
  Result<GroupCodes> codes = (*solver)->quantize(randomMatrix(2, 5, 1), report, {});
  ASSERT_FALSE(codes);
  EXPECT_EQ(codes.error().message, "expected weights of 172 columns, but got 5");
}

} // namespace
