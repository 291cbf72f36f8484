//===- CheckedMath.h - Arithmetic on sizes that come from files -----------===//
//
// A file may claim any size. Sums and products of such numbers go through here, and do
// not wrap.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_CHECKEDMATH_H
#define QOPT_SUPPORT_CHECKEDMATH_H

#include <cstdint>
#include <optional>
#include <span>

namespace qopt {

/// a + b, or nothing when the sum does not fit.
inline std::optional<int64_t> checkedAdd(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

/// a * b, or nothing when the product does not fit.
inline std::optional<int64_t> checkedMul(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

/// The number of elements of a shape: nothing when a dimension is negative or
/// the product does not fit (also where a later zero would hide an overflow).
inline std::optional<int64_t> checkedNumElements(std::span<const int64_t> dims) {
  int64_t nonZero = 1;
  bool hasZero = false;
  for (int64_t dim : dims) {
    if (dim < 0)
      return std::nullopt;
    if (dim == 0) {
      hasZero = true;
      continue;
    }
    if (__builtin_mul_overflow(nonZero, dim, &nonZero))
      return std::nullopt;
  }
  return hasZero ? 0 : nonZero;
}

} // namespace qopt

#endif // QOPT_SUPPORT_CHECKEDMATH_H
