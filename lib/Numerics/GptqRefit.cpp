//===- GptqRefit.cpp - Least-squares scales for given codes ---------------===//
//
// With the codes c fixed, a row's objective is a parabola in its G group scales. A
// step d from where they are changes it by
//
//   d^T A d - 2 b^T d,  A_gh = c_g H c_h,  b_g = c_g (H e)
//
// c_g being the codes of group g and zero elsewhere. A is built for all rows of a
// tile at once, a product of the codes of group g with H's rows of it at a time.
//
//===----------------------------------------------------------------------===//
#include "Blas.h"
#include "GptqTile.h"
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <lapacke.h>

using namespace qopt;

namespace {

constexpr int64_t kMaxGroups = 1024;         // above, a row's system is larger than its use
constexpr int64_t kSystemElements = 1 << 22; // of A in memory at a time

/// sum a b in double, in an order that no width of vectors changes.
QOPT_CPU_CLONES double dotProduct(int64_t count, const float *__restrict a, const float *__restrict b) {
  constexpr int64_t kLanes = 8;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] += double(a[i + lane]) * double(b[i + lane]);
  for (int64_t lane = 0; i < count; ++i, ++lane)
    lanes[lane] += double(a[i]) * double(b[i]);
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

/// The new scales of one row; `a` [G, G] has its upper triangle. Returns whether they
/// are better.
bool solveRow(PolishTile &tile, int64_t row, const double *a, const std::vector<double> &b) {
  int64_t groups = tile.groups();
  double mean = 0;
  for (int64_t g = 0; g < groups; ++g)
    mean += a[g * groups + g] / double(groups);
  std::vector<double> factored(a, a + groups * groups), step = b, after(groups);
  for (int64_t g = 0; g < groups; ++g) {
    double &diagonal = factored[g * groups + g];
    diagonal = diagonal > 0 ? diagonal + 1e-9 * mean : 1; // no code of the group is used: its scale stays
  }
  // The upper triangle by rows is the lower one by columns.
  if (LAPACKE_dposv(LAPACK_COL_MAJOR, 'L', lapack_int(groups), 1, factored.data(), lapack_int(groups), step.data(),
                    lapack_int(groups)) != 0)
    return false;
  for (int64_t g = 0; g < groups; ++g) {
    double before = tile.scales(row, g), wanted = before + step[g], magnitude = std::fabs(wanted);
    if (!(magnitude >= FLT_MIN && magnitude <= FLT_MAX))
      return false;
    after[g] = std::copysign(double(storableScale(float(magnitude), tile.float16Scales)), wanted);
    step[g] = after[g] - before;
  }
  double change = 0;
  for (int64_t g = 0; g < groups; ++g) {
    double sum = a[g * groups + g] * step[g] - 2 * b[g];
    for (int64_t h = g + 1; h < groups; ++h)
      sum += 2 * a[g * groups + h] * step[h];
    change += step[g] * sum;
  }
  if (!(change < 0))
    return false;
  tile.values[row] += change;
  for (int64_t g = 0; g < groups; ++g) {
    tile.scales(row, g) = float(std::fabs(after[g]));
    if (after[g] > 0)
      continue;
    // A negative scale is a positive one with the codes mirrored, zero point and all.
    float &low = tile.lows(row, g);
    low = -float(tile.maxCode) - low;
    int64_t first = g * tile.groupSize, last = std::min(first + tile.groupSize, tile.codes.cols);
    for (int64_t k = first; k < last; ++k)
      tile.codes(row, k) = -tile.codes(row, k);
  }
  return true;
}

/// gradients = (target - scale * codes) H for all rows.
void recomputeGradients(MatrixRef<const float> h, PolishTile &tile) {
  int64_t size = h.rows;
  Matrix<float> &errors = tile.errors;
  resize(errors, tile.rows(), size);
  std::copy(tile.target.values.begin(), tile.target.values.end(), errors.values.begin());
  for (int64_t r = 0; r < tile.rows(); ++r)
    for (int64_t g = 0; g < tile.groups(); ++g) {
      float scale = tile.scales(r, g);
      for (int64_t k = g * tile.groupSize; k < std::min((g + 1) * tile.groupSize, size); ++k)
        errors(r, k) -= scale * tile.codes(r, k);
    }
  gemm(CblasNoTrans, CblasNoTrans, tile.rows(), size, size, 1.0f, errors.values.data(), size, h.data, size, 0.0f,
       tile.gradients.values.data(), size);
}

} // namespace

void qopt::refitScales(MatrixRef<const float> h, PolishTile &tile) {
  int64_t size = h.rows, rows = tile.rows(), groups = tile.groups(), groupSize = tile.groupSize;
  if (groups > kMaxGroups)
    return;
  int64_t chunk = std::clamp<int64_t>(kSystemElements / (groups * groups), 1, rows);
  std::vector<double> a, b(groups);
  std::vector<float> &partial = tile.partial;
  partial.resize(std::max<int64_t>(size * chunk, int64_t(partial.size())));
  bool changed = false;
  for (int64_t first = 0; first < rows; first += chunk) {
    int64_t count = std::min(chunk, rows - first);
    a.assign(groups * groups * count, 0.0);
    for (int64_t g = 0; g < groups; ++g) {
      int64_t begin = g * groupSize, width = size - begin;
      gemm(CblasNoTrans, CblasNoTrans, count, width, std::min(groupSize, width), 1.0f, tile.codes.row(first) + begin,
           size, &h(begin, begin), size, 0.0f, partial.data(), width);
      for (int64_t r = 0; r < count; ++r)
        for (int64_t other = g; other < groups; ++other) {
          int64_t k = other * groupSize;
          a[(r * groups + g) * groups + other] = dotProduct(
              std::min(groupSize, size - k), partial.data() + r * width + (k - begin), tile.codes.row(first + r) + k);
        }
    }
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t g = 0; g < groups; ++g) {
        int64_t k = g * groupSize;
        b[g] =
            dotProduct(std::min(groupSize, size - k), tile.gradients.row(first + r) + k, tile.codes.row(first + r) + k);
      }
      changed |= solveRow(tile, first + r, a.data() + r * groups * groups, b);
    }
  }
  if (changed)
    recomputeGradients(h, tile);
}
