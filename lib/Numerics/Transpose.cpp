//===- Transpose.cpp - Columns of a stored matrix as rows -----------------===//
//
// Eight rows of eight numbers are widened and transposed in registers, so that neither
// side strides through memory by single numbers.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Transpose.h"
#include "Vectorize.h"
#include "qopt/Support/Half.h"
#include <algorithm>
#include <bit>
#include <cstring>

using namespace qopt;

namespace {

using Floats = float __attribute__((vector_size(32)));
using Halves = _Float16 __attribute__((vector_size(16)));
using Shorts = uint16_t __attribute__((vector_size(16)));
using Words = uint32_t __attribute__((vector_size(32)));

constexpr int64_t kSide = 8;

// Inlined into each clone of the loop below, with the instructions that it may use.
template <ElementType type>
[[gnu::always_inline]] inline void loadEight(const char *from, Floats &to) {
  if constexpr (type == ElementType::F16) {
    Halves halves;
    std::memcpy(&halves, from, sizeof halves);
    to = __builtin_convertvector(halves, Floats);
  } else if constexpr (type == ElementType::BF16) {
    Shorts bits;
    std::memcpy(&bits, from, sizeof bits);
    Words wide = __builtin_convertvector(bits, Words) << 16;
    std::memcpy(&to, &wide, sizeof to);
  } else {
    std::memcpy(&to, from, sizeof to);
  }
}

/// rows[i][j] becomes rows[j][i].
[[gnu::always_inline]] inline void transposeEight(Floats (&rows)[kSide]) {
  Floats pairs[kSide], quads[kSide];
  for (int i = 0; i < kSide; i += 2) {
    pairs[i] = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pairs[i + 1] = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < kSide; i += 4)
    for (int j = 0; j < 2; ++j) {
      quads[i + 2 * j] = __builtin_shufflevector(pairs[i + j], pairs[i + 2 + j], 0, 1, 8, 9, 4, 5, 12, 13);
      quads[i + 2 * j + 1] = __builtin_shufflevector(pairs[i + j], pairs[i + 2 + j], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; ++i) {
    rows[i] = __builtin_shufflevector(quads[i], quads[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    rows[i + 4] = __builtin_shufflevector(quads[i], quads[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

template <ElementType type>
constexpr int64_t kBytes = type == ElementType::F32 ? 4 : 2;

float readOne(const StoredMatrix &from, int64_t index) {
  if (from.type == ElementType::F32) {
    float value;
    std::memcpy(&value, from.data + 4 * index, sizeof value);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, from.data + 2 * index, sizeof bits);
  return from.type == ElementType::F16 ? halfToFloat(bits) : brainToFloat(bits);
}

/// The part of the work that tiles of kSide cover; `count` columns, `depth` rows.
template <ElementType type>
[[gnu::always_inline]] inline void readTiles(const char *__restrict from, int64_t cols, int64_t count, int64_t depth,
                                             float *__restrict to, int64_t stride) {
  for (int64_t k = 0; k < depth; k += kSide)
    for (int64_t r = 0; r < count; r += kSide) {
      Floats tile[kSide];
      for (int64_t i = 0; i < kSide; ++i)
        loadEight<type>(from + ((k + i) * cols + r) * kBytes<type>, tile[i]);
      transposeEight(tile);
      for (int64_t i = 0; i < kSide; ++i)
        std::memcpy(to + (r + i) * stride + k, &tile[i], sizeof tile[i]);
    }
}

QOPT_CPU_CLONES void readFloatTiles(const char *from, int64_t cols, int64_t count, int64_t depth, float *to,
                                    int64_t stride) {
  readTiles<ElementType::F32>(from, cols, count, depth, to, stride);
}
QOPT_CPU_CLONES void readHalfTiles(const char *from, int64_t cols, int64_t count, int64_t depth, float *to,
                                   int64_t stride) {
  readTiles<ElementType::F16>(from, cols, count, depth, to, stride);
}
QOPT_CPU_CLONES void readBrainTiles(const char *from, int64_t cols, int64_t count, int64_t depth, float *to,
                                    int64_t stride) {
  readTiles<ElementType::BF16>(from, cols, count, depth, to, stride);
}

/// Whether an exponent among `count` numbers has all bits set.
QOPT_CPU_CLONES bool hasNonFinite(const float *__restrict values, int64_t count) {
  uint32_t found = 0;
  for (int64_t i = 0; i < count; ++i)
    found |= (std::bit_cast<uint32_t>(values[i]) & 0x7f800000u) == 0x7f800000u;
  return found != 0;
}

} // namespace

void qopt::readColumns(const StoredMatrix &from, int64_t first, MatrixRef<float> rows) {
  auto *read = from.type == ElementType::F32   ? readFloatTiles
               : from.type == ElementType::F16 ? readHalfTiles
                                               : readBrainTiles;
  int64_t bytes = from.type == ElementType::F32 ? 4 : 2;
  if (from.isTransposed) {
    for (int64_t r = 0; r < rows.rows; ++r) {
      const char *column = from.data + (first + r) * from.rows * bytes;
      if (from.type == ElementType::F32)
        std::memcpy(rows.row(r), column, from.rows * bytes);
      else
        (from.type == ElementType::F16 ? widenHalves : widenBrains)(column, from.rows, rows.row(r));
    }
    return;
  }
  int64_t count = rows.rows / kSide * kSide, depth = from.rows / kSide * kSide;
  read(from.data + first * bytes, from.cols, count, depth, rows.data, rows.stride);
  for (int64_t r = 0; r < rows.rows; ++r)
    for (int64_t k = r < count ? depth : 0; k < from.rows; ++k)
      rows(r, k) = readOne(from, k * from.cols + first + r);
}

std::optional<int64_t> qopt::findNonFinite(const float *values, int64_t count) {
  constexpr int64_t kBlock = 4096;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    int64_t end = std::min(count, begin + kBlock);
    if (!hasNonFinite(values + begin, end - begin))
      continue;
    for (int64_t i = begin; i < end; ++i)
      if (hasNonFinite(values + i, 1))
        return i;
  }
  return std::nullopt;
}
