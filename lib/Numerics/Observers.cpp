//===- Observers.cpp - Running statistics of activations ------------------===//
//
// Loops over a batch keep several lanes, which compilers turn into vectors.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Observers.h"
#include "Vectorize.h"
#include <algorithm>
#include <cassert>
#include <cfloat>
#include <cmath>

using namespace qopt;

namespace {

constexpr int64_t kLanes = 16;
constexpr float kMaxCode = 127.0f;

struct RowRange {
  float smallest, largest;
  int64_t nonFinite;
};

/// Lane by lane, so that the loop is vectorized: minimum and maximum do not care about the order.
QOPT_CPU_CLONES RowRange rangeOf(const float *__restrict row, int64_t count) {
  float smallest[kLanes], largest[kLanes];
  int32_t bad[kLanes] = {};
  std::fill_n(smallest, kLanes, FLT_MAX);
  std::fill_n(largest, kLanes, -FLT_MAX);
  auto add = [&](float value, int64_t lane) {
    bool finite = std::fabs(value) <= FLT_MAX;
    bad[lane] += finite ? 0 : 1;
    smallest[lane] = finite && value < smallest[lane] ? value : smallest[lane];
    largest[lane] = finite && value > largest[lane] ? value : largest[lane];
  };
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      add(row[k + lane], lane);
  for (; k < count; ++k)
    add(row[k], 0);
  RowRange range{FLT_MAX, -FLT_MAX, 0};
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    range.smallest = std::min(range.smallest, smallest[lane]);
    range.largest = std::max(range.largest, largest[lane]);
    range.nonFinite += bad[lane];
  }
  return range;
}

QOPT_CPU_CLONES void raiseTo(const float *__restrict row, int64_t count, float *__restrict largest) {
  for (int64_t k = 0; k < count; ++k) {
    float magnitude = std::fabs(row[k]);
    largest[k] = magnitude > largest[k] && magnitude <= FLT_MAX ? magnitude : largest[k];
  }
}

bool counts(std::span<const uint8_t> mask, int64_t row) {
  assert((mask.empty() || row < int64_t(mask.size())) && "one mask element per row");
  return mask.empty() || mask[row];
}

/// A scale a kernel can divide by.
float usable(float scale) { return scale == 0 ? 1.0f : clampTo(scale, FLT_MIN, FLT_MAX); }

} // namespace

void RangeObserver::observe(MatrixRef<const float> x, std::span<const uint8_t> mask) {
  for (int64_t t = 0; t < x.rows; ++t) {
    if (!counts(mask, t))
      continue;
    RowRange range = rangeOf(x.row(t), x.cols);
    ++rowCount;
    nonFiniteCount += range.nonFinite;
    if (range.smallest > range.largest)
      continue;
    smallest = seen ? std::min(smallest, range.smallest) : range.smallest;
    largest = seen ? std::max(largest, range.largest) : range.largest;
    seen = true;
  }
}

float RangeObserver::absMax() const { return std::max(std::fabs(smallest), std::fabs(largest)); }

float RangeObserver::int8Scale() const { return usable(absMax() / kMaxCode); }

void EmaScale::update(float absMax, double momentum) {
  float next = absMax / kMaxCode;
  value = value == 1.0f ? next : float(momentum) * value + float(1.0 - momentum) * next;
}

float EmaScale::scale() const { return usable(value); }

void ColumnAbsMaxObserver::observe(MatrixRef<const float> x, std::span<const uint8_t> mask) {
  if (columns.empty())
    columns.resize(x.cols);
  assert(int64_t(columns.size()) == x.cols && "the width of the value changed");
  for (int64_t t = 0; t < x.rows; ++t)
    if (counts(mask, t))
      raiseTo(x.row(t), x.cols, columns.data());
}

std::vector<int64_t> ColumnAbsMaxObserver::outliers(float threshold) const {
  std::vector<int64_t> result;
  for (size_t k = 0; k < columns.size(); ++k)
    if (columns[k] >= threshold)
      result.push_back(int64_t(k));
  return result;
}

/// Doubles the range until it holds `value`; neighbouring bins merge, so a count
/// never moves to a bin it does not belong to.
void MseObserver::widen(float value) {
  if (limit == 0) {
    int exponent;
    std::frexp(value, &exponent);
    limit = std::ldexp(1.0f, std::clamp(exponent, -100, 127));
  }
  while (value >= limit && limit < 0x1p127f) {
    limit *= 2;
    for (int64_t i = 0; i < kBins; ++i)
      counts[i] = 2 * i < kBins ? counts[2 * i] + counts[2 * i + 1] : 0;
  }
}

void MseObserver::observe(MatrixRef<const float> x, std::span<const uint8_t> mask) {
  range.observe(x, mask);
  if (range.absMax() == 0)
    return;
  widen(range.absMax());
  float perUnit = float(kBins) / limit;
  for (int64_t t = 0; t < x.rows; ++t) {
    if (!::counts(mask, t))
      continue;
    const float *row = x.row(t);
    for (int64_t k = 0; k < x.cols; ++k) {
      float magnitude = std::fabs(row[k]);
      if (magnitude <= FLT_MAX)
        ++counts[std::min(int64_t(magnitude * perUnit), kBins - 1)];
    }
  }
}

float MseObserver::int8Scale() const {
  float widest = range.int8Scale();
  if (range.absMax() == 0)
    return widest;
  double best = -1;
  float bestScale = widest;
  for (int step = 0; step < 80; ++step) {
    float scale = usable(widest * (1.0f - float(step) / 100.0f));
    double error = 0;
    for (int64_t i = 1; i < kBins; ++i) { // bin 0 becomes 0 or itself: nothing that a scale changes
      if (counts[i] == 0)
        continue;
      double value = (double(i) + 0.5) * double(limit) / double(kBins);
      double code = roundEven(std::min(value / scale, double(kMaxCode)));
      error += double(counts[i]) * (value - code * scale) * (value - code * scale);
    }
    if (best < 0 || error < best) {
      best = error;
      bestScale = scale;
    }
  }
  return bestScale;
}
