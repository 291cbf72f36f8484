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
#include "GptqTile.h"
#include <algorithm>
#include <cblas.h>

using namespace qopt;

namespace {

/// Quantizes one column of up to kCacheRows rows. `sum` holds E R of this column.
QOPT_CPU_CLONES void quantizeColumn(int64_t rows, const double *__restrict target, const double *__restrict sum,
                                    double pivot, const float *__restrict scales, const float *__restrict lows,
                                    float maxCode, double *__restrict codes, double *__restrict errors) {
  for (int64_t r = 0; r < rows; ++r) {
    double value = target[r] + sum[r] / pivot;
    double code = double(signedCode(float(value), scales[r], lows[r], maxCode + lows[r]));
    codes[r] = code;
    errors[r] = target[r] - double(scales[r]) * code;
  }
}

/// sums[c] += factors[c] * errors for the columns c that are still to come.
QOPT_CPU_CLONES void spread(int64_t cols, int64_t rows, const double *__restrict factors,
                            const double *__restrict errors, double *__restrict sums, int64_t stride) {
  for (int64_t c = 0; c < cols; ++c) {
    double factor = factors[c];
    double *__restrict sum = sums + c * stride;
    for (int64_t r = 0; r < rows; ++r)
      sum[r] += factor * errors[r];
  }
}

/// Scales of the groups that start in columns [begin, end). `sums` holds E R from
/// column `begin` on, for `ahead` columns.
void chooseDynamicScales(const GptqFactor &factor, GptqTile &tile, int64_t begin, int64_t end, int64_t ahead,
                         const std::vector<double> &sums, const GroupScaler &scaler, const float *importance) {
  std::vector<double> updated(sums.begin(), sums.begin() + ahead * tile.rows);
  cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, int(ahead), int(tile.rows), 1.0,
              &factor.matrix(begin, begin), int(factor.size()), updated.data(), int(tile.rows));
  for (int64_t k = 0; k < ahead * tile.rows; ++k)
    updated[k] += tile.target[begin * tile.rows + k];
  int64_t firstGroup = (begin + tile.groupSize - 1) / tile.groupSize;
  for (int64_t group = firstGroup; group * tile.groupSize < end; ++group) {
    int64_t first = group * tile.groupSize, count = std::min(tile.groupSize, factor.size() - first);
    chooseScales(tile, scaler, importance, group, count,
                 [&](int64_t k) { return updated.data() + (first - begin + k) * tile.rows; });
  }
}

} // namespace

void qopt::recomputeErrors(const GptqFactor &factor, GptqTile &tile) {
  for (int64_t j = 0; j < factor.size(); ++j) {
    const float *scales = tile.scales.data() + factor.order[j] / tile.groupSize * tile.rows;
    for (int64_t r = 0; r < tile.rows; ++r) {
      int64_t i = j * tile.rows + r;
      tile.errors[i] = tile.target[i] - double(scales[r]) * tile.codes[i];
    }
  }
}

void qopt::gptqSweep(const GptqFactor &factor, GptqTile &tile, int64_t blockSize, const GroupScaler *dynamic,
                     const float *importance) {
  int64_t size = factor.size(), rows = tile.rows;
  std::vector<double> sums;
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
    sums.assign((reach - begin) * rows, 0.0);
    if (begin > 0)
      cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, int(reach - begin), int(rows), int(begin), 1.0,
                  &factor.matrix(0, begin), int(size), tile.errors.data(), int(rows), 0.0, sums.data(), int(rows));
    if (groupStarts)
      chooseDynamicScales(factor, tile, begin, end, reach - begin, sums, *dynamic, importance);

    for (int64_t r = 0; r < rows; r += kCacheRows) {
      int64_t count = std::min(kCacheRows, rows - r);
      for (int64_t j = begin; j < end; ++j) {
        int64_t group = factor.order[j] / tile.groupSize;
        double *sum = sums.data() + (j - begin) * rows + r;
        double *errors = tile.errors.data() + j * rows + r;
        quantizeColumn(count, tile.target.data() + j * rows + r, sum, factor.matrix(j, j),
                       tile.scales.data() + group * rows + r, tile.lows.data() + group * rows + r, float(tile.maxCode),
                       tile.codes.data() + j * rows + r, errors);
        spread(end - j - 1, count, factor.matrix.row(j) + j + 1, errors, sum + rows, rows);
      }
    }
  }
}
