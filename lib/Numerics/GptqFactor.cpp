//===- GptqFactor.cpp - Order, damping and factor of H --------------------===//
//
// One Cholesky factorization of the damped H in double, in blocks that threads share
// out; dampings grow until it succeeds.
//
//===----------------------------------------------------------------------===//
#include "GptqFactor.h"
#include "Blas.h"
#include "GroupScales.h"
#include "Parallel.h"
#include <algorithm>
#include <cmath>
#include <lapacke.h>
#include <numeric>

using namespace qopt;

namespace {

constexpr int64_t kBlock = 256;
constexpr int kMaxDampings = 100;
constexpr int kFloors = 6; // 1e-6 ... 1e-1 of the largest diagonal element, as GPTQModel

std::vector<int64_t> columnOrder(const Matrix<double> &h, const GptqOptions &options) {
  std::vector<int64_t> order(h.rows);
  std::iota(order.begin(), order.end(), 0);
  auto isBefore = [&](int64_t a, int64_t b) { return h(a, a) != h(b, b) ? h(a, a) > h(b, b) : a < b; };
  if (options.actOrder)
    std::sort(order.begin(), order.end(), isBefore);
  if (!options.actGroupAware)
    return order;
  // Groups stay whole, so a short one stays last.
  int64_t groupSize = effectiveGroupSize(options.groups.groupSize, h.rows);
  std::vector<std::vector<int64_t>> groups;
  for (int64_t first = 0; first < h.rows; first += groupSize) {
    auto begin = order.begin() + first, end = order.begin() + std::min(first + groupSize, h.rows);
    std::sort(begin, end, isBefore);
    groups.emplace_back(begin, end);
  }
  std::sort(groups.begin(), groups.begin() + h.rows / groupSize,
            [&](const auto &a, const auto &b) { return isBefore(a.front(), b.front()); });
  order.clear();
  for (const std::vector<int64_t> &group : groups)
    order.insert(order.end(), group.begin(), group.end());
  return order;
}

/// L with A = L L^T over the lower triangle of `a`; what is above it stays as it is. Blocks
/// have one size and one owner each, so that the rounding does not depend on the threads.
bool factorLower(Matrix<double> &a, const ParallelFor &parallelFor) {
  int64_t size = a.rows;
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    int64_t end = std::min(begin + kBlock, size), width = end - begin;
    // Row-major lower is column-major upper.
    if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', lapack_int(width), &a(begin, begin), lapack_int(size)) != 0)
      return false;
    int64_t blocks = (size - end + kBlock - 1) / kBlock;
    auto rowsOf = [&](int64_t block) { return std::min(kBlock, size - end - block * kBlock); };
    runParallel(parallelFor, blocks, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block)
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, int(rowsOf(block)), int(width),
                    1.0, &a(begin, begin), int(size), &a(end + block * kBlock, begin), int(size));
    });
    // The tiles of the rest, row by row of tiles.
    runParallel(parallelFor, blocks * (blocks + 1) / 2, [&](int64_t first, int64_t last) {
      int64_t i = 0;
      while ((i + 1) * (i + 2) / 2 <= first)
        ++i;
      for (int64_t tile = first, j = first - i * (i + 1) / 2; tile < last; ++tile) {
        const double *left = &a(end + i * kBlock, begin), *right = &a(end + j * kBlock, begin);
        double *to = &a(end + i * kBlock, end + j * kBlock);
        if (i == j)
          cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, int(rowsOf(i)), int(width), -1.0, left, int(size), 1.0,
                      to, int(size));
        else
          gemm(CblasNoTrans, CblasTrans, rowsOf(i), rowsOf(j), width, -1.0, left, size, right, size, 1.0, to, size);
        if (j++ == i)
          ++i, j = 0;
      }
    });
  }
  return true;
}

/// One attempt. Cholesky gives A = L L^T from the lower triangle; with J the
/// reversal of rows and columns, H = J A J = (J L J)(J L J)^T and J L J is upper
/// triangular. A is made from what is above the diagonal, which stays.
bool tryFactor(Matrix<double> &h, const std::vector<double> &diagonal, double damp, GptqFactor &factor,
               const ParallelFor &parallelFor) {
  int64_t size = h.rows;
  runParallel(parallelFor, size, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t column = factor.order[size - 1 - i];
      double *to = h.row(i);
      for (int64_t j = 0; j < i; ++j) {
        int64_t other = factor.order[size - 1 - j];
        to[j] = h(std::min(column, other), std::max(column, other));
      }
      to[i] = diagonal[column] + damp;
      factor.added[column] = to[i] - factor.diagonal[column];
    }
  });
  if (!factorLower(h, parallelFor))
    return false;
  for (int64_t i = 0; i < size; ++i)
    if (!std::isfinite(1.0 / h(i, i)))
      return false;
  return true;
}

} // namespace

std::optional<GptqFactor> qopt::factorHessian(Matrix<double> &h, const GptqOptions &options,
                                              const ParallelFor &parallelFor) {
  prepareBlas();
  int64_t size = h.rows;
  GptqFactor factor{columnOrder(h, options), std::vector<double>(size), std::vector<double>(size)};
  double largest = 0;
  for (int64_t k = 0; k < size; ++k) {
    factor.diagonal[k] = h(k, k);
    largest = std::max(largest, std::fabs(h(k, k)));
  }

  for (int floor = 0; floor <= kFloors; ++floor) {
    std::vector<double> diagonal = factor.diagonal;
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
      if (tryFactor(h, diagonal, fraction * mean, factor, parallelFor))
        return factor;
    }
  }
  for (int64_t i = 0; i < size; ++i) {
    h(i, i) = factor.diagonal[i];
    for (int64_t j = 0; j < i; ++j)
      h(i, j) = h(j, i);
  }
  return std::nullopt;
}
