//===- GroupScales.h - The scale and zero point of a group ----------------===//
//
// Round to nearest and GPTQ quantize groups alike and differ in the weights they see;
// the scale of a group is found here for both.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_GROUPSCALES_H
#define QOPT_LIB_NUMERICS_GROUPSCALES_H

#include "Vectorize.h"
#include "qopt/Numerics/Quantizers.h"
#include <cfloat>

namespace qopt {

struct GroupParams {
  float scale = 1; ///< positive, finite, not denormal
  int zero = 0;    ///< 0..2^bits - 1
};

/// The code of x before the zero point is added, in [-zero, maxCode - zero]. The
/// quotient is a float as in the reference, so that ties fall the same way: with
/// the grid 2*absmax/15 every group's largest weight lies on one.
inline float signedCode(float x, float scale, float low, float high) {
  return roundEven(clampTo(x / scale, low, high));
}

/// `scale` as it will be stored: positive, finite, and of float16's values where
/// they are what is stored.
inline float storableScale(float scale, bool float16) {
  if (float16)
    return static_cast<float>(static_cast<_Float16>(clampTo(scale, 0x1p-24f, 65504.0f)));
  return clampTo(scale, FLT_MIN, FLT_MAX);
}

/// Features per group for K columns: -1, 0 and everything above K mean K.
int64_t effectiveGroupSize(int64_t groupSize, int64_t cols);

/// Chooses scales on the grid that the options name.
class GroupScaler {
public:
  explicit GroupScaler(const GroupOptions &options);

  /// `importance` has values.size() elements, scaled by scaleImportance, and is
  /// read only by the search. NaNs in `values` do not count.
  GroupParams choose(std::span<const float> values, const float *importance) const;

  int maxCode() const { return levels; }
  bool hasFloat16Scales() const { return options.float16Scales; }

private:
  /// Candidates of a search for values scaled to absmax 1: for each zero point all
  /// shrink factors.
  struct Candidates {
    std::vector<float> inverse, step, low, high;
    void add(float step, float low, float high);
  };

  GroupParams chooseMinMax(float smallest, float largest) const;
  /// The range of MinMax, shrunk, with the zero point where rounding puts it and one to either side.
  Candidates asymmetricCandidates(float smallest, float largest) const;
  GroupParams best(std::span<const float> scaled, const float *importance, float absMax,
                   const Candidates &candidates) const;

  GroupOptions options;
  int levels;
  Candidates symmetric;
};

/// Importance per column as the search wants it: float, each group divided by its
/// largest (only ratios within a group matter). All ones when `importance` is empty.
std::vector<float> scaleImportance(std::span<const double> importance, int64_t cols, int64_t groupSize);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_GROUPSCALES_H
