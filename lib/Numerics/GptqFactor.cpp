//===- GptqFactor.cpp - Order, damping and factor of H --------------------===//
//
// One Cholesky factorization of the damped H in double; dampings grow until it
// succeeds.
//
//===----------------------------------------------------------------------===//
#include "GptqFactor.h"
#include "Parallel.h"
#include <algorithm>
#include <cmath>
#include <lapacke.h>
#include <numeric>

using namespace qopt;

namespace {

constexpr int kMaxDampings = 100;
constexpr int kFloors = 6; // 1e-6 ... 1e-1 of the largest diagonal element, as GPTQModel

std::vector<int64_t> columnOrder(const Matrix<double> &h, bool actOrder) {
  std::vector<int64_t> order(h.rows);
  std::iota(order.begin(), order.end(), 0);
  if (actOrder)
    std::sort(order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return h(a, a) != h(b, b) ? h(a, a) > h(b, b) : a < b; });
  return order;
}

/// One attempt. LAPACK factors A = L L^T from the lower triangle; with J the
/// reversal of rows and columns, H = J A J = (J L J)(J L J)^T and J L J is upper
/// triangular. Reversing both is reversing the array.
bool tryFactor(const Matrix<double> &h, const std::vector<double> &diagonal, double damp, GptqFactor &factor) {
  int64_t size = h.rows;
  Matrix<double> &a = factor.matrix;
  for (int64_t i = 0; i < size; ++i) {
    const double *from = h.row(factor.order[size - 1 - i]);
    double *to = a.row(i);
    for (int64_t j = 0; j < size; ++j)
      to[j] = from[factor.order[size - 1 - j]];
    int64_t column = factor.order[size - 1 - i];
    to[i] = factor.diagonal[size - 1 - i] = diagonal[column] + damp;
    factor.added[column] = to[i] - h(column, column);
  }
  // Row-major lower is column-major upper: no transposed copy. The other
  // triangle stays as it is and holds H after the reversal.
  if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', lapack_int(size), a.values.data(), lapack_int(size)) != 0)
    return false;
  for (int64_t i = 0; i < size; ++i)
    if (!std::isfinite(1.0 / a(i, i)))
      return false;
  std::reverse(a.values.begin(), a.values.end());
  return true;
}

} // namespace

std::optional<GptqFactor> qopt::factorHessian(const Matrix<double> &h, const GptqOptions &options) {
  useOneBlasThread();
  int64_t size = h.rows;
  GptqFactor factor{Matrix<double>(size, size), std::vector<double>(size), columnOrder(h, options.actOrder),
                    std::vector<double>(size)};

  std::vector<double> original(size);
  for (int64_t k = 0; k < size; ++k)
    original[k] = h(k, k);
  double largest = 0;
  for (double value : original)
    largest = std::max(largest, std::fabs(value));

  for (int floor = 0; floor <= kFloors; ++floor) {
    std::vector<double> diagonal = original;
    if (floor > 0) {
      double least = 1e-6 * largest * std::pow(10.0, floor - 1);
      for (double &value : diagonal)
        value = std::max(value + least, least);
    }
    double mean = std::accumulate(diagonal.begin(), diagonal.end(), 0.0) / double(size);
    // More damping is tried on H as it is; a floor is a stronger medicine and gets one attempt.
    int dampings = floor > 0 || !(options.dampIncrement > 0) ? 1 : kMaxDampings;
    for (int i = 0; i < dampings; ++i) {
      double fraction = options.dampPercent + options.dampIncrement * i;
      if (i > 0 && fraction >= 1)
        break;
      factor.dampFraction = fraction;
      if (tryFactor(h, diagonal, fraction * mean, factor))
        return factor;
    }
  }
  return std::nullopt;
}
