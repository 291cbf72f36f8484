//===- Mma.cpp - Matrix products of a warp --------------------------------===//
//
// The registers of the lanes are put together as matrices (PTX ISA, "Matrix
// fragments for mma.m16n8k..."): lane 4g+t holds 32-bit words t (and t+4) of rows g
// and g+8 of A and of column g of B, and columns 2t, 2t+1 of rows g, g+8 of C. Then
// eight columns are one vector. This file is compiled for x86-64-v3.
//
// The order in which tensor cores add floats is not documented. Here the products of an
// element are added to C from the first to the last, each with one rounding.
//
//===----------------------------------------------------------------------===//
#include "Mma.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <immintrin.h>

using namespace qrt::sim;

namespace {

constexpr int rows = 16, columns = 8, maxWords = 8;

/// A[row][word] and B[word][column] of 32-bit words along k.
struct Operands {
  int words;
  uint32_t a[rows][maxWords];
  uint32_t b[maxWords][columns];
};

void gather(Operands &o, bool isHalf, QrtSimMma *const *registers) {
  o.words = isHalf ? 4 : 8;
  for (int lane = 0; lane < 32; ++lane) {
    int g = lane / 4, t = lane % 4;
    const QrtSimMma &r = *registers[lane];
    o.a[g][t] = r.a[0];
    o.a[g + 8][t] = r.a[1];
    o.b[t][g] = r.b[0];
    if (!isHalf) {
      o.a[g][t + 4] = r.a[2];
      o.a[g + 8][t + 4] = r.a[3];
      o.b[t + 4][g] = r.b[1];
    }
  }
}

/// The bytes (or halves of bytes) of a word as 16-bit integers.
void widen(uint32_t word, uint8_t type, int16_t *out) {
  bool isSigned = type == QRT_SIM_S8 || type == QRT_SIM_S4;
  if (type == QRT_SIM_S8 || type == QRT_SIM_U8)
    for (int i = 0; i < 4; ++i)
      out[i] = isSigned ? int16_t(int8_t(word >> 8 * i)) : int16_t(uint8_t(word >> 8 * i));
  else
    for (int i = 0; i < 8; ++i)
      out[i] = isSigned ? int16_t(int32_t(word << (28 - 4 * i)) >> 28) : int16_t(word >> 4 * i & 15);
}

void multiplyIntegers(const QrtSimMmaKind &kind, const Operands &o, int32_t (*sum)[columns]) {
  int perWord = kind.a >= QRT_SIM_S4 ? 8 : 4, pairs = o.words * perWord / 2;
  alignas(32) int16_t a[rows][64], b[32][columns][2];
  for (int m = 0; m < rows; ++m)
    for (int w = 0; w < o.words; ++w)
      widen(o.a[m][w], kind.a, &a[m][w * perWord]);
  for (int w = 0; w < o.words; ++w)
    for (int n = 0; n < columns; ++n) {
      int16_t values[8];
      widen(o.b[w][n], kind.b, values);
      for (int i = 0; i < perWord; ++i)
        b[(w * perWord + i) / 2][n][i % 2] = values[i];
    }
  for (int m = 0; m < rows; ++m) {
    __m256i total = _mm256_setzero_si256();
    for (int p = 0; p < pairs; ++p) {
      int32_t pair;
      std::memcpy(&pair, &a[m][2 * p], sizeof pair);
      __m256i column = _mm256_load_si256(reinterpret_cast<const __m256i *>(b[p]));
      total = _mm256_add_epi32(total, _mm256_madd_epi16(_mm256_set1_epi32(pair), column));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(sum[m]), total);
  }
}

float halfToFloat(uint32_t bits) { return _cvtsh_ss(static_cast<unsigned short>(bits)); }
uint32_t floatToHalf(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }

/// The one or two floats in a word.
void widen(uint32_t word, uint8_t type, float *out) {
  if (type == QRT_SIM_TF32) {
    // The low 13 bits are not there.
    out[0] = std::bit_cast<float>(word & 0xFFFFE000u);
  } else if (type == QRT_SIM_F16) {
    out[0] = halfToFloat(word & 0xFFFF);
    out[1] = halfToFloat(word >> 16);
  } else {
    out[0] = std::bit_cast<float>(word << 16);
    out[1] = std::bit_cast<float>(word & 0xFFFF0000u);
  }
}

/// sum += a b.
void multiplyFloats(const QrtSimMmaKind &kind, const Operands &o, float (*sum)[columns]) {
  int perWord = kind.a == QRT_SIM_TF32 ? 1 : 2, depth = o.words * perWord;
  alignas(32) float a[rows][16], b[16][columns];
  for (int m = 0; m < rows; ++m)
    for (int w = 0; w < o.words; ++w)
      widen(o.a[m][w], kind.a, &a[m][w * perWord]);
  for (int w = 0; w < o.words; ++w)
    for (int n = 0; n < columns; ++n) {
      float values[2];
      widen(o.b[w][n], kind.b, values);
      for (int i = 0; i < perWord; ++i)
        b[w * perWord + i][n] = values[i];
    }
  for (int m = 0; m < rows; ++m) {
    __m256 total = _mm256_loadu_ps(sum[m]);
    for (int k = 0; k < depth; ++k)
      total = _mm256_fmadd_ps(_mm256_set1_ps(a[m][k]), _mm256_load_ps(b[k]), total);
    _mm256_storeu_ps(sum[m], total);
  }
}

uint32_t add(int32_t sum, uint32_t c, bool isSaturating) {
  int32_t result;
  if (__builtin_add_overflow(sum, static_cast<int32_t>(c), &result) && isSaturating)
    result = sum < 0 ? INT32_MIN : INT32_MAX;
  return static_cast<uint32_t>(result);
}

union Sums {
  int32_t i[rows][columns];
  float f[rows][columns];
};

bool isInteger(const QrtSimMmaKind &kind) { return kind.a >= QRT_SIM_S8; }

void multiply(const QrtSimMmaKind &kind, const Operands &operands, Sums &sum) {
  if (isInteger(kind))
    multiplyIntegers(kind, operands, sum.i);
  else
    multiplyFloats(kind, operands, sum.f);
}

/// Floats are added to what the lanes have.
void begin(const QrtSimMmaKind &kind, Sums &sum, int lane, const uint32_t *c) {
  if (isInteger(kind))
    return;
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 2; ++i)
      sum.f[lane / 4 + 8 * half][lane % 4 * 2 + i] =
          kind.isF16 ? halfToFloat(c[half] >> 16 * i & 0xFFFF) : std::bit_cast<float>(c[2 * half + i]);
}

/// The lane's part of the sums to its registers; integers are added.
void finish(const QrtSimMmaKind &kind, const Sums &sum, int lane, uint32_t *c) {
  for (int half = 0; half < 2; ++half) {
    int row = lane / 4 + 8 * half, column = lane % 4 * 2;
    if (kind.isF16) {
      c[half] = floatToHalf(sum.f[row][column]) | floatToHalf(sum.f[row][column + 1]) << 16;
      continue;
    }
    for (int i = 0; i < 2; ++i) {
      uint32_t &value = c[2 * half + i];
      value = isInteger(kind) ? add(sum.i[row][column + i], value, kind.isSaturating)
                              : std::bit_cast<uint32_t>(sum.f[row][column + i]);
    }
  }
}

} // namespace

void qrt::sim::multiplyWarp(const QrtSimMmaKind &kind, QrtSimMma *const *registers) {
  Operands operands;
  gather(operands, kind.isHalf, registers);
  Sums sums;
  for (int lane = 0; lane < 32; ++lane)
    begin(kind, sums, lane, registers[lane]->c);
  multiply(kind, operands, sums);
  for (int lane = 0; lane < 32; ++lane)
    finish(kind, sums, lane, registers[lane]->c);
}

void qrt::sim::multiplyColumns(const QrtSimWgmmaKind &kind, const std::array<std::array<uint32_t, 4>, 32> &a,
                               const uint32_t (*b)[8], uint32_t *sums) {
  Operands operands;
  operands.words = maxWords;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i)
      operands.a[lane / 4 + i % 2 * 8][lane % 4 + i / 2 * 4] = a[lane][i];
  QrtSimMmaKind tile{};
  tile.a = tile.b = kind.element;
  int words = kind.columns / 2;
  for (int n = 0; n < kind.columns; n += columns) {
    for (int column = 0; column < columns; ++column)
      for (int word = 0; word < maxWords; ++word)
        operands.b[word][column] = b[n + column][word];
    Sums tileSums;
    auto registers = [&](int lane) { return sums + lane * words + n / 2; };
    for (int lane = 0; lane < 32; ++lane) {
      if (!kind.addsToSums)
        std::fill_n(registers(lane), 4, 0);
      begin(tile, tileSums, lane, registers(lane));
    }
    multiply(tile, operands, tileSums);
    for (int lane = 0; lane < 32; ++lane)
      finish(tile, tileSums, lane, registers(lane));
  }
}
