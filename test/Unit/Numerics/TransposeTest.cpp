//===- TransposeTest.cpp - Columns of a stored matrix as rows -------------===//
//
// Shapes that no tile divides, at odd addresses, against one number at a time.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Transpose.h"
#include "qopt/Support/Half.h"
#include "gtest/gtest.h"
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

using namespace qopt;

TEST(Transpose, WidensEveryHalfAsOneByOne) {
  std::vector<uint16_t> bits(1 << 16);
  for (size_t i = 0; i < bits.size(); ++i)
    bits[i] = static_cast<uint16_t>(i);
  std::vector<float> halves(bits.size()), brains(bits.size());
  widenHalves(reinterpret_cast<const char *>(bits.data()), static_cast<int64_t>(bits.size()), halves.data());
  widenBrains(reinterpret_cast<const char *>(bits.data()), static_cast<int64_t>(bits.size()), brains.data());
  for (size_t i = 0; i < bits.size(); ++i) {
    float half = halfToFloat(bits[i]), brain = brainToFloat(bits[i]);
    if (!std::isnan(half))
      ASSERT_EQ(std::bit_cast<uint32_t>(halves[i]), std::bit_cast<uint32_t>(half)) << i;
    else
      ASSERT_TRUE(std::isnan(halves[i])) << i;
    ASSERT_EQ(std::bit_cast<uint32_t>(brains[i]), std::bit_cast<uint32_t>(brain)) << i;
  }
}

TEST(Transpose, ReadsColumns) {
  struct Shape {
    int64_t k, n, first, count;
  };
  for (Shape s : {Shape{1, 1, 0, 1}, Shape{16, 24, 8, 16}, Shape{19, 37, 5, 21}, Shape{7, 100, 90, 10}})
    for (ElementType type : {ElementType::F32, ElementType::F16, ElementType::BF16}) {
      int64_t bytes = elementBytes(type);
      std::vector<char> storage(s.k * s.n * bytes + 1);
      auto value = [&](int64_t k, int64_t n) { return static_cast<float>((k * 31 + n * 7) % 61 - 30) / 8; };
      for (int64_t i = 0; i < s.k * s.n; ++i) {
        float wide = value(i / s.n, i % s.n);
        uint16_t narrow = type == ElementType::F16 ? floatToHalf(wide) : std::bit_cast<uint32_t>(wide) >> 16;
        std::memcpy(&storage[1 + i * bytes], type == ElementType::F32 ? (void *)&wide : &narrow, bytes);
      }
      Matrix<float> rows(s.count, s.k);
      readColumns({storage.data() + 1, type, s.k, s.n}, s.first, rows);
      for (int64_t r = 0; r < s.count; ++r)
        for (int64_t k = 0; k < s.k; ++k)
          ASSERT_EQ(rows(r, k), value(k, s.first + r)) << elementTypeName(type) << " row " << r << " input " << k;
    }
}

TEST(Transpose, FindsTheFirstNonFiniteValue) {
  std::vector<float> values(10000, 1.5f);
  values[3] = std::numeric_limits<float>::max();
  EXPECT_EQ(findNonFinite(values.data(), 10000), std::nullopt);
  values[9999] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(findNonFinite(values.data(), 10000), 9999);
  values[5000] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(findNonFinite(values.data(), 10000), 5000);
}
