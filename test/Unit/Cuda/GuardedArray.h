//===- GuardedArray.h - Memory of operands, for tests -----------------------===//
#ifndef QOPT_TEST_UNIT_CUDA_GUARDEDARRAY_H
#define QOPT_TEST_UNIT_CUDA_GUARDEDARRAY_H

#include <algorithm>
#include <cstdint>
#include <vector>

namespace qopt::test {

/// An operand: dense and 64-byte aligned.
struct DeviceArray {
  void *data;
  std::vector<int64_t> shape;
};

/// Elements between margins of 16 KiB, which nobody may read or write: bytes of 0xff,
/// NaN as floats.
template <typename T>
class GuardedArray {
public:
  explicit GuardedArray(const std::vector<T> &values)
      : count(values.size()), lines(2 * kMargin + (count * sizeof(T) + sizeof(Line) - 1) / sizeof(Line)) {
    auto *bytes = reinterpret_cast<char *>(lines.data());
    std::fill_n(bytes, lines.size() * sizeof(Line), char(0xff));
    std::copy(values.begin(), values.end(), data());
  }
  GuardedArray(size_t count, T value) : GuardedArray(std::vector<T>(count, value)) {}

  T *data() { return reinterpret_cast<T *>(lines.data() + kMargin); }
  const T *data() const { return reinterpret_cast<const T *>(lines.data() + kMargin); }
  T &operator[](size_t i) { return data()[i]; }
  T operator[](size_t i) const { return data()[i]; }
  size_t size() const { return count; }
  DeviceArray shaped(std::vector<int64_t> shape) { return {data(), std::move(shape)}; }

  bool marginsAreUntouched() const {
    auto *begin = reinterpret_cast<const unsigned char *>(lines.data()), *end = begin + lines.size() * sizeof(Line);
    auto *first = begin + kMargin * sizeof(Line), *last = first + count * sizeof(T);
    auto isMargin = [](unsigned char byte) { return byte == 0xff; };
    return std::all_of(begin, first, isMargin) && std::all_of(last, end, isMargin);
  }

private:
  struct alignas(64) Line {
    char bytes[64];
  };
  static constexpr size_t kMargin = 256; ///< lines

  size_t count;
  std::vector<Line> lines; ///< aligned, also in a copy
};

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CUDA_GUARDEDARRAY_H
