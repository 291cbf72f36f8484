//===- GptqPrecisionTest.cpp - What float32 products cost -----------------===//
//
// The solver multiplies in float32 and sums in double. Here its steps stand once more in
// double alone, in plain loops: the objective that is reached has to be the same.
//
//===----------------------------------------------------------------------===//
#include "TestUtils.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

/// How far two roundings of one computation may be apart, relative to the objective.
constexpr double kTolerance = 1e-4;

GroupCodes solve(const Matrix<float> &w, const Hessian &hessian, const GptqOptions &options) {
  GptqReport report;
  return *(*GptqSolver::create(hessian, options, threads(2)))->quantize(w, report, threads(2));
}

/// H with the damping of the options.
Matrix<double> damped(Matrix<double> h) {
  double mean = 0;
  for (int64_t k = 0; k < h.rows; ++k)
    mean += h(k, k) / double(h.rows);
  for (int64_t k = 0; k < h.rows; ++k)
    h(k, k) += GptqOptions().dampPercent * mean;
  return h;
}

/// Refit and coordinate descent on one row of codes, in double.
class PlainRow {
public:
  PlainRow(const float *w, const Matrix<double> &h, GroupCodes &codes, int64_t row)
      : w(w), h(h), codes(codes), row(row) {}

  void refit() {
    int64_t groups = codes.scales.cols, size = h.rows;
    std::vector<std::vector<double>> a(groups, std::vector<double>(groups + 1));
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size; ++j) {
        a[i / codes.groupSize][j / codes.groupSize] += code(i) * h(i, j) * code(j);
        a[i / codes.groupSize][groups] += code(i) * h(i, j) * w[j];
      }
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t other = 0; other < groups; ++other)
        if (other != g) {
          double factor = a[other][g] / a[g][g];
          for (int64_t j = g; j <= groups; ++j)
            a[other][j] -= factor * a[g][j];
        }
    for (int64_t g = 0; g < groups; ++g)
      codes.scales(row, g) = float(a[g][groups] / a[g][g]);
  }

  void polish() {
    int64_t size = h.rows;
    std::vector<double> gradient(size);
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size; ++j)
        gradient[i] += h(i, j) * (w[j] - scale(j) * code(j));
    for (int64_t k = 0; k < size; ++k) {
      int64_t zero = codes.zeros(row, k / codes.groupSize);
      double best = std::clamp(std::nearbyint(code(k) + gradient[k] / (h(k, k) * scale(k))), double(-zero),
                               double((1 << codes.bits) - 1 - zero));
      double delta = (code(k) - best) * scale(k);
      for (int64_t j = 0; j < size; ++j)
        gradient[j] += delta * h(k, j);
      codes.codes(row, k) = uint8_t(best + double(zero));
    }
  }

private:
  double code(int64_t k) const { return int(codes.codes(row, k)) - int(codes.zeros(row, k / codes.groupSize)); }
  double scale(int64_t k) const { return codes.scales(row, k / codes.groupSize); }

  const float *w;
  const Matrix<double> &h;
  GroupCodes &codes;
  int64_t row;
};

struct GptqPrecision : testing::TestWithParam<int64_t> {
  int64_t cols = GetParam();
  Matrix<float> w = randomMatrix(48, cols, 1, 0.05f);
  Hessian hessian = hessianOf(randomInputs(2 * cols, cols, 2));
  Matrix<double> h = damped(hessian.h);

  GptqOptions options(int passes, bool inDouble) const {
    GptqOptions result;
    result.groups.groupSize = 64;
    result.groups.referenceMinMax = inDouble; // with the searched grid nothing but the precision
    result.polishPasses = passes;
    result.polishGain = 0;
    result.refitGain = 0;
    return result;
  }
  double value(const GroupCodes &codes) const { return objective(w, codes, h); }
};

TEST_P(GptqPrecision, sweepReachesTheObjectiveOfDouble) {
  double expected = value(solve(w, hessian, options(0, true)));
  EXPECT_NEAR(value(solve(w, hessian, options(0, false))), expected, kTolerance * expected);
}

TEST_P(GptqPrecision, polishAndRefitReachTheObjectiveOfDouble) {
  GroupCodes codes = solve(w, hessian, options(0, true));
  for (int64_t n = 0; n < w.rows; ++n) {
    PlainRow row(w.row(n), h, codes, n);
    for (int pass = 0; pass < 2; ++pass) {
      row.refit();
      row.polish();
    }
  }
  double expected = value(codes);
  EXPECT_NEAR(value(solve(w, hessian, options(2, false))), expected, kTolerance * expected);
}

TEST_P(GptqPrecision, floatTargetIsThatOfDouble) {
  Matrix<float> x = randomInputs(2 * cols, cols, 2), xFloat = x, noise = randomMatrix(2 * cols, cols, 7, 0.1f);
  for (size_t i = 0; i < x.values.size(); ++i)
    xFloat.values[i] *= 1 + noise.values[i];
  Hessian both;
  accumulateHessian(both, x, xFloat, {}, {});
  // With more rows than columns, what is done to C - H is done once for all rows.
  for (int64_t rows : {w.rows, cols + 8}) {
    Matrix<float> weights = randomMatrix(rows, cols, 1, 0.05f);
    // (W' - W) (H + D) = alpha W (C - H), and with a scale for each weight W' is what comes out.
    GptqOptions fine = options(0, false);
    fine.groups.groupSize = 1;
    Matrix<float> with(rows, cols), without(rows, cols);
    dequantizeGroups(solve(weights, both, fine), with);
    double alpha = fine.floatTarget;
    fine.floatTarget = 0;
    dequantizeGroups(solve(weights, both, fine), without);
    double difference = 0, size = 0;
    for (int64_t n = 0; n < rows; n += rows / 24)
      for (int64_t k = 0; k < cols; ++k) {
        double expected = 0, found = 0;
        for (int64_t j = 0; j < cols; ++j) {
          expected += alpha * weights(n, j) * (both.c(j, k) - both.h(j, k));
          found += (double(with(n, j)) - double(without(n, j))) * h(j, k);
        }
        difference += (found - expected) * (found - expected);
        size += expected * expected;
      }
    EXPECT_LT(std::sqrt(difference / size), kTolerance) << rows << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, GptqPrecision, testing::Values(192, 512));

} // namespace
