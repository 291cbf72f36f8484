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
#include <limits>

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

void ColumnAbsMaxObserver::merge(const ColumnAbsMaxObserver &other) {
  if (columns.empty())
    columns.resize(other.columns.size());
  if (!other.columns.empty())
    raiseTo(other.columns.data(), static_cast<int64_t>(columns.size()), columns.data());
}

void RangeObserver::merge(const RangeObserver &other) {
  rowCount += other.rowCount;
  nonFiniteCount += other.nonFiniteCount;
  if (!other.seen)
    return;
  smallest = seen ? std::min(smallest, other.smallest) : other.smallest;
  largest = seen ? std::max(largest, other.largest) : other.largest;
  seen = true;
}

//===----------------------------------------------------------------------===//
// Histograms
//===----------------------------------------------------------------------===//

/// Neighbouring bins merge, so a count never moves to a bin it does not belong to.
void HistogramObserver::doubleLimit() {
  limit *= 2;
  for (std::vector<int64_t> *counts : {&negative, &positive})
    for (int64_t i = 0; i < kBins; ++i)
      (*counts)[i] = 2 * i < kBins ? (*counts)[2 * i] + (*counts)[2 * i + 1] : 0;
}

/// Doubles the range until it holds `value`.
void HistogramObserver::widen(float value) {
  if (limit == 0) {
    int exponent;
    std::frexp(value, &exponent);
    limit = std::ldexp(1.0f, std::clamp(exponent, -100, 127));
  }
  while (value >= limit && limit < 0x1p127f)
    doubleLimit();
}

void HistogramObserver::observe(MatrixRef<const float> x, std::span<const uint8_t> mask) {
  range.observe(x, mask);
  if (range.absMax() == 0)
    return;
  widen(range.absMax());
  float perUnit = float(kBins) / limit;
  for (int64_t t = 0; t < x.rows; ++t) {
    if (!counts(mask, t))
      continue;
    const float *row = x.row(t);
    for (int64_t k = 0; k < x.cols; ++k) {
      float magnitude = std::fabs(row[k]);
      if (magnitude <= FLT_MAX)
        ++(row[k] < 0 ? negative : positive)[std::min(int64_t(magnitude * perUnit), kBins - 1)];
    }
  }
}

void HistogramObserver::merge(const HistogramObserver &other) {
  range.merge(other.range);
  if (other.limit == 0)
    return;
  if (limit == 0)
    limit = other.limit;
  HistogramObserver wide = other;
  while (limit < wide.limit)
    doubleLimit();
  while (wide.limit < limit)
    wide.doubleLimit();
  for (int64_t i = 0; i < kBins; ++i) {
    negative[i] += wide.negative[i];
    positive[i] += wide.positive[i];
  }
}

float HistogramObserver::int8Scale(const ErrorSearch &search) const {
  constexpr int kGrid = 100;
  float widest = range.int8Scale();
  if (range.absMax() == 0)
    return widest;
  double best = -1;
  float bestScale = widest;
  int idle = 0, steps = std::max(1, int(std::lround(search.shrink * kGrid)));
  for (int step = 0; step < steps && (search.patience == 0 || idle < search.patience); ++step) {
    float scale = usable(widest * (1.0f - float(step) / float(kGrid)));
    double error = 0;
    for (int64_t i = 1; i < kBins; ++i) { // bin 0 becomes 0 or itself: nothing that a scale changes
      if (count(i) == 0)
        continue;
      double value = valueOf(i), code = roundEven(std::min(value / scale, double(kMaxCode)));
      double off = std::fabs(value - code * scale);
      error += double(count(i)) * (search.norm == 2 ? off * off : std::pow(off, search.norm));
    }
    ++idle;
    if (best < 0 || error < best) {
      best = error;
      bestScale = scale;
      idle = 0;
    }
  }
  return bestScale;
}

float HistogramObserver::percentile(double percent) const {
  int64_t total = 0;
  for (int64_t i = 0; i < kBins; ++i)
    total += count(i);
  double within = double(total) * percent / 100;
  int64_t seen = 0;
  for (int64_t i = 0; i < kBins; ++i) {
    seen += count(i);
    if (seen > 0 && double(seen) >= within)
      return std::min(absMax(), float(double(i + 1) * double(limit) / double(kBins)));
  }
  return absMax();
}

/// Moves a little of the rest to where there is nothing, so that logarithms exist; false where everything is 0.
static bool smooth(std::vector<double> &values) {
  constexpr double kLittle = 1e-4;
  auto zeros = std::count(values.begin(), values.end(), 0.0);
  auto others = std::ptrdiff_t(values.size()) - zeros;
  if (others == 0)
    return false;
  double taken = kLittle * double(zeros) / double(others);
  if (taken >= 1)
    return false;
  for (double &value : values)
    value = value == 0 ? kLittle : value - taken;
  return true;
}

/// The divergence of bins [first, last) of a histogram, whose outer counts are clipped into them, from the same in
/// `levels` levels; infinite where there is none.
static double clippedDivergence(const std::vector<int64_t> &histogram, size_t first, size_t last, size_t levels) {
  std::vector<double> p(histogram.begin() + int64_t(first), histogram.begin() + int64_t(last)), q(p.size());
  const std::vector<double> inside = p;
  for (size_t i = 0; i < first; ++i)
    p.front() += double(histogram[i]);
  for (size_t i = last; i < histogram.size(); ++i)
    p.back() += double(histogram[i]);
  size_t merged = p.size() / levels;
  for (size_t level = 0; level < levels; ++level) {
    size_t begin = level * merged, end = level + 1 == levels ? p.size() : begin + merged;
    double sum = 0, filled = 0;
    for (size_t i = begin; i < end; ++i) {
      sum += inside[i];
      filled += p[i] != 0;
    }
    for (size_t i = begin; i < end; ++i)
      q[i] = p[i] != 0 && filled > 0 ? sum / filled : 0;
  }
  if (!smooth(p) || !smooth(q))
    return std::numeric_limits<double>::infinity();
  double sumP = 0, sumQ = 0, divergence = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    sumP += p[i];
    sumQ += q[i];
  }
  for (size_t i = 0; i < p.size(); ++i)
    divergence += p[i] / sumP * std::log(p[i] / sumP / (q[i] / sumQ));
  return divergence;
}

float HistogramObserver::entropyThreshold(int bins, int levels) const {
  if (absMax() == 0)
    return 0;
  std::vector<int64_t> histogram(bins);
  double perUnit = double(bins) / (2 * double(absMax()));
  for (int64_t i = 0; i < kBins; ++i)
    for (double sign : {-1.0, 1.0}) {
      int64_t here = (sign < 0 ? negative : positive)[i];
      int64_t bin = int64_t(std::floor((sign * valueOf(i) + double(absMax())) * perUnit));
      if (here > 0)
        histogram[std::clamp<int64_t>(bin, 0, bins - 1)] += here;
    }
  int middle = bins / 2, best = middle;
  double least = std::numeric_limits<double>::infinity();
  for (int half = std::max(1, levels / 2); half <= middle; ++half) {
    double divergence =
        clippedDivergence(histogram, size_t(middle - half), size_t(std::min(middle + half + 1, bins)), size_t(levels));
    if (divergence < least) {
      least = divergence;
      best = half;
    }
  }
  return float(std::min(double(absMax()), double(best) / perUnit));
}
