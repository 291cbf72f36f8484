//===- Divergence.cpp - How far two predictions are apart -----------------===//
//
// Each row by itself, and the sum in their order.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Divergence.h"
#include "Parallel.h"
#include <algorithm>
#include <cmath>

using namespace qopt;

/// log(sum(exp(x))) of a row of logits.
static double logSumExp(const float *x, int64_t count) {
  float top = *std::max_element(x, x + count);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += std::exp(double(x[i]) - top);
  return top + std::log(sum);
}

/// KL(p || q).
static double divergence(const float *p, const float *q, int64_t count) {
  double sumP = logSumExp(p, count), sumQ = logSumExp(q, count), sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    double logP = p[i] - sumP;
    sum += std::exp(logP) * (logP - (q[i] - sumQ));
  }
  return sum;
}

double qopt::sumDivergences(MatrixRef<const float> p, MatrixRef<const float> q, std::span<const uint8_t> mask,
                            const ParallelFor &parallelFor, int64_t &count) {
  std::vector<double> each(p.rows);
  auto counts = [&](int64_t row) { return mask.empty() || mask[row]; };
  runParallel(parallelFor, p.rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      if (counts(row))
        each[row] = divergence(p.row(row), q.row(row), p.cols);
  });
  double sum = 0;
  for (int64_t row = 0; row < p.rows; ++row) {
    sum += each[row];
    count += counts(row);
  }
  return sum;
}
