//===- GptqSweep.cpp - The GPTQ recursion without an inverse --------------===//
//
// The reference quantizes column j, then spreads its error over the columns to
// the right with a row of the factor of H^-1. With H = R R^T, R upper triangular,
// the value of column j at its turn is
//
//   t_j = w_j + sum_{i<j} (w_i - q_i) R_ij / R_jj
//
// with the original w: W is never rewritten, errors of earlier columns are read
// in one product per block. All later columns, with the errors of the first i
// columns spread over them, are w + (E R)_{later} R_{later}^-1: one triangular
// solve gives the weights from which the reference takes a dynamic group's scale.
//
//===----------------------------------------------------------------------===//
#include "Blas.h"
#include "GptqTile.h"
#include <algorithm>

using namespace qopt;

namespace {

/// Rows whose block of columns fits the first-level cache.
constexpr int64_t kCacheRows = 32;

/// Quantizes one column of up to kCacheRows rows. `sum` holds E R of this column, first
/// without its own error, then with it.
template <typename T>
inline void quantizeColumn(int64_t rows, const T *__restrict target, T *__restrict sum, T pivot,
                           const float *__restrict scales, const float *__restrict lows, float maxCode,
                           T *__restrict codes, T *__restrict errors) {
  for (int64_t r = 0; r < rows; ++r) {
    T value = target[r] + sum[r] / pivot;
    T code = T(signedCode(float(value), scales[r], lows[r], maxCode + lows[r]));
    codes[r] = code;
    errors[r] = target[r] - T(scales[r]) * code;
    sum[r] += errors[r] * pivot;
  }
}

/// sums[c] += factors[c] * errors for the columns c that are still to come.
template <typename T>
inline void spread(int64_t cols, int64_t rows, const T *__restrict factors, const T *__restrict errors,
                   T *__restrict sums, int64_t stride) {
  for (int64_t c = 0; c < cols; ++c) {
    T factor = factors[c];
    T *__restrict sum = sums + c * stride;
    for (int64_t r = 0; r < rows; ++r)
      sum[r] += factor * errors[r];
  }
}

// Clones are made of functions, not of templates.
QOPT_CPU_CLONES void quantizeColumnOf(int64_t rows, const float *target, float *sum, float pivot, const float *scales,
                                      const float *lows, float maxCode, float *codes, float *errors) {
  quantizeColumn(rows, target, sum, pivot, scales, lows, maxCode, codes, errors);
}
QOPT_CPU_CLONES void quantizeColumnOf(int64_t rows, const double *target, double *sum, double pivot,
                                      const float *scales, const float *lows, float maxCode, double *codes,
                                      double *errors) {
  quantizeColumn(rows, target, sum, pivot, scales, lows, maxCode, codes, errors);
}
QOPT_CPU_CLONES void spreadOf(int64_t cols, int64_t rows, const float *factors, const float *errors, float *sums,
                              int64_t stride) {
  spread(cols, rows, factors, errors, sums, stride);
}
QOPT_CPU_CLONES void spreadOf(int64_t cols, int64_t rows, const double *factors, const double *errors, double *sums,
                              int64_t stride) {
  spread(cols, rows, factors, errors, sums, stride);
}

/// Scales of the groups that start in positions [begin, end); in each order that dynamic groups
/// come in, a group's columns are neighbours. `sums` holds E R from position `begin` on, for
/// `ahead` of them.
template <typename T>
void chooseDynamicScales(MatrixRef<const T> upper, const std::vector<int64_t> &order, SweepTile<T> &tile, int64_t begin,
                         int64_t end, int64_t ahead, const T *sums, const GroupScaler &scaler,
                         const float *importance) {
  std::vector<T> updated(sums, sums + ahead * tile.rows);
  solveUpper(CblasTrans, ahead, tile.rows, &upper(begin, begin), upper.cols, updated.data(), tile.rows);
  for (int64_t k = 0; k < ahead * tile.rows; ++k)
    updated[k] += tile.target[begin * tile.rows + k];
  int64_t firstGroup = (begin + tile.groupSize - 1) / tile.groupSize;
  std::vector<float> values, weighing;
  for (int64_t group = firstGroup; group * tile.groupSize < end; ++group) {
    int64_t first = group * tile.groupSize, count = std::min(tile.groupSize, upper.cols - first);
    values.resize(count);
    weighing.clear();
    for (int64_t k = 0; k < count; ++k)
      weighing.push_back(importance[order[first + k]]);
    for (int64_t r = 0; r < tile.rows; ++r) {
      for (int64_t k = 0; k < count; ++k)
        values[k] = float(updated[(first - begin + k) * tile.rows + r]);
      tile.setParams(order[first] / tile.groupSize, r, scaler.choose(values, weighing.data()));
    }
  }
}

} // namespace

template <typename T>
void qopt::gptqSweep(MatrixRef<const T> upper, const std::vector<int64_t> &order, SweepTile<T> &tile, int64_t blockSize,
                     const GroupScaler *dynamic, const float *importance) {
  int64_t size = upper.rows, rows = tile.rows;
  for (int64_t begin = 0; begin < size; begin += blockSize) {
    int64_t end = std::min(begin + blockSize, size);
    // How far the groups that start in this block reach.
    int64_t reach = end;
    bool groupStarts = false;
    if (dynamic) {
      int64_t lastStart = (end - 1) / tile.groupSize * tile.groupSize;
      groupStarts = lastStart >= begin;
      if (groupStarts)
        reach = std::max(end, std::min(lastStart + tile.groupSize, size));
    }
    // Columns beyond the block are written again by the block that they belong to.
    T *sums = tile.products.data() + begin * rows;
    if (begin > 0)
      gemm(CblasTrans, CblasNoTrans, reach - begin, rows, begin, T(1), &upper(0, begin), size, tile.errors.data(), rows,
           T(0), sums, rows);
    else
      std::fill_n(sums, reach * rows, T(0));
    if (groupStarts)
      chooseDynamicScales(upper, order, tile, begin, end, reach - begin, sums, *dynamic, importance);

    for (int64_t r = 0; r < rows; r += kCacheRows) {
      int64_t count = std::min(kCacheRows, rows - r);
      for (int64_t j = begin; j < end; ++j) {
        int64_t group = order[j] / tile.groupSize;
        T *sum = sums + (j - begin) * rows + r, *errors = tile.errors.data() + j * rows + r;
        quantizeColumnOf(count, tile.target.data() + j * rows + r, sum, upper(j, j),
                         tile.scales.data() + group * rows + r, tile.lows.data() + group * rows + r,
                         float(tile.maxCode), tile.codes.data() + j * rows + r, errors);
        spreadOf(end - j - 1, count, upper.row(j) + j + 1, errors, sum + rows, rows);
      }
    }
  }
}

template void qopt::gptqSweep(MatrixRef<const float>, const std::vector<int64_t> &, SweepTile<float> &, int64_t,
                              const GroupScaler *, const float *);
template void qopt::gptqSweep(MatrixRef<const double>, const std::vector<int64_t> &, SweepTile<double> &, int64_t,
                              const GroupScaler *, const float *);
