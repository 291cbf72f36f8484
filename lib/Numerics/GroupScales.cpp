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
#include <limits>

using namespace qopt;

namespace {

constexpr int kSteps = 80;     // shrink factors 1, .99 ... .21
constexpr int64_t kLanes = 16; // candidates per inner loop
static_assert(kSteps % kLanes == 0, "no vector of candidates has two zero points");

/// Values between two looks at whether a candidate can still win.
constexpr int64_t kStretch = 16;

/// Sums importance * (value - quantized)^2 for kLanes candidates. A lane is a
/// candidate, so every sum runs over k in order whatever the vector width. Sums
/// never shrink: once all of them are above `bound`, none of these candidates can
/// win, and the rest of the values is left out. Returns whether all were summed.
QOPT_CPU_CLONES bool sumErrors(const float *__restrict values, const float *__restrict importance, int64_t count,
                               const float *__restrict inverse, const float *__restrict step,
                               const float *__restrict low, const float *__restrict high, float bound,
                               float *__restrict error) {
  float inv[kLanes], stp[kLanes], lo[kLanes], hi[kLanes], sum[kLanes] = {};
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    inv[lane] = inverse[lane];
    stp[lane] = step[lane];
    lo[lane] = low[lane];
    hi[lane] = high[lane];
  }
  for (int64_t begin = 0; begin < count; begin += kStretch) {
    int64_t end = begin + kStretch < count ? begin + kStretch : count;
    for (int64_t k = begin; k < end; ++k)
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        float code = roundEven(clampTo(values[k] * inv[lane], lo[lane], hi[lane]));
        float difference = values[k] - code * stp[lane];
        sum[lane] += importance[k] * (difference * difference);
      }
    int isAlive = 0;
    for (int64_t lane = 0; lane < kLanes; ++lane)
      isAlive |= !(sum[lane] > bound);
    if (!isAlive)
      return false;
  }
  for (int64_t lane = 0; lane < kLanes; ++lane)
    error[lane] = sum[lane];
  return true;
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
  float smallest = 0, largest = 0;
  for (float value : values) {
    smallest = value < smallest ? value : smallest;
    largest = value > largest ? value : largest;
  }
  smallest = std::max(smallest, -FLT_MAX);
  largest = std::min(largest, FLT_MAX);
  float absMax = std::max(-smallest, largest);
  if (options.grid == ScaleGrid::MinMax || absMax == 0)
    return chooseMinMax(smallest, largest);

  std::vector<float> scaled(values.size());
  for (size_t k = 0; k < values.size(); ++k)
    scaled[k] = values[k] / absMax;
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
  int64_t count = int64_t(candidates.step.size()), winner = 0;
  float least = std::numeric_limits<float>::infinity();
  for (int64_t shrink = 0; shrink < kSteps; shrink += kLanes)
    for (int64_t first = shrink; first < count; first += kSteps) {
      float error[kLanes];
      if (!sumErrors(scaled.data(), importance, int64_t(scaled.size()), &candidates.inverse[first],
                     &candidates.step[first], &candidates.low[first], &candidates.high[first], least, error))
        continue;
      for (int64_t lane = 0; lane < kLanes; ++lane)
        if (error[lane] < least || (error[lane] == least && first + lane < winner)) {
          least = error[lane];
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
