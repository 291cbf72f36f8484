//===- GroupScales.cpp - The scale and zero point of a group --------------===//
//
// Two grids. MinMax is find_params of the GPTQ reference (quant.py). Search tries
// shrunken ranges and keeps the one with the least squared error, each column
// weighed by diag(H): the error that the layer's output will see if the columns
// were independent. A grid of absmax/2^(b-1) reaches one step further on one side;
// which side is part of the search (the "negative scale" of GGUF's Q4_0 and
// MatMulNBits, written here as a positive scale whose zero point is one lower).
//
//===----------------------------------------------------------------------===//
#include "GroupScales.h"
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

using namespace qopt;

namespace {

constexpr int kSteps = 80;     // shrink factors 1, .99 ... .21
constexpr int64_t kLanes = 16; // candidates per inner loop
static_assert(kSteps % kLanes == 0, "no vector of candidates has two zero points");

/// Values between two looks at whether a candidate can still win.
constexpr int64_t kStretch = 8;

/// Values, scaled to absmax 1, that tell most about candidates that shrink a lot, which
/// clamp them; and how many of them are looked at.
constexpr float kLarge = 0.65f;
constexpr int64_t kMostLarge = 32;

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

/// A vector that the loop below keeps in registers, whatever the CPU; it is inlined into each clone.
template <bool isWeighed>
[[gnu::always_inline]] inline void addError(float value, float importance, const Lanes &inverse, const Lanes &step,
                                            float low, float high, Lanes &sum) {
  Lanes code = value * inverse, lowest = low - Lanes(), highest = high - Lanes();
  code = code > lowest ? code : lowest;
  code = code < highest ? code : highest;
  Lanes difference = value - __builtin_elementwise_roundeven(code) * step;
  Lanes square = difference * difference;
  sum += isWeighed ? importance * square : square;
}

[[gnu::always_inline]] inline bool isAnyAlive(const Lanes &sum, float bound) {
  auto alive = !(sum > bound);
  bool result = false;
  for (int64_t lane = 0; lane < kLanes; ++lane)
    result |= alive[lane] != 0;
  return result;
}

/// Sums importance * (value - quantized)^2 for kLanes candidates of one zero point. A
/// lane is a candidate, so every sum runs over k in order whatever the vector width. Sums
/// never shrink: once all of them are above `bound`, none of these candidates can
/// win, and the rest of the values is left out. Returns whether one may win.
template <bool isWeighed>
[[gnu::always_inline]] inline bool sumErrors(const float *values, const float *importance, int64_t count,
                                             const float *inverses, const float *steps, float low, float high,
                                             float bound, float *errors) {
  Lanes inverse, step, sum = {};
  std::memcpy(&inverse, inverses, sizeof inverse);
  std::memcpy(&step, steps, sizeof step);
  int64_t k = 0;
  for (; k + kStretch <= count; k += kStretch) {
#pragma clang loop unroll(full)
    for (int64_t i = k; i < k + kStretch; ++i)
      addError<isWeighed>(values[i], isWeighed ? importance[i] : 1.0f, inverse, step, low, high, sum);
    if (!isAnyAlive(sum, bound))
      return false;
  }
  for (; k < count; ++k)
    addError<isWeighed>(values[k], isWeighed ? importance[k] : 1.0f, inverse, step, low, high, sum);
  std::memcpy(errors, &sum, sizeof sum);
  return isAnyAlive(sum, bound);
}

QOPT_CPU_CLONES bool sumWeighed(const float *values, const float *importance, int64_t count, const float *inverses,
                                const float *steps, float low, float high, float bound, float *errors) {
  return sumErrors<true>(values, importance, count, inverses, steps, low, high, bound, errors);
}
/// The same where all values are equally important.
QOPT_CPU_CLONES bool sumPlain(const float *values, const float *importance, int64_t count, const float *inverses,
                              const float *steps, float low, float high, float bound, float *errors) {
  return sumErrors<false>(values, importance, count, inverses, steps, low, high, bound, errors);
}

QOPT_CPU_CLONES bool areOnes(const float *__restrict values, int64_t count) {
  uint32_t others = 0;
  for (int64_t k = 0; k < count; ++k)
    others |= values[k] != 1.0f;
  return others == 0;
}

/// Smallest and largest value, at most and at least 0; NaNs do not count.
QOPT_CPU_CLONES void findRange(const float *__restrict values, int64_t count, float *range) {
  float low[kLanes] = {}, high[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      float value = values[k + lane];
      low[lane] = value < low[lane] ? value : low[lane];
      high[lane] = value > high[lane] ? value : high[lane];
    }
  for (; k < count; ++k) {
    low[0] = values[k] < low[0] ? values[k] : low[0];
    high[0] = values[k] > high[0] ? values[k] : high[0];
  }
  range[0] = *std::min_element(low, low + kLanes);
  range[1] = *std::max_element(high, high + kLanes);
}

QOPT_CPU_CLONES void divide(const float *__restrict values, int64_t count, float divisor, float *__restrict scaled) {
  for (int64_t k = 0; k < count; ++k)
    scaled[k] = values[k] / divisor;
}

} // namespace

int64_t qopt::effectiveGroupSize(int64_t groupSize, int64_t cols) {
  return groupSize <= 0 || groupSize > cols ? std::max<int64_t>(cols, 1) : groupSize;
}

std::vector<float> qopt::scaleImportance(std::span<const double> importance, int64_t cols, int64_t groupSize) {
  std::vector<float> result(cols, 1.0f);
  if (importance.empty())
    return result;
  for (int64_t first = 0; first < cols; first += groupSize) {
    int64_t last = std::min(first + groupSize, cols);
    double largest = *std::max_element(importance.begin() + first, importance.begin() + last);
    for (int64_t k = first; k < last; ++k)
      result[k] = largest > 0 ? float(importance[k] / largest) : 1.0f;
  }
  return result;
}

void GroupScaler::Candidates::add(float candidateStep, float candidateLow, float candidateHigh) {
  step.push_back(candidateStep);
  inverse.push_back(1.0f / candidateStep);
  low.push_back(candidateLow);
  high.push_back(candidateHigh);
}

GroupScaler::GroupScaler(const GroupOptions &options)
    : options(options), levels((1 << std::clamp(options.bits, 1, 8)) - 1) {
  float half = float((levels + 1) / 2);
  for (bool flipped : {false, true})
    for (int i = 0; i < kSteps; ++i)
      symmetric.add((1.0f - float(i) / 100.0f) / half, flipped ? 1 - half : -half, flipped ? half : half - 1);
}

GroupParams GroupScaler::choose(std::span<const float> values, const float *importance) const {
  float range[2];
  findRange(values.data(), int64_t(values.size()), range);
  float smallest = std::max(range[0], -FLT_MAX), largest = std::min(range[1], FLT_MAX);
  float absMax = std::max(-smallest, largest);
  if (options.grid == ScaleGrid::MinMax || absMax == 0)
    return chooseMinMax(smallest, largest);

  std::vector<float> scaled(values.size());
  divide(values.data(), int64_t(values.size()), absMax, scaled.data());
  if (options.symmetric)
    return best(scaled, importance, absMax, symmetric);
  return best(scaled, importance, absMax, asymmetricCandidates(smallest / absMax, largest / absMax));
}

GroupParams GroupScaler::chooseMinMax(float smallest, float largest) const {
  if (options.symmetric) {
    largest = std::max(-smallest, largest);
    if (smallest < 0 || !options.referenceMinMax)
      smallest = -largest;
  }
  if (smallest == 0 && largest == 0) {
    smallest = -1;
    largest = 1;
  }
  float range = largest - smallest;
  float scale =
      storableScale(range <= FLT_MAX ? range / float(levels) : largest / float(levels) - smallest / float(levels),
                    options.float16Scales);
  if (options.symmetric)
    return {scale, (levels + 1) / 2};
  return {scale, int(roundEven(clampTo(-smallest / scale, 0.0f, float(levels))))};
}

GroupParams GroupScaler::best(std::span<const float> scaled, const float *importance, float absMax,
                              const Candidates &candidates) const {
  // The candidates that shrink least, of every zero point, come first: one of them
  // nearly always wins, and its error is the bound that ends most other sums early.
  // Of equal errors the first in the list wins, so the order changes no result.
  int64_t count = int64_t(candidates.step.size()), winner = 0, size = int64_t(scaled.size());
  auto *sum = areOnes(importance, size) ? sumPlain : sumWeighed;
  // A sum of some of the values, in the same order, is at most that of all: rounding keeps
  // the order of sums. So a candidate that is too bad for its large values is out.
  float large[kMostLarge], ofLarge[kMostLarge];
  int64_t numLarge = 0;
  for (int64_t k = 0; k < size && numLarge < kMostLarge; ++k) {
    large[numLarge] = scaled[k];
    ofLarge[numLarge] = importance[k];
    numLarge += std::fabs(scaled[k]) >= kLarge;
  }
  float least = std::numeric_limits<float>::infinity();
  for (int64_t shrink = 0; shrink < kSteps; shrink += kLanes)
    for (int64_t first = shrink; first < count; first += kSteps) {
      float errors[kLanes];
      auto mayWin = [&](const float *values, const float *weights, int64_t number) {
        return sum(values, weights, number, &candidates.inverse[first], &candidates.step[first], candidates.low[first],
                   candidates.high[first], least, errors);
      };
      bool clampsMuch = shrink >= 2 * kLanes;
      if ((clampsMuch && !mayWin(large, ofLarge, numLarge)) || !mayWin(scaled.data(), importance, size))
        continue;
      for (int64_t lane = 0; lane < kLanes; ++lane)
        if (errors[lane] < least || (errors[lane] == least && first + lane < winner)) {
          least = errors[lane];
          winner = first + lane;
        }
    }
  return {storableScale(absMax * candidates.step[winner], options.float16Scales), -int(candidates.low[winner])};
}

GroupScaler::Candidates GroupScaler::asymmetricCandidates(float smallest, float largest) const {
  float widest = (largest - smallest) / float(levels);
  int middle = int(roundEven(clampTo(-smallest / widest, 0.0f, float(levels))));
  Candidates candidates;
  for (int zero : {middle, middle - 1, middle + 1})
    if (zero >= 0 && zero <= levels)
      for (int i = 0; i < kSteps; ++i)
        candidates.add(widest * (1.0f - float(i) / 100.0f), float(-zero), float(levels - zero));
  return candidates;
}
