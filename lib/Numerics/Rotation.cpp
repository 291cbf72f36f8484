//===- Rotation.cpp - Orthogonal matrices that mix all features -----------===//
//
// Sylvester's part is a butterfly, Paley's a small product, so that a matrix is rotated in
// time proportional to its size and the order of the latter.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Rotation.h"
#include "Blas.h"
#include "Parallel.h"
#include "qopt/Support/Random.h"
#include <bit>
#include <cmath>
#include <lapacke.h>
#include <numbers>

using namespace qopt;

/// The smallest core that Sylvester's matrices extend to a Hadamard matrix of this order.
static std::optional<Matrix<double>> findCore(int64_t order) {
  if (std::has_single_bit(static_cast<uint64_t>(order)))
    return Matrix<double>(1, 1, 1);
  int64_t core = order;
  while (core % 8 == 0)
    core /= 2;
  for (; core <= order; core *= 2)
    if (std::optional<Matrix<double>> matrix = paleyMatrix(core))
      return matrix;
  return std::nullopt;
}

/// The orthogonal factor of a matrix of normal deviates is a uniformly distributed rotation.
static Matrix<double> randomOrthogonal(int64_t order, uint64_t &state) {
  prepareBlas();
  Matrix<double> matrix(order, order);
  auto uniform = [&] { return (static_cast<double>(splitmix64(state) >> 11) + 0.5) * 0x1p-53; };
  for (double &value : matrix.values) {
    double radius = std::sqrt(-2 * std::log(uniform()));
    value = radius * std::cos(2 * std::numbers::pi * uniform());
  }
  auto n = static_cast<lapack_int>(order);
  std::vector<double> reflectors(order);
  LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, n, n, matrix.values.data(), n, reflectors.data());
  LAPACKE_dorgqr(LAPACK_ROW_MAJOR, n, n, n, matrix.values.data(), n, reflectors.data());
  return matrix;
}

std::optional<Rotation> Rotation::hadamard(std::vector<double> signs) {
  Rotation result;
  std::optional<Matrix<double>> core = findCore(static_cast<int64_t>(signs.size()));
  if (!core)
    return std::nullopt;
  result.factor = 1 / std::sqrt(static_cast<double>(signs.size()));
  result.signs = std::move(signs);
  result.core = std::move(*core);
  result.hasKnownOrder = true;
  return result;
}

Rotation Rotation::random(int64_t order, uint64_t &state) {
  std::vector<double> signs(order);
  for (double &sign : signs)
    sign = splitmix64(state) >> 63 ? -1 : 1;
  if (std::optional<Rotation> known = hadamard(signs))
    return *known;
  Rotation result;
  result.signs = std::move(signs);
  result.core = randomOrthogonal(order, state);
  return result;
}

/// Rows that are rotated together: the columns of a cache line.
static constexpr int64_t kTile = 16;

/// x becomes x times Sylvester's matrix, in blocks of `size`.
static void rotateBySylvester(double *x, int64_t order, int64_t size) {
  for (int64_t half = 1; half < size; half *= 2)
    for (int64_t block = 0; block < order; block += 2 * half)
      for (int64_t i = block; i < block + half; ++i) {
        double a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
}

void Rotation::rotate(Matrix<double> &rows) const {
  int64_t outer = core.rows, inner = order() / outer;
  for (int64_t r = 0; r < rows.rows; ++r) {
    for (int64_t i = 0; i < order(); ++i)
      rows(r, i) *= signs[i] * factor;
    rotateBySylvester(rows.row(r), order(), inner);
  }
  if (outer == 1)
    return;
  Matrix<double> copy = rows;
  if (inner == 1)
    return gemm(CblasNoTrans, CblasNoTrans, rows.rows, outer, outer, 1.0, copy.row(0), outer, core.row(0), outer, 0.0,
                rows.row(0), outer);
  for (int64_t r = 0; r < rows.rows; ++r)
    gemm(CblasTrans, CblasNoTrans, outer, inner, outer, 1.0, core.row(0), outer, copy.row(r), inner, 0.0, rows.row(r),
         inner);
}

template <typename At>
void Rotation::rotateTiles(int64_t count, int64_t length, At at, const ParallelFor &parallelFor) const {
  prepareBlas();
  runParallel(parallelFor, (count + kTile - 1) / kTile, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * kTile; first < std::min(count, end * kTile); first += kTile) {
      Matrix<double> x(std::min(kTile, count - first), order());
      for (int64_t block = 0; block < length; block += order()) {
        for (int64_t k = 0; k < order(); ++k)
          for (int64_t n = 0; n < x.rows; ++n)
            x(n, k) = at(first + n, block + k);
        rotate(x);
        for (int64_t k = 0; k < order(); ++k)
          for (int64_t n = 0; n < x.rows; ++n)
            at(first + n, block + k) = static_cast<float>(x(n, k));
      }
    }
  });
}

void Rotation::rotateRows(MatrixRef<float> matrix, const ParallelFor &parallelFor) const {
  auto at = [&](int64_t row, int64_t k) -> float & { return matrix(row, k); };
  rotateTiles(matrix.rows, matrix.cols, at, parallelFor);
}

void Rotation::rotateColumns(MatrixRef<float> matrix, const ParallelFor &parallelFor) const {
  auto at = [&](int64_t column, int64_t k) -> float & { return matrix(k, column); };
  rotateTiles(matrix.cols, matrix.rows, at, parallelFor);
}
