//===- Hessian.cpp - X^T X over the calibration tokens --------------------===//
//
// Products of a block of tokens are float32 GEMMs, sums over blocks are double.
// The float model's statistics are summed as the difference C - H, so that their
// rounding is relative to what the two models differ by, not to H.
//
//===----------------------------------------------------------------------===//
#include "Parallel.h"
#include "qopt/Numerics/Gptq.h"
#include <algorithm>
#include <cassert>
#include <cblas.h>

using namespace qopt;

namespace {

constexpr int64_t kTile = 256;   // columns of one product
constexpr int64_t kTokens = 256; // rows summed in float32

/// The rows of x whose mask is set; a copy only where rows are left out.
MatrixRef<const float> selectRows(MatrixRef<const float> x, std::span<const uint8_t> mask, Matrix<float> &storage) {
  if (std::all_of(mask.begin(), mask.end(), [](uint8_t m) { return m != 0; }))
    return x;
  assert(int64_t(mask.size()) == x.rows && "one mask element per token");
  storage = Matrix<float>(std::count_if(mask.begin(), mask.end(), [](uint8_t m) { return m != 0; }), x.cols);
  int64_t to = 0;
  for (int64_t t = 0; t < x.rows; ++t)
    if (mask[t])
      std::copy_n(x.row(t), x.cols, storage.row(to++));
  return storage;
}

/// product[i][j] = sum_t a[t][aCol + i] * b[t][bCol + j], rows of kTile.
void multiply(MatrixRef<const float> a, int64_t aCol, int64_t rows, MatrixRef<const float> b, int64_t bCol,
              int64_t cols, int64_t firstToken, int64_t tokens, float *product) {
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, int(rows), int(cols), int(tokens), 1.0f,
              a.row(firstToken) + aCol, int(a.stride), b.row(firstToken) + bCol, int(b.stride), 0.0f, product,
              int(kTile));
}

} // namespace

void qopt::accumulateHessian(Hessian &hessian, MatrixRef<const float> x, MatrixRef<const float> xFloat,
                             std::span<const uint8_t> mask, const ParallelFor &parallelFor) {
  useOneBlasThread();
  int64_t size = x.cols;
  if (hessian.h.rows == 0)
    hessian.h = Matrix<double>(size, size);
  bool hasFloat = xFloat.data != nullptr;
  if (hasFloat && hessian.c.rows == 0)
    hessian.c = Matrix<double>(size, size);
  assert(hessian.h.rows == size && "the width of the inputs changed");
  assert((!hasFloat || (xFloat.rows == x.rows && xFloat.cols == size)) && "both models see the same tokens");

  Matrix<float> selected, selectedFloat, difference;
  x = selectRows(x, mask, selected);
  if (hasFloat) {
    xFloat = selectRows(xFloat, mask, selectedFloat);
    difference = Matrix<float>(x.rows, size);
    for (int64_t t = 0; t < x.rows; ++t)
      for (int64_t k = 0; k < size; ++k)
        difference(t, k) = xFloat(t, k) - x(t, k);
  }
  hessian.tokens += x.rows;

  // One task owns a tile of the upper triangle and its mirror image.
  std::vector<std::pair<int64_t, int64_t>> tiles;
  for (int64_t i = 0; i < size; i += kTile)
    for (int64_t j = i; j < size; j += kTile)
      tiles.emplace_back(i, j);
  runParallel(parallelFor, int64_t(tiles.size()), [&](int64_t begin, int64_t end) {
    std::vector<float> product(kTile * kTile), upper(hasFloat ? kTile * kTile : 0), lower(upper.size());
    for (int64_t tile = begin; tile < end; ++tile) {
      auto [i0, j0] = tiles[tile];
      int64_t rows = std::min(kTile, size - i0), cols = std::min(kTile, size - j0);
      for (int64_t t = 0; t < x.rows; t += kTokens) {
        int64_t tokens = std::min(kTokens, x.rows - t);
        multiply(x, i0, rows, x, j0, cols, t, tokens, product.data());
        if (hasFloat) {
          multiply(difference, i0, rows, x, j0, cols, t, tokens, upper.data());
          multiply(difference, j0, cols, x, i0, rows, t, tokens, lower.data());
        }
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t j = i0 == j0 ? i : 0; j < cols; ++j) {
            double value = product[i * kTile + j];
            int64_t row = i0 + i, col = j0 + j;
            hessian.h(row, col) += value;
            if (row != col)
              hessian.h(col, row) += value;
            if (!hasFloat)
              continue;
            hessian.c(row, col) += value + upper[i * kTile + j];
            if (row != col)
              hessian.c(col, row) += value + lower[j * kTile + i];
          }
      }
    }
  });
}
