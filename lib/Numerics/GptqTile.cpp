//===- GptqTile.cpp - The rows of W that one thread works on --------------===//
//
// A tile goes through target, scales, sweep, polish and refit; between them it is laid
// out anew.
//
//===----------------------------------------------------------------------===//
#include "GptqTile.h"
#include "Blas.h"
#include "Parallel.h"
#include <algorithm>
#include <cmath>
#include <type_traits>

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

/// matrix <- matrix (H + damp)^-1; `memory` is of its size.
void divideByHessian(const GptqShared &shared, Matrix<float> &matrix, Matrix<float> &memory) {
  const std::vector<int64_t> &order = shared.factor->order;
  int64_t rows = matrix.rows, size = matrix.cols;
  resize(memory, rows, size);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < size; ++j)
      memory(r, j) = matrix(r, order[j]);
  for (CBLAS_TRANSPOSE transpose : {CblasTrans, CblasNoTrans})
    cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, transpose, CblasNonUnit, int(rows), int(size), 1.0f,
                shared.upper().data, int(size), memory.values.data(), int(size));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < size; ++j)
      matrix(r, order[j]) = memory(r, j);
}

/// W' = W + alpha W (C - H) (H + damp)^-1: of all weights, those whose output on the
/// inputs the layer will really get is nearest to the float model's, at alpha 1.
void addFloatTarget(const GptqShared &shared, const Matrix<float> &shift, MatrixRef<const float> weights, int64_t first,
                    PolishTile &tile) {
  Matrix<float> &target = tile.target, &moved = tile.gradients;
  int64_t rows = target.rows, size = target.cols;
  float alpha = float(shared.options.floatTarget);
  if (shift.rows != 0) {
    gemm(CblasNoTrans, CblasNoTrans, rows, size, size, alpha, weights.data, weights.stride, shift.values.data(), size,
         1.0f, target.values.data(), size);
    return;
  }
  resize(moved, rows, size);
  if (shared.product.rows != 0)
    std::copy_n(shared.product.row(first), rows * size, moved.values.begin());
  else
    gemm(CblasNoTrans, CblasNoTrans, rows, size, size, 1.0f, weights.data, weights.stride,
         shared.difference.values.data(), size, 0.0f, moved.values.data(), size);
  divideByHessian(shared, moved, tile.errors);
  for (int64_t i = 0; i < rows * size; ++i)
    target.values[i] += alpha * moved.values[i];
}

/// Exchanges memory that the sweep needs no more with what polishing needs, and back.
void exchangeMemory(SweepTile<float> &sweep, PolishTile &tile) {
  std::swap(sweep.target, tile.codes.values);
  std::swap(sweep.errors, tile.gradients.values);
  std::swap(sweep.codes, tile.errors.values);
  std::swap(sweep.products, tile.partial);
}
void exchangeMemory(SweepTile<double> &, PolishTile &) {} // polishing is float32

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
      refitScales(shared.damped(), tile);
      double refitted = sumValues(tile.values);
      refit = value - refitted > shared.options.refitGain * before;
    }
    polishCodes(shared.damped(), tile);
    value = sumValues(tile.values);
    if (!(before - value > enough))
      break;
  }
}

/// Damping is not part of the loss: with damping D it is e (H + D) e^T - e D e^T.
double withoutDamping(double value, double dampingPart, double unit) { return (value - dampingPart) * unit; }

/// What polishing starts from: E H = (E R) R^T, and everything by column of W.
template <typename T>
void startPolish(const GptqShared &shared, TileMemory<T> &memory, bool float16Scales) {
  SweepTile<T> &sweep = memory.sweep;
  PolishTile &tile = memory.polish;
  int64_t rows = sweep.rows, groups = sweep.groups(), size = shared.size();
  exchangeMemory(sweep, tile);
  const T *codes;
  if constexpr (std::is_same_v<T, float>) {
    codes = tile.errors.values.data();
  } else {
    codes = sweep.codes.data();
    tile.partial.assign(sweep.products.begin(), sweep.products.end());
  }
  float *products = tile.partial.data();
  cblas_strmm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, int(size), int(rows), 1.0f,
              shared.upper().data, int(size), products, int(rows));
  tile.groupSize = sweep.groupSize;
  tile.maxCode = sweep.maxCode;
  tile.float16Scales = float16Scales;
  resize(tile.codes, rows, size);
  resize(tile.gradients, rows, size);
  resize(tile.scales, rows, groups);
  resize(tile.lows, rows, groups);
  forEachElement(rows, shared.factor->order, [&](int64_t row, int64_t j, int64_t k) {
    tile.codes(row, k) = float(codes[j * rows + row]);
    tile.gradients(row, k) = products[j * rows + row];
  });
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t g = 0; g < groups; ++g) {
      tile.scales(row, g) = sweep.scales[g * rows + row];
      tile.lows(row, g) = sweep.lows[g * rows + row];
    }
}

} // namespace

Matrix<float> qopt::shareShift(const GptqShared &shared, int64_t rows, const ParallelFor &parallelFor) {
  Matrix<float> shift;
  if (!shared.factor || shared.difference.rows == 0 || rows <= shared.size())
    return shift;
  int64_t size = shared.size();
  shift = shared.difference;
  runParallel(parallelFor, (size + kTileRows - 1) / kTileRows, [&](int64_t begin, int64_t end) {
    Matrix<float> block, memory;
    for (int64_t first = begin * kTileRows; first < std::min(end * kTileRows, size); first += kTileRows) {
      int64_t count = std::min(kTileRows, size - first);
      resize(block, count, size);
      std::copy_n(shift.row(first), count * size, block.values.begin());
      divideByHessian(shared, block, memory);
      std::copy_n(block.values.begin(), count * size, shift.row(first));
    }
  });
  return shift;
}

template <typename T>
void qopt::quantizeTile(const GptqShared &shared, MatrixRef<const T> upper, const Matrix<float> &shift,
                        MatrixRef<const float> weights, const GroupScaler &scaler, TileMemory<T> &memory,
                        GroupCodes &result, int64_t first, double *losses) {
  const GptqOptions &options = shared.options;
  const std::vector<int64_t> &order = shared.factor->order;
  int64_t cols = shared.size(), rows = std::min(kTileRows, weights.rows - first), groupSize = result.groupSize;
  SweepTile<T> &sweep = memory.sweep;
  PolishTile &tile = memory.polish;
  sweep.reset(rows, cols, groupSize, scaler.maxCode());
  Matrix<float> &target = tile.target;
  resize(target, rows, cols);
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(weights.row(first + r), cols, target.row(r));
  if (shared.hasFloatTarget()) {
    exchangeMemory(sweep, tile);
    addFloatTarget(shared, shift, {weights.row(first), rows, cols, weights.stride}, first, tile);
    exchangeMemory(sweep, tile);
  }
  for (int64_t k = 0; shared.deadColumns > 0 && k < cols; ++k)
    for (int64_t r = 0; shared.dead[k] && r < rows; ++r)
      target(r, k) = 0;

  // A group per row never changes after the start, so it counts as static. The
  // reference takes its scale before it clears the weights of dead columns.
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

  std::vector<double> &values = tile.values;
  values.assign(rows, 0.0);
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

  startPolish(shared, memory, scaler.hasFloat16Scales());
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
  exchangeMemory(sweep, tile);
}

template void qopt::quantizeTile(const GptqShared &, MatrixRef<const float>, const Matrix<float> &,
                                 MatrixRef<const float>, const GroupScaler &, TileMemory<float> &, GroupCodes &,
                                 int64_t, double *);
template void qopt::quantizeTile(const GptqShared &, MatrixRef<const double>, const Matrix<float> &,
                                 MatrixRef<const float>, const GroupScaler &, TileMemory<double> &, GroupCodes &,
                                 int64_t, double *);
