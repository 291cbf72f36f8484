//===- GptqReferenceTest.cpp - The solver against the published algorithm -===//
//
// A plain transcription of GPTQ as published (gptq.py, quant.py of
// IST-DASLab/gptq): inverse of H, its upper factor, weights updated in place.
// Everything is double but the scales and the quotient that is rounded, which are
// float in the solver too. Codes, scales and zero points have to be identical.
//
//===----------------------------------------------------------------------===//
#include "TestUtils.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

using namespace qopt;
using namespace qopt::test;

namespace {

using Rows = std::vector<std::vector<double>>;

Rows lowerCholesky(const Rows &a) {
  size_t n = a.size();
  Rows l(n, std::vector<double>(n));
  for (size_t j = 0; j < n; ++j)
    for (size_t i = j; i < n; ++i) {
      double sum = a[i][j];
      for (size_t k = 0; k < j; ++k)
        sum -= l[i][k] * l[j][k];
      l[i][j] = i == j ? std::sqrt(sum) : sum / l[j][j];
    }
  return l;
}

/// (L L^T)^-1.
Rows choleskyInverse(const Rows &l) {
  size_t n = l.size();
  Rows inverse(n, std::vector<double>(n)), result = inverse;
  for (size_t c = 0; c < n; ++c)
    for (size_t i = c; i < n; ++i) {
      double sum = i == c;
      for (size_t k = c; k < i; ++k)
        sum -= l[i][k] * inverse[k][c];
      inverse[i][c] = sum / l[i][i];
    }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      for (size_t k = std::max(i, j); k < n; ++k)
        result[i][j] += inverse[k][i] * inverse[k][j];
  return result;
}

struct Params {
  float scale = 0, zero = 0;
};

struct Reference {
  int bits = 4;
  int64_t blockSize = 128, groupSize = -1;
  double percDamp = .01;
  bool symmetric = true, actOrder = false, staticGroups = false, groupAware = false;
  Rows codes, scales, zeros;

  /// One row: w[begin, end).
  Params findParams(const std::vector<double> &w, int64_t begin, int64_t end) const {
    float maxq = float((1 << bits) - 1), xmin = 0, xmax = 0;
    for (int64_t k = begin; k < end; ++k) {
      xmin = std::min(xmin, float(w[k]));
      xmax = std::max(xmax, float(w[k]));
    }
    if (symmetric) {
      xmax = std::max(std::fabs(xmin), xmax);
      if (xmin < 0)
        xmin = -xmax;
    }
    if (xmin == 0 && xmax == 0) {
      xmin = -1;
      xmax = 1;
    }
    Params p;
    p.scale = (xmax - xmin) / maxq;
    p.zero = symmetric ? (maxq + 1) / 2 : std::nearbyint(-xmin / p.scale);
    return p;
  }

  void run(Rows w, Rows h) {
    int64_t rows = int64_t(w.size()), cols = int64_t(h.size());
    int64_t group = groupSize == -1 ? cols : groupSize, groups = (cols + group - 1) / group;
    std::vector<std::vector<Params>> params(rows, std::vector<Params>(groups));
    if (groupSize == -1)
      for (int64_t n = 0; n < rows; ++n)
        params[n][0] = findParams(w[n], 0, cols);
    for (int64_t k = 0; k < cols; ++k)
      if (h[k][k] == 0) {
        h[k][k] = 1;
        for (int64_t n = 0; n < rows; ++n)
          w[n][k] = 0;
      }
    if (groupSize != -1 && staticGroups)
      for (int64_t n = 0; n < rows; ++n)
        for (int64_t g = 0; g < groups; ++g)
          params[n][g] = findParams(w[n], g * group, std::min((g + 1) * group, cols));

    std::vector<int64_t> perm(cols);
    std::iota(perm.begin(), perm.end(), 0);
    if (actOrder)
      std::sort(perm.begin(), perm.end(),
                [&](int64_t a, int64_t b) { return std::pair(-h[a][a], a) < std::pair(-h[b][b], b); });
    // GPTQModel (gar.py): columns within their groups, then whole groups by their first.
    for (int64_t k = 0; groupAware && k < cols; k += group)
      std::sort(perm.begin() + k, perm.begin() + std::min(k + group, cols),
                [&](int64_t a, int64_t b) { return std::pair(-h[a][a], a) < std::pair(-h[b][b], b); });
    if (groupAware) {
      std::vector<int64_t> inGroups = perm, firsts;
      for (int64_t k = 0; k + group <= cols; k += group)
        firsts.push_back(k);
      std::sort(firsts.begin(), firsts.end(), [&](int64_t a, int64_t b) {
        int64_t i = inGroups[a], j = inGroups[b];
        return std::pair(-h[i][i], i) < std::pair(-h[j][j], j);
      });
      for (int64_t g = 0; g < int64_t(firsts.size()); ++g)
        std::copy_n(inGroups.begin() + firsts[g], group, perm.begin() + g * group);
    }
    Rows wp = w, hp = h;
    double mean = 0;
    for (int64_t i = 0; i < cols; ++i) {
      for (int64_t n = 0; n < rows; ++n)
        wp[n][i] = w[n][perm[i]];
      for (int64_t j = 0; j < cols; ++j)
        hp[i][j] = h[perm[i]][perm[j]];
      mean += h[i][i] / double(cols);
    }
    for (int64_t i = 0; i < cols; ++i)
      hp[i][i] += percDamp * mean;
    Rows lower = lowerCholesky(choleskyInverse(lowerCholesky(hp))); // U = lower^T

    codes = Rows(rows, std::vector<double>(cols));
    for (int64_t i1 = 0; i1 < cols; i1 += blockSize) {
      int64_t i2 = std::min(i1 + blockSize, cols);
      Rows block(rows), errors(rows, std::vector<double>(i2 - i1));
      for (int64_t n = 0; n < rows; ++n)
        block[n].assign(wp[n].begin() + i1, wp[n].begin() + i2);
      for (int64_t c = i1; c < i2; ++c)
        for (int64_t n = 0; n < rows; ++n) {
          if (groupSize != -1 && !staticGroups && c % group == 0)
            params[n][perm[c] / group] = findParams(wp[n], c, std::min(c + group, cols));
          const Params &p = params[n][perm[c] / group];
          double x = block[n][c - i1];
          float maxq = float((1 << bits) - 1);
          float q = std::clamp(std::nearbyint(float(x) / p.scale) + p.zero, 0.0f, maxq);
          codes[n][perm[c]] = q;
          double e = (x - double(p.scale) * (q - p.zero)) / lower[c][c];
          errors[n][c - i1] = e;
          for (int64_t j = c; j < i2; ++j)
            block[n][j - i1] -= e * lower[j][c];
        }
      for (int64_t n = 0; n < rows; ++n)
        for (int64_t j = i2; j < cols; ++j)
          for (int64_t c = i1; c < i2; ++c)
            wp[n][j] -= errors[n][c - i1] * lower[j][c];
    }
    scales = Rows(rows, std::vector<double>(groups));
    zeros = scales;
    for (int64_t n = 0; n < rows; ++n)
      for (int64_t g = 0; g < groups; ++g) {
        scales[n][g] = params[n][g].scale;
        zeros[n][g] = params[n][g].zero;
      }
  }
};

template <typename T>
Rows toRows(const Matrix<T> &m) {
  Rows rows(m.rows);
  for (int64_t n = 0; n < m.rows; ++n)
    rows[n].assign(m.row(n), m.row(n) + m.cols);
  return rows;
}

GptqOptions compatOptions(const Reference &reference) {
  GptqOptions options;
  options.groups = {reference.bits, reference.groupSize, reference.symmetric, ScaleGrid::MinMax, true};
  options.dampPercent = reference.percDamp;
  options.actOrder = reference.actOrder;
  options.actGroupAware = reference.groupAware;
  options.staticGroups = reference.staticGroups;
  options.blockSize = reference.blockSize;
  options.polishPasses = 0;
  options.refitScales = false;
  options.floatTarget = 0;
  return options;
}

void expectIdentical(const Matrix<float> &w, const Hessian &hessian, Reference reference) {
  reference.run(toRows(w), toRows(hessian.h));
  auto solver = GptqSolver::create(hessian, compatOptions(reference), threads(2));
  ASSERT_TRUE(solver) << solver.error().message;
  GptqReport report;
  Result<GroupCodes> codes = (*solver)->quantize(w, report, threads(2));
  ASSERT_TRUE(codes) << codes.error().message;
  EXPECT_FALSE(report.fellBack);
  EXPECT_EQ(report.damping, reference.percDamp);
  EXPECT_EQ(toRows(codes->codes), reference.codes);
  EXPECT_EQ(toRows(codes->scales), reference.scales);
  EXPECT_EQ(toRows(codes->zeros), reference.zeros);
}

struct Case {
  int64_t cols, groupSize;
  bool symmetric, actOrder, staticGroups;
  int64_t blockSize = 128;
  bool groupAware = false;
};

class GptqReference : public testing::TestWithParam<Case> {
protected:
  Reference reference() const {
    Reference r;
    r.groupSize = GetParam().groupSize;
    r.symmetric = GetParam().symmetric;
    r.actOrder = GetParam().actOrder;
    r.staticGroups = GetParam().staticGroups;
    r.blockSize = GetParam().blockSize;
    r.groupAware = GetParam().groupAware;
    return r;
  }
};

TEST_P(GptqReference, hasIdenticalCodes) {
  int64_t cols = GetParam().cols;
  expectIdentical(randomMatrix(20, cols, 1, 0.05f), hessianOf(randomInputs(3 * cols, cols, 2)), reference());
}

TEST_P(GptqReference, hasIdenticalCodesWithDeadColumns) {
  int64_t cols = GetParam().cols;
  Matrix<float> x = randomInputs(2 * cols, cols, 3);
  for (int64_t k : {int64_t(0), int64_t(5), cols / 2, cols - 1})
    for (int64_t t = 0; t < x.rows; ++t)
      x(t, k) = 0;
  Matrix<float> w = randomMatrix(9, cols, 4, 0.05f);
  w(2, 5) = 1; // the largest of its row has no say, except with one group per row
  expectIdentical(w, hessianOf(x), reference());
}

TEST_P(GptqReference, hasIdenticalCodesForIdenticalSamples) {
  Matrix<float> x = randomMatrix(1, GetParam().cols, 5);
  expectIdentical(randomMatrix(6, GetParam().cols, 6), hessianOf(x), reference());
}

INSTANTIATE_TEST_SUITE_P(All, GptqReference,
                         testing::Values(Case{256, -1, true, false, false}, Case{256, -1, true, true, true},
                                         Case{256, -1, true, true, false}, Case{256, 32, true, false, false},
                                         Case{256, 64, true, false, false}, Case{256, 128, true, false, false},
                                         Case{256, 32, false, false, false}, Case{256, 32, true, true, true},
                                         Case{256, 128, false, true, true}, Case{172, 64, true, false, false},
                                         Case{172, 64, false, true, true}, Case{172, 32, true, false, false},
                                         Case{200, 96, true, false, false}, Case{200, 160, true, false, false},
                                         Case{172, 24, true, false, false, 50}, Case{172, 64, true, false, false, 1000},
                                         Case{96, 256, true, false, false},
                                         Case{256, 32, true, false, false, 128, true},
                                         Case{172, 64, false, false, false, 128, true},
                                         Case{200, 48, true, false, true, 128, true}));

} // namespace
