//===- DeviceHessian.cpp - X^T X where a device multiplies ----------------===//
//
// As in Hessian.cpp, products of a block of tokens are float32 and sums over blocks are
// double. The device sees whole matrices; what comes back is added by all threads.
//
//===----------------------------------------------------------------------===//
#include "HessianTokens.h"
#include "Parallel.h"

using namespace qopt;

/// Rows summed in float32: with more, copies from the device and sums in double are less
/// of the work, and rounding of the sums is more.
static constexpr int64_t kTokens = 16384;

/// Makes a product x^T x symmetric to the last bit, as the solver expects H to be.
static void mirror(Matrix<float> &squares, const ParallelFor &parallelFor) {
  constexpr int64_t kRows = 32; // read along columns while they are in the cache
  int64_t size = squares.rows;
  runParallel(parallelFor, (size + kRows - 1) / kRows, [&](int64_t begin, int64_t end) {
    for (int64_t i0 = begin * kRows; i0 < std::min(end * kRows, size); i0 += kRows)
      for (int64_t j = 0; j < i0 + kRows && j < size; ++j)
        for (int64_t i = std::max(i0, j + 1); i < std::min(i0 + kRows, size); ++i)
          squares(i, j) = squares(j, i);
  });
}

/// sums += a + b, or a alone where b is empty.
static void add(Matrix<double> &sums, const Matrix<float> &a, const Matrix<float> &b, const ParallelFor &parallelFor) {
  runParallel(parallelFor, sums.rows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      addFloats(sums.cols, a.row(i), b.rows ? b.row(i) : nullptr, sums.row(i));
  });
}

Status qopt::accumulateHessian(Hessian &hessian, MatrixRef<const float> x, MatrixRef<const float> xFloat,
                               std::span<const uint8_t> mask, const ParallelFor &parallelFor,
                               const LinearTarget &linear, DeviceProducts &device) {
  HessianTokens tokens(hessian, x, xFloat, mask, parallelFor, linear);
  bool hasProduct = hessian.product.rows != 0 && tokens.hasFloat();
  Matrix<float> squares(x.cols, x.cols), own, outputs;
  if (tokens.hasFloat())
    own = Matrix<float>(hasProduct ? linear.weights.rows : x.cols, x.cols);
  for (int64_t first = 0; first < tokens.count(); first += kTokens) {
    MatrixRef<const float> inputs = tokens.inputs(first, kTokens);
    if (Status status = device.multiply(inputs, true, inputs, false, squares); !status)
      return status;
    mirror(squares, parallelFor);
    add(hessian.h, squares, {}, parallelFor);
    if (!tokens.hasFloat())
      continue;
    MatrixRef<const float> ahead = tokens.ahead(first, kTokens);
    if (hasProduct) {
      outputs = Matrix<float>(ahead.rows, linear.weights.rows);
      if (Status status = device.multiply(ahead, false, linear.weights, true, outputs); !status)
        return status;
      tokens.addResidual(first, outputs);
      ahead = outputs;
    }
    if (Status status = device.multiply(ahead, true, inputs, false, own); !status)
      return status;
    if (hasProduct)
      add(hessian.product, own, {}, parallelFor);
    else
      add(hessian.c, squares, own, parallelFor);
  }
  return {};
}
