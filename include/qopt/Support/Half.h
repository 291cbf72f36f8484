//===- Half.h - 16-bit floats ---------------------------------------------===//
//
// float16 (IEEE binary16) and bfloat16 (the upper half of a float32) as bits. Both
// widen to float32 without loss.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_HALF_H
#define QOPT_SUPPORT_HALF_H

#include <bit>
#include <cstdint>

namespace qopt {

/// The value of a float16.
inline float halfToFloat(uint16_t bits) { return static_cast<float>(std::bit_cast<_Float16>(bits)); }

/// The value of a bfloat16.
inline float brainToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

/// The values of `count` float16 or bfloat16, which need not be aligned, in vectors.
void widenHalves(const char *from, int64_t count, float *to);
void widenBrains(const char *from, int64_t count, float *to);

/// The nearest float16, ties to even.
inline uint16_t floatToHalf(float value) { return std::bit_cast<uint16_t>(static_cast<_Float16>(value)); }

/// The nearest bfloat16, ties to even; a NaN stays one.
inline uint16_t nearestBrain(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value)
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// The bfloat16 at or next to it towards zero.
inline uint16_t floatToBrain(float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); }

} // namespace qopt

#endif // QOPT_SUPPORT_HALF_H
