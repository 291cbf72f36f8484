//===- GptqShared.cpp - What all linears of a group share -----------------===//
//
// The sums are double and large; each goes as soon as what is needed of it is there.
//
//===----------------------------------------------------------------------===//
#include "GptqShared.h"
#include "Parallel.h"
#include <algorithm>
#include <cmath>
#include <cstring>

using namespace qopt;

namespace {

/// Brings the sums near to 1, where float32 has its range: by a power of two, which
/// rounds nothing. Returns what they were divided by.
double scaleSums(Hessian &hessian, const ParallelFor &parallelFor) {
  double largest = 0;
  for (int64_t k = 0; k < hessian.h.rows; ++k)
    largest = std::max(largest, std::fabs(hessian.h(k, k)));
  double unit = std::ldexp(1.0, largest > 0 ? std::ilogb(largest) : 0);
  if (!(unit > 0 && std::isfinite(1 / unit)))
    return 1;
  for (Matrix<double> *matrix : {&hessian.h, &hessian.c, &hessian.product})
    runParallel(parallelFor, matrix->rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * matrix->cols; i < end * matrix->cols; ++i)
        matrix->values[i] *= 1 / unit;
    });
  return unit;
}

/// Out of what factorHessian left in `floats`, where it lies: float32 numbers take the first
/// half, R becomes the second, and H stays in the first.
void makeFloats(GptqShared &shared, const ParallelFor &parallelFor) {
  int64_t size = shared.size(), count = size * size;
  auto *bytes = reinterpret_cast<std::byte *>(shared.floats.data());
  for (int64_t i = 0; i < count; ++i) {
    double wide;
    std::memcpy(&wide, bytes + i * sizeof wide, sizeof wide);
    float value = float(wide);
    std::memcpy(bytes + i * sizeof value, &value, sizeof value);
  }
  auto *damped = reinterpret_cast<float *>(bytes), *upper = damped + count;
  constexpr int64_t kSide = 64; // of squares that fit the cache from either side
  runParallel(parallelFor, (size + kSide - 1) / kSide, [&](int64_t begin, int64_t end) {
    std::reverse_copy(damped + begin * kSide * size, damped + std::min(end * kSide, size) * size,
                      upper + (size - std::min(end * kSide, size)) * size);
  });
  runParallel(parallelFor, (size + kSide - 1) / kSide, [&](int64_t begin, int64_t end) {
    for (int64_t i0 = begin * kSide; i0 < std::min(end * kSide, size); i0 += kSide)
      for (int64_t j0 = 0; j0 <= i0; j0 += kSide)
        for (int64_t i = i0; i < std::min(i0 + kSide, size); ++i)
          for (int64_t j = j0; j < std::min(j0 + kSide, i); ++j)
            damped[i * size + j] = damped[j * size + i];
  });
  for (int64_t k = 0; k < size; ++k)
    damped[k * size + k] = float(shared.factor->diagonal[k] + shared.factor->added[k]);
}

} // namespace

GptqShared qopt::shareStatistics(Hessian hessian, const GptqOptions &options, const ParallelFor &parallelFor) {
  int64_t size = hessian.h.rows;
  GptqShared shared;
  shared.options = options;
  shared.dead.resize(size);
  if (!shared.isExact())
    shared.unit = scaleSums(hessian, parallelFor);
  double sum = 0;
  for (int64_t k = 0; k < size; ++k) {
    shared.dead[k] = hessian.h(k, k) == 0;
    shared.deadColumns += shared.dead[k];
    sum += hessian.h(k, k);
  }
  if (shared.deadColumns == size) { // no tokens, or nothing but zeros: there is nothing to weigh errors by
    shared.importance = scaleImportance({}, size, size);
    shared.undamped = std::move(hessian.h);
    return shared;
  }
  // The reference gives dead columns 1, which means something else for each scale of H.
  double live = shared.isExact() ? 1.0 : sum / double(size - shared.deadColumns);
  std::vector<double> diagonal(size);
  for (int64_t k = 0; k < size; ++k) {
    if (shared.dead[k])
      hessian.h(k, k) = live;
    diagonal[k] = hessian.h(k, k);
  }
  shared.importance = scaleImportance(diagonal, size, effectiveGroupSize(options.groups.groupSize, size));

  if (hessian.c.rows != 0 && options.floatTarget != 0) {
    shared.difference = Matrix<float>(size, size);
    runParallel(parallelFor, size, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        for (int64_t j = 0; j < size; ++j)
          shared.difference(i, j) = i == j && shared.dead[i] ? 0.0f : float(hessian.c(i, j) - hessian.h(i, j));
    });
  }
  hessian.c = Matrix<double>();
  if (hessian.product.rows != 0 && options.floatTarget != 0) {
    shared.product = Matrix<float>(hessian.product.rows, size);
    std::copy(hessian.product.values.begin(), hessian.product.values.end(), shared.product.values.begin());
  }
  hessian.product = Matrix<double>();

  shared.factor = factorHessian(hessian.h, options, parallelFor);
  if (!shared.factor) {
    shared.undamped = std::move(hessian.h);
    return shared;
  }
  if (!shared.isExact() || options.polishPasses > 0 || shared.hasFloatTarget()) {
    shared.floats = shared.isExact() ? hessian.h.values : std::move(hessian.h.values);
    makeFloats(shared, parallelFor);
  }
  if (shared.isExact()) {
    std::reverse(hessian.h.values.begin(), hessian.h.values.end()); // rows and columns are
    shared.exactUpper = std::move(hessian.h);
  }
  return shared;
}
