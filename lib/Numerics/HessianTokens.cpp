//===- HessianTokens.cpp - The tokens that a batch adds to a Hessian ------===//
//
// Rows are copied only where some are left out.
//
//===----------------------------------------------------------------------===//
#include "HessianTokens.h"
#include "Parallel.h"
#include <cassert>

using namespace qopt;

/// The rows of x whose mask is set; a copy only where rows are left out.
static MatrixRef<const float> selectRows(MatrixRef<const float> x, std::span<const uint8_t> mask,
                                         Matrix<float> &storage) {
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

HessianTokens::HessianTokens(Hessian &hessian, MatrixRef<const float> inputs, MatrixRef<const float> xFloat,
                             std::span<const uint8_t> mask, const ParallelFor &parallelFor, const LinearTarget &linear)
    : isFloatGiven(xFloat.data != nullptr) {
  int64_t size = inputs.cols;
  bool hasProduct = isFloatGiven && linear.weights.data;
  if (hessian.h.rows == 0)
    hessian.h = Matrix<double>(size, size);
  if (hasProduct && hessian.product.rows == 0)
    hessian.product = Matrix<double>(linear.weights.rows, size);
  if (isFloatGiven && !hasProduct && hessian.c.rows == 0)
    hessian.c = Matrix<double>(size, size);
  assert(hessian.h.rows == size && "the width of the inputs changed");
  assert((!isFloatGiven || (xFloat.rows == inputs.rows && xFloat.cols == size)) && "both models see the same tokens");

  x = selectRows(inputs, mask, selected);
  hessian.tokens += x.rows;
  if (!isFloatGiven)
    return;
  if (linear.residual.data)
    residual = selectRows(linear.residual, mask, selectedResidual);
  Matrix<float> selectedFloat;
  xFloat = selectRows(xFloat, mask, selectedFloat);
  difference = Matrix<float>(x.rows, size);
  runParallel(parallelFor, x.rows, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      for (int64_t k = 0; k < size; ++k)
        difference(t, k) = xFloat(t, k) - x(t, k);
  });
}

void HessianTokens::addResidual(int64_t first, Matrix<float> &outputs) const {
  if (!residual.data)
    return;
  for (int64_t t = 0; t < outputs.rows; ++t)
    for (int64_t n = 0; n < outputs.cols; ++n)
      outputs(t, n) += residual(first + t, n);
}
