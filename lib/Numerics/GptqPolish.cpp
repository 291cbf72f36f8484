//===- GptqPolish.cpp - Coordinate descent on the codes -------------------===//
//
// GPTQ decides each code once, seeing only the errors made before it. Here each
// code is decided again, given all others: the objective tr(E H E^T) as a function
// of column k alone is a parabola with its minimum (E H)_k / H_kk further on, so
// the code nearest to that minimum is the best one and no step makes it worse.
//
//===----------------------------------------------------------------------===//
#include "GptqTile.h"
#include <algorithm>
#include <cblas.h>

using namespace qopt;

namespace {

constexpr int64_t kBlock = 128;

/// Decides one column again. `gradient` is (E H) of this column; `change` gets what
/// was added to its errors.
QOPT_CPU_CLONES void polishColumn(int64_t rows, const double *__restrict gradient, double curvature,
                                  const float *__restrict scales, const float *__restrict lows, double maxCode,
                                  double *__restrict codes, double *__restrict errors, double *__restrict change) {
  for (int64_t r = 0; r < rows; ++r) {
    double scale = scales[r], low = lows[r];
    double best = roundEven(clampTo(codes[r] + gradient[r] / (curvature * scale), low, low + maxCode));
    change[r] = (codes[r] - best) * scale;
    errors[r] += change[r];
    codes[r] = best;
  }
}

QOPT_CPU_CLONES void addChange(int64_t cols, int64_t rows, const double *__restrict h, const double *__restrict change,
                               double *__restrict gradients, int64_t stride) {
  for (int64_t c = 0; c < cols; ++c) {
    double factor = h[c];
    double *__restrict gradient = gradients + c * stride;
    for (int64_t r = 0; r < rows; ++r)
      gradient[r] += factor * change[r];
  }
}

} // namespace

void qopt::polishSweep(const GptqFactor &factor, GptqTile &tile) {
  int64_t size = factor.size(), rows = tile.rows;
  const Matrix<double> &matrix = factor.matrix;
  std::vector<double> gradients(kBlock * rows), corner(kBlock * kBlock), change(kCacheRows);
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    int64_t end = std::min(begin + kBlock, size), count = end - begin;
    // H is stored below the diagonal only: expand the block on the diagonal.
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < i; ++j)
        corner[i * count + j] = corner[j * count + i] = matrix(begin + i, begin + j);
      corner[i * count + i] = factor.diagonal[begin + i];
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(count), int(rows), int(count), 1.0, corner.data(),
                int(count), tile.errors.data() + begin * rows, int(rows), 0.0, gradients.data(), int(rows));
    if (begin > 0)
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(count), int(rows), int(begin), 1.0, matrix.row(begin),
                  int(size), tile.errors.data(), int(rows), 1.0, gradients.data(), int(rows));
    if (end < size)
      cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, int(count), int(rows), int(size - end), 1.0,
                  matrix.row(end) + begin, int(size), tile.errors.data() + end * rows, int(rows), 1.0, gradients.data(),
                  int(rows));

    for (int64_t r = 0; r < rows; r += kCacheRows) {
      int64_t cacheRows = std::min(kCacheRows, rows - r);
      for (int64_t j = begin; j < end; ++j) {
        int64_t group = factor.order[j] / tile.groupSize, i = j - begin;
        double *gradient = gradients.data() + i * rows + r;
        polishColumn(cacheRows, gradient, factor.diagonal[j], tile.scales.data() + group * rows + r,
                     tile.lows.data() + group * rows + r, tile.maxCode, tile.codes.data() + j * rows + r,
                     tile.errors.data() + j * rows + r, change.data());
        addChange(count - i - 1, cacheRows, corner.data() + i * count + i + 1, change.data(), gradient + rows, rows);
      }
    }
  }
}
