//===- Packing.cpp - Weights in the order in which kernels read them -------===//
//
// Done once, when a module is compiled: a kernel then reads its weights front to back.
//
//===----------------------------------------------------------------------===//
#include "qopt/Codegen/Kernels.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace qopt;

namespace {

int64_t blockCount(int64_t n) { return llvm::divideCeil(n, kColumns); }

/// Calls body(source index n, block, lane) for every output column.
template <typename Body>
void forEachColumn(int64_t n, Body body) {
  for (int64_t column = 0; column < n; ++column)
    body(column, column / kColumns, column % kColumns);
}

template <typename T>
std::vector<T> packRows(llvm::ArrayRef<T> weights, int64_t k, int64_t n) {
  std::vector<T> packed(blockCount(n) * k * kColumns, T(0));
  for (int64_t block = 0; block < blockCount(n); ++block) {
    int64_t columns = std::min(kColumns, n - block * kColumns);
    for (int64_t i = 0; i < k; ++i)
      std::copy_n(&weights[i * n + block * kColumns], columns, &packed[(block * k + i) * kColumns]);
  }
  return packed;
}

} // namespace

std::vector<float> qopt::packFloatWeights(llvm::ArrayRef<float> weights, int64_t k, int64_t n) {
  return packRows(weights, k, n);
}
std::vector<uint16_t> qopt::packHalfWeights(llvm::ArrayRef<uint16_t> weights, int64_t k, int64_t n) {
  return packRows(weights, k, n);
}

std::vector<int8_t> qopt::packInt8Columns(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k) {
  std::vector<int8_t> packed(blockCount(n) * k * kColumns, 0);
  forEachColumn(n, [&](int64_t column, int64_t block, int64_t lane) {
    for (int64_t i = 0; i < k; ++i)
      packed[(block * k + i) * kColumns + lane] = codes[column * k + i];
  });
  return packed;
}

std::vector<int8_t> qopt::packInt8Dot(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k) {
  int64_t steps = llvm::divideCeil(k, 4);
  std::vector<int8_t> packed(blockCount(n) * steps * kColumns * 4, 0);
  forEachColumn(n, [&](int64_t column, int64_t block, int64_t lane) {
    for (int64_t i = 0; i < k; ++i)
      packed[((block * steps + i / 4) * kColumns + lane) * 4 + i % 4] = codes[column * k + i];
  });
  return packed;
}

std::vector<int8_t> qopt::packOutlierWeights(llvm::ArrayRef<char> weights, int64_t bytes, int64_t n, int64_t m) {
  std::vector<int8_t> packed(blockCount(n) * m * kColumns * bytes, 0);
  forEachColumn(n, [&](int64_t column, int64_t block, int64_t lane) {
    for (int64_t i = 0; i < m; ++i)
      std::memcpy(&packed[((block * m + i) * kColumns + lane) * bytes], &weights[(column * m + i) * bytes], bytes);
  });
  return packed;
}

std::vector<int32_t> qopt::packDotCorrection(llvm::ArrayRef<int8_t> codes, int64_t n, int64_t k) {
  std::vector<int32_t> correction(blockCount(n) * kColumns, 0);
  for (int64_t column = 0; column < n; ++column) {
    uint32_t sum = 0; // wraps as the kernel's sums do
    for (int64_t i = 0; i < k; ++i)
      sum += static_cast<uint32_t>(codes[column * k + i]);
    correction[column] = static_cast<int32_t>(sum * 128u);
  }
  return correction;
}

Int4Weights qopt::packInt4(llvm::ArrayRef<int8_t> codes, llvm::ArrayRef<char> scales, int64_t scaleBytes,
                           llvm::ArrayRef<int8_t> zeros, int64_t n, int64_t k, int64_t groupSize) {
  if (groupSize <= 0 || groupSize > k)
    groupSize = k;
  constexpr int64_t kStep = 8;
  int64_t groups = llvm::divideCeil(k, groupSize), groupSteps = llvm::divideCeil(groupSize, kStep);
  int64_t lastSteps = llvm::divideCeil(k - (groups - 1) * groupSize, kStep);
  int64_t rowBytes = llvm::divideCeil(k, 2), blocks = blockCount(n);
  bool folds = llvm::all_of(zeros, [](int8_t zero) { return zero == 7 || zero == 8; });

  Int4Weights packed;
  packed.groups = groups;
  packed.steps = (groups - 1) * groupSteps + lastSteps;
  packed.codes.assign(blocks * packed.steps * kColumns * 4, 0);
  packed.scales.assign(blocks * groups * kColumns * scaleBytes, 0);
  if (!folds)
    packed.zeros.assign(blocks * groups * kColumns, 0);
  forEachColumn(n, [&](int64_t column, int64_t block, int64_t lane) {
    for (int64_t group = 0; group < groups; ++group) {
      int64_t source = column * groups + group, target = (block * groups + group) * kColumns + lane;
      bool negate = folds && !zeros.empty() && zeros[source] == 7;
      std::memcpy(&packed.scales[target * scaleBytes], &scales[source * scaleBytes], scaleBytes);
      if (negate) // the sign bit of f16 and f32, little-endian
        packed.scales[(target + 1) * scaleBytes - 1] ^= static_cast<int8_t>(0x80);
      if (!folds)
        packed.zeros[target] = zeros[source];
      for (int64_t i = group * groupSize; i < std::min(k, (group + 1) * groupSize); ++i) {
        int64_t inGroup = i - group * groupSize, step = group * groupSteps + inGroup / kStep, place = inGroup % kStep;
        int code = (codes[column * rowBytes + i / 2] >> (i % 2 * 4)) & 15;
        int8_t &byte = packed.codes[((block * packed.steps + step) * kColumns + lane) * 4 + place % 4];
        byte |= static_cast<int8_t>((negate ? 15 - code : code) << (place / 4 * 4));
      }
    }
  });
  return packed;
}
