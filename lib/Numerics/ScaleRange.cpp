//===- ScaleRange.cpp - Which weights have scales that float16 holds ------===//
//
// Without their signs floats are in the order of their bits, so that the largest magnitude of
// a group is found without converting anything.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/ScaleRange.h"
#include "GroupScales.h"
#include "qopt/Support/Half.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

using namespace qopt;

namespace {

/// A scale from here on is off by 2^-7 at most when it is rounded to float16, a sixteenth of a
/// step for the largest code of four bits.
constexpr float kLeastScale = 0x1p-18f, kMostScale = 65504.0f;

/// Columns whose largest magnitudes are kept at a time.
constexpr int64_t kColumns = 4096;

template <typename Bits>
[[gnu::always_inline]] inline void raise(const char *row, int64_t count, Bits *largest) {
  constexpr Bits magnitude = std::numeric_limits<Bits>::max() / 2;
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, row + i * static_cast<int64_t>(sizeof bits), sizeof bits);
    bits &= magnitude;
    largest[i] = bits > largest[i] ? bits : largest[i];
  }
}
QOPT_CPU_CLONES void raiseTo(const char *row, int64_t count, uint16_t *largest) { raise(row, count, largest); }
QOPT_CPU_CLONES void raiseTo(const char *row, int64_t count, uint32_t *largest) { raise(row, count, largest); }

template <typename Bits>
[[gnu::always_inline]] inline Bits findLargest(const char *row, int64_t count) {
  constexpr int64_t kLanes = 32;
  Bits lanes[kLanes] = {}, result = 0;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    raise(row + i * static_cast<int64_t>(sizeof(Bits)), kLanes, lanes);
  raise(row + i * static_cast<int64_t>(sizeof(Bits)), count - i, lanes);
  for (Bits lane : lanes)
    result = lane > result ? lane : result;
  return result;
}
QOPT_CPU_CLONES uint16_t largestOf(const char *row, int64_t count, uint16_t) {
  return findLargest<uint16_t>(row, count);
}
QOPT_CPU_CLONES uint32_t largestOf(const char *row, int64_t count, uint32_t) {
  return findLargest<uint32_t>(row, count);
}

/// The magnitudes that a group may have, in bits of the weights' type; zeros always fit.
template <typename Bits>
struct Range {
  Bits least, most;
  bool holds(Bits largest) const { return largest == 0 || (largest >= least && largest <= most); }
};

template <typename Bits>
bool fitAll(const StoredMatrix &weights, int64_t groupSize, Range<Bits> range) {
  constexpr int64_t bytes = sizeof(Bits);
  for (int64_t first = 0; first < weights.rows; first += groupSize) {
    int64_t count = std::min(groupSize, weights.rows - first);
    if (weights.isTransposed) {
      for (int64_t n = 0; n < weights.cols; ++n)
        if (!range.holds(largestOf(weights.data + (n * weights.rows + first) * bytes, count, Bits())))
          return false;
      continue;
    }
    for (int64_t column = 0; column < weights.cols; column += kColumns) {
      Bits largest[kColumns] = {};
      int64_t columns = std::min(kColumns, weights.cols - column);
      for (int64_t k = first; k < first + count; ++k)
        raiseTo(weights.data + (k * weights.cols + column) * bytes, columns, largest);
      if (!std::all_of(largest, largest + columns, [&](Bits bits) { return range.holds(bits); }))
        return false;
    }
  }
  return true;
}

} // namespace

bool qopt::fitFloat16Scales(const StoredMatrix &weights, const GroupOptions &options) {
  // A scale is between the largest magnitude over all steps and twice that.
  auto steps = static_cast<float>((1 << options.bits) - 1);
  float least = kLeastScale * steps, most = kMostScale * steps / 2;
  int64_t groupSize = effectiveGroupSize(options.groupSize, weights.rows);
  switch (weights.type) {
  case ElementType::F32:
    return fitAll<uint32_t>(weights, groupSize, {std::bit_cast<uint32_t>(least), std::bit_cast<uint32_t>(most)});
  case ElementType::BF16:
    return fitAll<uint16_t>(weights, groupSize,
                            {static_cast<uint16_t>(std::bit_cast<uint32_t>(least) >> 16),
                             static_cast<uint16_t>(std::bit_cast<uint32_t>(most) >> 16)});
  case ElementType::F16:
    return fitAll<uint16_t>(weights, groupSize, {floatToHalf(least), floatToHalf(std::min(most, kMostScale))});
  default:
    return false; // weights are of no other type
  }
}

GroupOptions qopt::withFittingScales(MatrixRef<const float> weights, GroupOptions options) {
  for (int64_t n = 0; options.float16Scales && n < weights.rows; ++n)
    options.float16Scales = fitFloat16Scales(
        {reinterpret_cast<const char *>(weights.row(n)), ElementType::F32, weights.cols, 1, /*isTransposed=*/true},
        options);
  return options;
}
