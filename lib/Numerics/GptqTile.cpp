//===- GptqTile.cpp - The rows of W that one thread works on --------------===//
//
// A tile goes through target, scales, sweep, polish and refit; between them it is laid
// out anew.
//
//===----------------------------------------------------------------------===//
#include "GptqTile.h"
#include "Blas.h"
#include <algorithm>
#include <cmath>

using namespace qopt;

namespace {

/// Columns per product where the block size cannot change a code.
constexpr int64_t kBlock = 128;

/// Calls body(row, position, column) so that neither layout is walked across the cache.
template <typename Body>
void forEachElement(int64_t rows, const std::vector<int64_t> &order, Body body) {
  constexpr int64_t kRows = 16;
  for (int64_t first = 0; first < rows; first += kRows)
    for (int64_t j = 0; j < int64_t(order.size()); ++j)
      for (int64_t row = first; row < std::min(first + kRows, rows); ++row)
        body(row, j, order[j]);
}

/// W' = W + alpha W (C - H) (H + damp)^-1: of all weights, those whose output on the
/// inputs the layer will really get is nearest to the float model's, at alpha 1.
void addFloatTarget(const GptqShared &shared, int64_t first, Matrix<float> &target) {
  int64_t rows = target.rows, size = shared.size();
  const std::vector<int64_t> &order = shared.factor->order;
  float alpha = float(shared.options.floatTarget);
  Matrix<float> shift(rows, size), solved(rows, size);
  if (shared.product.rows != 0)
    std::transform(shared.product.row(first), shared.product.row(first) + rows * size, shift.values.begin(),
                   [&](float value) { return alpha * value; });
  else
    gemm(CblasNoTrans, CblasNoTrans, rows, size, size, alpha, target.values.data(), size,
         shared.difference.values.data(), size, 0.0f, shift.values.data(), size);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < size; ++j)
      solved(r, j) = shift(r, order[j]);
  for (CBLAS_TRANSPOSE transpose : {CblasTrans, CblasNoTrans})
    cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, transpose, CblasNonUnit, int(rows), int(size), 1.0f,
                shared.upper.values.data(), int(size), solved.values.data(), int(size));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < size; ++j)
      target(r, order[j]) += solved(r, j);
}

/// What polishing starts from: E H = (E R) R^T, and everything by column of W.
template <typename T>
PolishTile startPolish(const GptqShared &shared, const SweepTile<T> &sweep, bool float16Scales, Matrix<float> target,
                       std::vector<double> values) {
  int64_t rows = sweep.rows, groups = sweep.groups(), size = shared.size();
  Matrix<float> products(size, rows);
  std::copy(sweep.products.begin(), sweep.products.end(), products.values.begin());
  cblas_strmm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, int(size), int(rows), 1.0f,
              shared.upper.values.data(), int(size), products.values.data(), int(rows));
  PolishTile tile{sweep.groupSize,
                  sweep.maxCode,
                  float16Scales,
                  std::move(target),
                  Matrix<float>(rows, size),
                  Matrix<float>(rows, size),
                  Matrix<float>(rows, groups),
                  Matrix<float>(rows, groups),
                  std::move(values)};
  forEachElement(rows, shared.factor->order, [&](int64_t row, int64_t j, int64_t k) {
    tile.codes(row, k) = float(sweep.codes[j * rows + row]);
    tile.gradients(row, k) = products(j, row);
  });
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t g = 0; g < groups; ++g) {
      tile.scales(row, g) = sweep.scales[g * rows + row];
      tile.lows(row, g) = sweep.lows[g * rows + row];
    }
  return tile;
}

/// Of the rows whose objective is a number.
double sumValues(const std::vector<double> &values) {
  double sum = 0;
  for (double value : values)
    sum += std::isfinite(value) ? value : 0;
  return sum;
}

/// Passes until one gains too little; a refit that gained too little is the last.
void polish(const GptqShared &shared, PolishTile &tile) {
  bool refit = shared.options.refitScales;
  double value = sumValues(tile.values);
  for (int pass = 0; pass < shared.options.polishPasses; ++pass) {
    double before = value, enough = shared.options.polishGain * before;
    if (refit) {
      refitScales(shared.damped, tile);
      double refitted = sumValues(tile.values);
      refit = value - refitted > shared.options.refitGain * before;
    }
    polishCodes(shared.damped, tile);
    value = sumValues(tile.values);
    if (!(before - value > enough))
      break;
  }
}

/// Damping is not part of the loss: with damping D it is e (H + D) e^T - e D e^T.
double withoutDamping(double value, double dampingPart, double unit) { return (value - dampingPart) * unit; }

} // namespace

template <typename T>
void qopt::quantizeTile(const GptqShared &shared, const Matrix<T> &upper, MatrixRef<const float> weights,
                        const GroupScaler &scaler, GroupCodes &result, int64_t first, double *losses) {
  const GptqOptions &options = shared.options;
  const std::vector<int64_t> &order = shared.factor->order;
  int64_t cols = shared.size(), rows = std::min(kTileRows, weights.rows - first), groupSize = result.groupSize;
  Matrix<float> target(rows, cols);
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(weights.row(first + r), cols, target.row(r));
  if (shared.hasFloatTarget())
    addFloatTarget(shared, first, target);
  for (int64_t k = 0; shared.deadColumns > 0 && k < cols; ++k)
    for (int64_t r = 0; shared.dead[k] && r < rows; ++r)
      target(r, k) = 0;

  // A group per row never changes after the start, so it counts as static. The
  // reference takes its scale before it clears the weights of dead columns.
  SweepTile<T> sweep(rows, cols, groupSize, scaler.maxCode());
  bool oneGroup = options.groups.groupSize == -1, isStatic = options.staticGroups || oneGroup;
  for (int64_t r = 0; isStatic && r < rows; ++r) {
    const float *from = oneGroup && shared.isExact() ? weights.row(first + r) : target.row(r);
    for (int64_t g = 0; g < sweep.groups(); ++g) {
      int64_t k = g * groupSize;
      std::span<const float> values(from + k, std::min(groupSize, cols - k));
      sweep.setParams(g, r, scaler.choose(values, shared.importance.data() + k));
    }
  }
  forEachElement(rows, order,
                 [&](int64_t row, int64_t j, int64_t k) { sweep.target[j * rows + row] = target(row, k); });
  gptqSweep(upper, order, sweep, isStatic ? kBlock : std::min(options.blockSize, cols), isStatic ? nullptr : &scaler,
            shared.importance.data());

  std::vector<double> values(rows);
  for (int64_t j = 0; j < cols; ++j)
    for (int64_t r = 0; r < rows; ++r)
      values[r] += double(sweep.products[j * rows + r]) * double(sweep.products[j * rows + r]);
  const std::vector<double> &added = shared.factor->added;
  auto write = [&](int64_t r, int64_t g, float scale, float low) {
    result.scales(first + r, g) = scale;
    result.zeros(first + r, g) = uint8_t(int(-low));
  };
  if (options.polishPasses == 0) {
    std::vector<double> dampingParts(rows);
    forEachElement(rows, order, [&](int64_t r, int64_t j, int64_t k) {
      float low = sweep.lows[k / groupSize * rows + r];
      result.codes(first + r, k) = uint8_t(int(double(sweep.codes[j * rows + r]) - double(low)));
      double error = double(sweep.errors[j * rows + r]);
      dampingParts[r] += added[k] * error * error;
    });
    for (int64_t r = 0; r < rows; ++r) {
      losses[first + r] = withoutDamping(values[r], dampingParts[r], shared.unit);
      for (int64_t g = 0; g < sweep.groups(); ++g)
        write(r, g, sweep.scales[g * rows + r], sweep.lows[g * rows + r]);
    }
    return;
  }

  PolishTile tile = startPolish(shared, sweep, scaler.hasFloat16Scales(), std::move(target), std::move(values));
  polish(shared, tile);
  for (int64_t r = 0; r < rows; ++r) {
    double dampingPart = 0;
    for (int64_t g = 0; g < tile.groups(); ++g) {
      float scale = tile.scales(r, g), low = tile.lows(r, g);
      write(r, g, scale, low);
      for (int64_t k = g * groupSize; k < std::min((g + 1) * groupSize, cols); ++k) {
        result.codes(first + r, k) = uint8_t(int(tile.codes(r, k) - low));
        double error = double(tile.target(r, k)) - double(scale) * double(tile.codes(r, k));
        dampingPart += added[k] * error * error;
      }
    }
    losses[first + r] = withoutDamping(tile.values[r], dampingPart, shared.unit);
  }
}

template void qopt::quantizeTile(const GptqShared &, const Matrix<float> &, MatrixRef<const float>, const GroupScaler &,
                                 GroupCodes &, int64_t, double *);
template void qopt::quantizeTile(const GptqShared &, const Matrix<double> &, MatrixRef<const float>,
                                 const GroupScaler &, GroupCodes &, int64_t, double *);
