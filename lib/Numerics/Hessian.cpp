//===- Hessian.cpp - X^T X over the calibration tokens --------------------===//
//
// Products of a block of tokens are float32 GEMMs, sums over blocks are double. Blocks
// are long, because adding one costs as much as the product of 256 tokens.
// The float model's statistics are summed as the difference C - H, so that their
// rounding is relative to what the two models differ by, not to H.
//
//===----------------------------------------------------------------------===//
#include "Blas.h"
#include "HessianTokens.h"
#include "Parallel.h"
#include "Vectorize.h"
#include "qopt/Numerics/Gptq.h"
#include <algorithm>

using namespace qopt;

QOPT_CPU_CLONES void qopt::addFloats(int64_t count, const float *__restrict a, const float *__restrict b,
                                     double *__restrict to) {
  if (b)
    for (int64_t i = 0; i < count; ++i)
      to[i] += double(a[i]) + double(b[i]);
  else
    for (int64_t i = 0; i < count; ++i)
      to[i] += double(a[i]);
}

namespace {

constexpr int64_t kTokens = 4096; // rows summed in float32

/// Columns of one product: many, so that reading them is little beside multiplying, but
/// some tasks for each thread.
int64_t tileSize(int64_t columns) { return columns <= 1024 ? 256 : 512; }

/// Sums over one block of tokens for the columns [i0, i0 + rows) and [j0, j0 + cols) of x,
/// i0 <= j0, and what was added to H and C for them.
class Tile {
public:
  Tile(Hessian &hessian, int64_t size, bool hasFloat)
      : hessian(hessian), size(size), product(size * size), mirrored(size * size), own(hasFloat ? size * size : 0) {}

  void add(MatrixRef<const float> x, MatrixRef<const float> difference, int64_t i0, int64_t rows, int64_t j0,
           int64_t cols) {
    if (i0 == j0)
      cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, int(rows), int(x.rows), 1.0f, x.data + i0, int(x.stride), 0.0f,
                  product.data(), int(size));
    else
      multiply(x, i0, rows, x, j0, cols, product);
    mirror(i0 == j0, rows, cols);
    addRows(x, difference, i0, rows, j0, cols, product);
    if (i0 != j0)
      addRows(x, difference, j0, cols, i0, rows, mirrored);
  }

private:
  /// result[i][j] = sum_t a[t][aCol + i] * b[t][bCol + j]
  void multiply(MatrixRef<const float> a, int64_t aCol, int64_t rows, MatrixRef<const float> b, int64_t bCol,
                int64_t cols, std::vector<float> &result) {
    gemm(CblasTrans, CblasNoTrans, rows, cols, a.rows, 1.0f, a.data + aCol, a.stride, b.data + bCol, b.stride, 0.0f,
         result.data(), size);
  }

  /// The other triangle of a square, or the transposed tile.
  void mirror(bool onDiagonal, int64_t rows, int64_t cols) {
    constexpr int64_t kSquare = 16;
    for (int64_t i0 = 0; i0 < rows; i0 += kSquare)
      for (int64_t j0 = onDiagonal ? i0 : 0; j0 < cols; j0 += kSquare)
        for (int64_t j = j0; j < std::min(j0 + kSquare, cols); ++j)
          for (int64_t i = i0; i < std::min(onDiagonal ? std::min(i0 + kSquare, j) : i0 + kSquare, rows); ++i)
            (onDiagonal ? product : mirrored)[j * size + i] = product[i * size + j];
  }

  void addRows(MatrixRef<const float> x, MatrixRef<const float> difference, int64_t i0, int64_t rows, int64_t j0,
               int64_t cols, const std::vector<float> &sums) {
    if (!own.empty())
      multiply(difference, i0, rows, x, j0, cols, own);
    for (int64_t i = 0; i < rows; ++i) {
      addFloats(cols, sums.data() + i * size, nullptr, hessian.h.row(i0 + i) + j0);
      if (!own.empty())
        addFloats(cols, sums.data() + i * size, own.data() + i * size, hessian.c.row(i0 + i) + j0);
    }
  }

  Hessian &hessian;
  int64_t size;
  std::vector<float> product, mirrored;
  std::vector<float> own; ///< of the difference, for C
};

/// product += (difference weights^T + residual)^T x, tile by tile of the product.
void accumulateProduct(Matrix<double> &product, const HessianTokens &all, MatrixRef<const float> weights,
                       const ParallelFor &parallelFor) {
  int64_t step = tileSize(weights.cols), rowTiles = (weights.rows + step - 1) / step,
          colTiles = (weights.cols + step - 1) / step;
  for (int64_t first = 0; first < all.count(); first += kTokens) {
    MatrixRef<const float> x = all.inputs(first, kTokens), difference = all.ahead(first, kTokens);
    int64_t tokens = x.rows;
    Matrix<float> outputs(tokens, weights.rows); // what the layer's float outputs are ahead
    runParallel(parallelFor, (tokens + step - 1) / step, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin * step; t < std::min(end * step, tokens); t += step)
        gemm(CblasNoTrans, CblasTrans, std::min(step, tokens - t), weights.rows, x.cols, 1.0f, difference.row(t),
             difference.stride, weights.data, weights.stride, 0.0f, outputs.row(t), weights.rows);
    });
    all.addResidual(first, outputs);
    runParallel(parallelFor, rowTiles * colTiles, [&](int64_t begin, int64_t end) {
      std::vector<float> sums(step * step);
      for (int64_t tile = begin; tile < end; ++tile) {
        int64_t n = tile / colTiles * step, k = tile % colTiles * step;
        int64_t rows = std::min(step, weights.rows - n), cols = std::min(step, x.cols - k);
        gemm(CblasTrans, CblasNoTrans, rows, cols, tokens, 1.0f, outputs.row(0) + n, weights.rows, x.row(0) + k,
             x.stride, 0.0f, sums.data(), step);
        for (int64_t i = 0; i < rows; ++i)
          addFloats(cols, sums.data() + i * step, nullptr, product.row(n + i) + k);
      }
    });
  }
}

} // namespace

void qopt::accumulateHessian(Hessian &hessian, MatrixRef<const float> x, MatrixRef<const float> xFloat,
                             std::span<const uint8_t> mask, const ParallelFor &parallelFor,
                             const LinearTarget &linear) {
  prepareBlas();
  int64_t size = x.cols;
  HessianTokens tokens(hessian, x, xFloat, mask, parallelFor, linear);
  bool hasProduct = tokens.hasFloat() && linear.weights.data;

  // One task owns a tile of the upper triangle and its mirror image.
  int64_t step = tileSize(size);
  std::vector<std::pair<int64_t, int64_t>> tiles;
  for (int64_t i = 0; i < size; i += step)
    for (int64_t j = i; j < size; j += step)
      tiles.emplace_back(i, j);
  runParallel(parallelFor, int64_t(tiles.size()), [&](int64_t begin, int64_t end) {
    Tile tile(hessian, step, tokens.hasFloat() && !hasProduct);
    for (int64_t index = begin; index < end; ++index) {
      auto [i0, j0] = tiles[index];
      for (int64_t t = 0; t < tokens.count(); t += kTokens)
        tile.add(tokens.inputs(t, kTokens), tokens.ahead(t, kTokens), i0, std::min(step, size - i0), j0,
                 std::min(step, size - j0));
    }
  });
  if (hasProduct)
    accumulateProduct(hessian.product, tokens, linear.weights, parallelFor);
}
