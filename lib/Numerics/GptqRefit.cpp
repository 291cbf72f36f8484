//===- GptqRefit.cpp - Least-squares scales for given codes ---------------===//
//
// With the codes c fixed, a row's objective is a parabola in its G group scales s:
//
//   s^T A s - 2 b^T s + const,  A_gh = c_g H c_h,  b_g = c_g H w
//
// c_g being the codes of group g and zero elsewhere. A is built for all rows of a
// tile at once, a product of H's rows of group g with the codes at a time.
//
//===----------------------------------------------------------------------===//
#include "GptqTile.h"
#include <algorithm>
#include <cblas.h>
#include <cfloat>
#include <cmath>
#include <lapacke.h>

using namespace qopt;

namespace {

constexpr int64_t kMaxGroups = 1024;         // above, a row's system is larger than its use
constexpr int64_t kSystemElements = 1 << 22; // of A in memory at a time

QOPT_CPU_CLONES void addProduct(int64_t count, const double *__restrict a, const double *__restrict b,
                                double *__restrict sum) {
  for (int64_t r = 0; r < count; ++r)
    sum[r] += a[r] * b[r];
}

QOPT_CPU_CLONES void addSquare(int64_t count, double factor, const double *__restrict a, double *__restrict sum) {
  for (int64_t r = 0; r < count; ++r)
    sum[r] += factor * (a[r] * a[r]);
}

double parabola(const std::vector<double> &a, const std::vector<double> &b, const std::vector<double> &s) {
  double value = 0;
  for (size_t g = 0; g < s.size(); ++g) {
    double row = 0;
    for (size_t h = 0; h < s.size(); ++h)
      row += a[std::min(g, h) * s.size() + std::max(g, h)] * s[h];
    value += s[g] * (row - 2 * b[g]);
  }
  return value;
}

} // namespace

ScaleRefit::ScaleRefit(const Matrix<double> &h, const GptqFactor &factor, const GptqTile &tile,
                       const std::vector<double> &targetByColumn)
    : h(h), factor(factor), product(targetByColumn) {
  int64_t size = h.rows, rows = tile.rows;
  for (int64_t k = 0; k < size; ++k)
    for (int64_t r = 0; r < rows; ++r)
      product[k * rows + r] *= factor.added[k];
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(size), int(rows), int(size), 1.0, h.values.data(),
              int(size), targetByColumn.data(), int(rows), 1.0, product.data(), int(rows));
}

void ScaleRefit::run(GptqTile &tile) const {
  int64_t size = h.rows, rows = tile.rows, groups = tile.groups();
  if (groups > kMaxGroups)
    return;
  std::vector<double> codes(size * rows);
  for (int64_t j = 0; j < size; ++j)
    std::copy_n(tile.codes.data() + j * rows, rows, codes.data() + factor.order[j] * rows);

  int64_t chunk = std::clamp<int64_t>(kSystemElements / (groups * groups), 1, rows);
  std::vector<double> a, b, systemA(groups * groups), systemB(groups), partial(size * chunk);
  for (int64_t first = 0; first < rows; first += chunk) {
    int64_t count = std::min(chunk, rows - first);
    a.assign(groups * groups * count, 0.0);
    b.assign(groups * count, 0.0);
    for (int64_t g = 0; g < groups; ++g) {
      int64_t begin = g * tile.groupSize, end = std::min(begin + tile.groupSize, size);
      cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, int(size - begin), int(count), int(end - begin), 1.0,
                  h.row(begin) + begin, int(size), codes.data() + begin * rows + first, int(rows), 0.0, partial.data(),
                  int(count));
      for (int64_t k = begin; k < size; ++k)
        addProduct(count, partial.data() + (k - begin) * count, codes.data() + k * rows + first,
                   a.data() + (g * groups + k / tile.groupSize) * count);
      for (int64_t k = begin; k < end; ++k) {
        addSquare(count, factor.added[k], codes.data() + k * rows + first, a.data() + (g * groups + g) * count);
        addProduct(count, product.data() + k * rows + first, codes.data() + k * rows + first, b.data() + g * count);
      }
    }
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t i = 0; i < groups * groups; ++i)
        systemA[i] = a[i * count + r];
      for (int64_t g = 0; g < groups; ++g)
        systemB[g] = b[g * count + r];
      solveRow(tile, first + r, systemA, systemB);
    }
  }
  recomputeErrors(factor, tile);
}

void ScaleRefit::solveRow(GptqTile &tile, int64_t row, std::vector<double> &a, std::vector<double> &b) const {
  int64_t groups = tile.groups(), rows = tile.rows;
  std::vector<double> before(groups), after(groups);
  double mean = 0;
  for (int64_t g = 0; g < groups; ++g) {
    before[g] = tile.scales[g * rows + row];
    mean += a[g * groups + g] / double(groups);
  }
  std::vector<double> factored = a, solution = b;
  for (int64_t g = 0; g < groups; ++g) {
    double &diagonal = factored[g * groups + g];
    if (diagonal > 0) {
      diagonal += 1e-9 * mean;
      continue;
    }
    diagonal = 1; // no code of the group is used: its scale is free, keep it
    solution[g] = before[g];
  }
  // The upper triangle by rows is the lower one by columns.
  if (LAPACKE_dposv(LAPACK_COL_MAJOR, 'L', lapack_int(groups), 1, factored.data(), lapack_int(groups), solution.data(),
                    lapack_int(groups)) != 0)
    return;
  for (int64_t g = 0; g < groups; ++g) {
    double magnitude = std::fabs(solution[g]);
    if (!(magnitude >= FLT_MIN && magnitude <= FLT_MAX))
      return;
    after[g] = std::copysign(double(storableScale(float(magnitude), tile.float16Scales)), solution[g]);
  }
  if (!(parabola(a, b, after) <= parabola(a, b, before)))
    return;
  for (int64_t g = 0; g < groups; ++g) {
    tile.scales[g * rows + row] = float(std::fabs(after[g]));
    if (after[g] > 0)
      continue;
    // A negative scale is a positive one with the codes mirrored, zero point and all.
    float &low = tile.lows[g * rows + row];
    low = -float(tile.maxCode) - low;
    for (int64_t j = 0; j < h.rows; ++j)
      if (factor.order[j] / tile.groupSize == g)
        tile.codes[j * rows + row] = -tile.codes[j * rows + row];
  }
}
