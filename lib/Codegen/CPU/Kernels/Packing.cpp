//===- Packing.cpp - Weights in the order in which kernels read them -------===//
//
// Done once, when a module is written: a kernel then reads its weights front to back. Both
// sides are walked by cache lines, and codes are moved by words.
//
//===----------------------------------------------------------------------===//
#include "qopt/Codegen/Kernels.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace qopt;

namespace {

constexpr int64_t kStep = 8; // 4-bit codes of a step

int64_t blockCount(int64_t n) { return llvm::divideCeil(n, kColumns); }

/// Calls body(block, outputs of the block).
template <typename Body>
void forEachBlock(int64_t n, Body body) {
  for (int64_t block = 0; block < blockCount(n); ++block)
    body(block, std::min(kColumns, n - block * kColumns));
}

uint32_t loadWord(const void *from) {
  uint32_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

/// The nibbles of `half`, lowest first, as the low nibbles of four bytes.
uint32_t spreadNibbles(uint32_t half) {
  half = (half | half << 8) & 0x00ff00ffu;
  return (half | half << 4) & 0x0f0f0f0fu;
}

/// Eight consecutive codes, two in a byte, as a step has them: byte b holds the inputs b
/// and b + 4.
uint32_t toStep(uint32_t codes) { return spreadNibbles(codes & 0xffffu) | spreadNibbles(codes >> 16) << 4; }

/// The codes [first, first + count) of a row that has two in a byte, in the low nibbles.
uint32_t loadCodes(const int8_t *row, int64_t first, int64_t count) {
  if (first % 2 == 0 && count == kStep)
    return loadWord(row + first / 2);
  uint32_t codes = 0;
  for (int64_t i = 0; i < count; ++i)
    codes |= static_cast<uint32_t>((row[(first + i) / 2] >> ((first + i) % 2 * 4)) & 15) << (4 * i);
  return codes;
}

using Bytes = uint8_t __attribute__((vector_size(16)));

/// rows[i][j] becomes rows[j][i]: four times the halves are interleaved.
void transposeBytes(Bytes (&rows)[kColumns]) {
  for (int round = 0; round < 4; ++round) {
    Bytes next[kColumns];
    for (int i = 0; i < 8; ++i) {
      next[2 * i] =
          __builtin_shufflevector(rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] =
          __builtin_shufflevector(rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    std::copy(std::begin(next), std::end(next), std::begin(rows));
  }
}

} // namespace

//===----------------------------------------------------------------------===//
// Some outputs
//===----------------------------------------------------------------------===//

void qopt::packColumns(const char *weights, int64_t bytes, int64_t k, int64_t columns, int64_t first, int64_t n,
                       char *packed) {
  // Several blocks at a time, so that each row of the source gives whole cache lines.
  constexpr int64_t kBlocks = 4;
  const int64_t lineBytes = kColumns * bytes;
  for (int64_t block = 0; block < blockCount(n); block += kBlocks)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t b = block; b < std::min(block + kBlocks, blockCount(n)); ++b) {
        int64_t count = std::min(kColumns, n - b * kColumns) * bytes;
        char *to = packed + (b * k + i) * lineBytes;
        std::memcpy(to, weights + (i * columns + first + b * kColumns) * bytes, count);
        std::memset(to + count, 0, lineBytes - count);
      }
}

void qopt::packRows(const char *weights, int64_t bytes, int64_t n, int64_t m, char *packed) {
  std::memset(packed, 0, blockCount(n) * m * kColumns * bytes);
  forEachBlock(n, [&](int64_t block, int64_t lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane)
      for (int64_t i = 0; i < m; ++i)
        std::memcpy(packed + ((block * m + i) * kColumns + lane) * bytes,
                    weights + ((block * kColumns + lane) * m + i) * bytes, bytes);
  });
}

void qopt::packInt8Columns(const int8_t *codes, int64_t n, int64_t k, int8_t *packed) {
  forEachBlock(n, [&](int64_t block, int64_t lanes) {
    for (int64_t first = 0; first < k; first += kColumns) {
      int64_t count = std::min(kColumns, k - first);
      Bytes tile[kColumns] = {};
      for (int64_t lane = 0; lane < lanes; ++lane)
        std::memcpy(&tile[lane], codes + (block * kColumns + lane) * k + first, count);
      transposeBytes(tile);
      std::memcpy(packed + (block * k + first) * kColumns, tile, count * kColumns);
    }
  });
}

void qopt::packInt8Dot(const int8_t *codes, int64_t n, int64_t k, int8_t *packed) {
  int64_t steps = llvm::divideCeil(k, 4), whole = k / 4;
  std::memset(packed, 0, blockCount(n) * steps * kColumns * 4);
  constexpr int64_t kLine = 16; // words
  forEachBlock(n, [&](int64_t block, int64_t lanes) {
    for (int64_t first = 0; first < steps; first += kLine)
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const int8_t *row = codes + (block * kColumns + lane) * k;
        int8_t *to = packed + (block * steps * kColumns + lane) * 4;
        for (int64_t step = first; step < std::min(first + kLine, whole); ++step)
          std::memcpy(to + step * kColumns * 4, row + step * 4, 4);
        if (whole < steps && whole < first + kLine && whole >= first)
          std::memcpy(to + whole * kColumns * 4, row + whole * 4, k % 4);
      }
  });
}

void qopt::packDotCorrection(const int8_t *codes, int64_t n, int64_t k, int32_t *packed) {
  std::fill_n(packed, blockCount(n) * kColumns, 0);
  for (int64_t column = 0; column < n; ++column) {
    uint32_t sum = 0; // wraps as the kernel's sums do
    for (int64_t i = 0; i < k; ++i)
      sum += static_cast<uint32_t>(codes[column * k + i]);
    packed[column] = static_cast<int32_t>(sum * 128u);
  }
}

Int4Layout::Int4Layout(int64_t k, int64_t size)
    : k(k), groupSize(size <= 0 || size > k ? k : size), groups(llvm::divideCeil(k, groupSize)),
      groupSteps(llvm::divideCeil(groupSize, kStep)),
      steps((groups - 1) * groupSteps + llvm::divideCeil(k - (groups - 1) * groupSize, kStep)) {}

bool qopt::areSigns(llvm::ArrayRef<char> zeros) {
  return llvm::all_of(zeros, [](char zero) { return zero == 7 || zero == 8; });
}

void qopt::packInt4Codes(const Int4Layout &layout, const int8_t *codes, const int8_t *signs, int64_t n,
                         int8_t *packed) {
  std::memset(packed, 0, blockCount(n) * layout.steps * kColumns * 4);
  int64_t rowBytes = llvm::divideCeil(layout.k, 2);
  forEachBlock(n, [&](int64_t block, int64_t lanes) {
    for (int64_t group = 0; group < layout.groups; ++group) {
      int64_t begin = group * layout.groupSize, end = std::min(layout.k, begin + layout.groupSize);
      for (int64_t lane = 0; lane < lanes; ++lane) {
        int64_t column = block * kColumns + lane;
        const int8_t *row = codes + column * rowBytes;
        // 15 - q is q with all of its bits turned.
        uint32_t flip = signs && signs[column * layout.groups + group] == 7 ? ~0u : 0u;
        int8_t *to = packed + ((block * layout.steps + group * layout.groupSteps) * kColumns + lane) * 4;
        for (int64_t i = begin; i < end; i += kStep, to += kColumns * 4) {
          int64_t count = std::min(kStep, end - i);
          uint32_t kept = count == kStep ? ~0u : (1u << (4 * count)) - 1;
          uint32_t step = toStep((loadCodes(row, i, count) ^ flip) & kept);
          std::memcpy(to, &step, sizeof step);
        }
      }
    }
  });
}

void qopt::packInt4Scales(const Int4Layout &layout, const char *scales, int64_t scaleBytes, const int8_t *signs,
                          int64_t n, char *packed) {
  packRows(scales, scaleBytes, n, layout.groups, packed);
  if (!signs)
    return;
  forEachBlock(n, [&](int64_t block, int64_t lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane)
      for (int64_t group = 0; group < layout.groups; ++group)
        if (signs[(block * kColumns + lane) * layout.groups + group] == 7) {
          // The sign bit of f16 and f32, little-endian.
          int64_t target = (block * layout.groups + group) * kColumns + lane;
          packed[(target + 1) * scaleBytes - 1] ^= static_cast<char>(0x80);
        }
  });
}

//===----------------------------------------------------------------------===//
// All outputs
//===----------------------------------------------------------------------===//

/// The bytes of `weights` as packColumns has them.
template <typename T>
static std::vector<T> packAllColumns(llvm::ArrayRef<T> weights, int64_t k, int64_t n) {
  std::vector<T> packed(blockCount(n) * k * kColumns);
  packColumns(reinterpret_cast<const char *>(weights.data()), sizeof(T), k, n, 0, n,
              reinterpret_cast<char *>(packed.data()));
  return packed;
}

std::vector<float> qopt::packFloatWeights(llvm::ArrayRef<float> weights, int64_t k, int64_t n) {
  return packAllColumns(weights, k, n);
}
std::vector<uint16_t> qopt::packHalfWeights(llvm::ArrayRef<uint16_t> weights, int64_t k, int64_t n) {
  return packAllColumns(weights, k, n);
}

std::vector<int8_t> qopt::packInt8Columns(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k) {
  std::vector<int8_t> packed(blockCount(n) * k * kColumns);
  packInt8Columns(codes.data(), n, k, packed.data());
  return packed;
}

std::vector<int8_t> qopt::packInt8Dot(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k) {
  std::vector<int8_t> packed(blockCount(n) * llvm::divideCeil(k, 4) * kColumns * 4);
  packInt8Dot(codes.data(), n, k, packed.data());
  return packed;
}

std::vector<int8_t> qopt::packOutlierWeights(llvm::ArrayRef<char> weights, int64_t bytes, int64_t n, int64_t m) {
  std::vector<int8_t> packed(blockCount(n) * m * kColumns * bytes);
  packRows(weights.data(), bytes, n, m, reinterpret_cast<char *>(packed.data()));
  return packed;
}

std::vector<int32_t> qopt::packDotCorrection(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k) {
  std::vector<int32_t> correction(blockCount(n) * kColumns);
  packDotCorrection(codes.data(), n, k, correction.data());
  return correction;
}

Int4Weights qopt::packInt4(llvm::ArrayRef<int8_t> codes, llvm::ArrayRef<char> scales, int64_t scaleBytes,
                           llvm::ArrayRef<int8_t> zeros, int64_t n, int64_t k, int64_t groupSize) {
  Int4Layout layout(k, groupSize);
  llvm::ArrayRef<char> zeroBytes(reinterpret_cast<const char *>(zeros.data()), zeros.size());
  bool folds = areSigns(zeroBytes);
  const int8_t *signs = folds && !zeros.empty() ? zeros.data() : nullptr;
  int64_t perGroup = blockCount(n) * layout.groups * kColumns;
  Int4Weights packed;
  packed.groups = layout.groups;
  packed.steps = layout.steps;
  packed.codes.resize(blockCount(n) * layout.steps * kColumns * 4);
  packInt4Codes(layout, codes.data(), signs, n, packed.codes.data());
  packed.scales.resize(perGroup * scaleBytes);
  packInt4Scales(layout, scales.data(), scaleBytes, signs, n, reinterpret_cast<char *>(packed.scales.data()));
  if (!folds) {
    packed.zeros.resize(perGroup);
    packRows(zeroBytes.data(), 1, n, layout.groups, reinterpret_cast<char *>(packed.zeros.data()));
  }
  return packed;
}
