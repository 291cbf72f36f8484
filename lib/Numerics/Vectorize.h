//===- Vectorize.h - Loops the compiler may widen freely ------------------===//
//
// The hot loops of this folder run over independent elements (rows of W, or
// candidates of a search), never along a sum, so their results do not depend on
// the width of the vectors. They are compiled for several CPUs and chosen when
// the program starts; contraction to fused multiply-add is off in the build.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_VECTORIZE_H
#define QOPT_LIB_NUMERICS_VECTORIZE_H

#include "qopt/Support/CpuClones.h"
#include <cstdint>

namespace qopt {

/// Round half to even for |x| < 2^22: adding 1.5 * 2^23 leaves no fraction bits.
/// A libm call would stop the loop from being vectorized on the oldest CPUs.
inline float roundEven(float x) {
  constexpr float shift = 12582912.0f;
  return (x + shift) - shift;
}

/// Round half to even for |x| < 2^51.
inline double roundEven(double x) {
  constexpr double shift = 6755399441055744.0;
  return (x + shift) - shift;
}

/// x in [low, high]; a NaN becomes `low`.
template <typename T>
inline T clampTo(T x, T low, T high) {
  x = x > low ? x : low;
  return x < high ? x : high;
}

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_VECTORIZE_H
