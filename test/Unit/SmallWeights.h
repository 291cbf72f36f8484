//===- SmallWeights.h - Weights of four and eight bits in all their forms --===//
//
// For the tests of all generators: packed operands of a product, and the numbers that they stand for.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_SMALLWEIGHTS_H
#define QOPT_TEST_UNIT_SMALLWEIGHTS_H

#include "qopt/Codegen/Kernels.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace qopt::test {

struct SmallWeights {
  enum Form {
    Table,      ///< 16 numbers that fill an f32
    ExactTable, ///< 16 numbers of three bits
    FloatZeros, ///< codes of four bits less a float
    Bytes,      ///< int8 in groups
    BytesZeros, ///< int8 in groups, less an int8
    Float8,     ///< e4m3, a scale per output
    Float8Groups
  };
  static constexpr Form kForms[] = {Table, ExactTable, FloatZeros, Bytes, BytesZeros, Float8, Float8Groups};

  /// [N, K] with groups of so many inputs; scales of f16 or f32.
  SmallWeights(Form form, int64_t n, int64_t k, int64_t groupSize, bool isHalf);

  /// A packed operand between x and y.
  struct Operand {
    std::vector<int64_t> shape;
    std::string type; ///< "i8"
    std::vector<int8_t> bytes;
  };
  std::string kernel, attributes;
  std::vector<Operand> operands;
  std::vector<double> weights; ///< [N, K]

private:
  /// The bytes of `values` [N, M] in blocks of columns.
  template <typename T>
  void addRows(const std::vector<T> &values, int64_t n, int64_t m, const char *type) {
    int64_t blocks = llvm::divideCeil(n, kColumns);
    Operand operand{{blocks, m, kColumns}, type, std::vector<int8_t>(blocks * m * kColumns * sizeof(T))};
    packRows(reinterpret_cast<const char *>(values.data()), sizeof(T), n, m,
             reinterpret_cast<char *>(operand.bytes.data()));
    operands.push_back(std::move(operand));
  }
};

inline SmallWeights::SmallWeights(Form form, int64_t n, int64_t k, int64_t groupSize, bool isHalf)
    : kernel(form <= FloatZeros ? "matmul_w4a16" : "matmul_w8a16") {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  bool isByte = form > FloatZeros, isFloat8 = form >= Float8, hasGroups = form != Float8;
  int64_t size = hasGroups ? groupSize : k, groups = llvm::divideCeil(k, size), bytes = isByte ? k : (k + 1) / 2;
  std::vector<int8_t> codes(n * bytes), zeros(n * groups);
  for (int8_t &code : codes)
    do
      code = static_cast<int8_t>(random());
    while (isFloat8 && (code & 0x7F) == 0x7F); // NaN
  std::vector<float> table(16), scales(n * groups), floatZeros(n * groups);
  for (float &number : table)
    number = form == ExactTable ? static_cast<float>(random() % 13) / 2 - 3 : normal(random);
  for (int64_t i = 0; i < n * groups; ++i) {
    zeros[i] = static_cast<int8_t>(random());
    floatZeros[i] = 8 * normal(random);
    scales[i] = isHalf && hasGroups ? static_cast<float>(static_cast<_Float16>(normal(random))) : normal(random);
  }
  auto numberOf = [&](int64_t row, int64_t i, int64_t group) -> double {
    int8_t byte = codes[row * bytes + (isByte ? i : i / 2)];
    int nibble = byte >> (i % 2 * 4) & 15;
    switch (form) {
    case Table:
    case ExactTable:
      return table[nibble];
    case FloatZeros: // as float, which is what kernels subtract
      return static_cast<float>(nibble) - floatZeros[group];
    case Bytes:
      return byte;
    case BytesZeros:
      return byte - zeros[group];
    case Float8:
    case Float8Groups:
      return llvm::APFloat(llvm::APFloat::Float8E4M3FN(), llvm::APInt(8, byte & 0xFF)).convertToDouble();
    }
    return 0;
  };
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i) {
      int64_t group = row * groups + i / size;
      weights.push_back(static_cast<double>(scales[group]) * numberOf(row, i, group));
    }
  int64_t blocks = llvm::divideCeil(n, kColumns);
  if (isByte) {
    operands.push_back({{blocks, k, kColumns}, "i8", packInt8Columns(codes, n, k)});
  } else {
    Int4Layout layout(k, size);
    operands.push_back({{blocks, layout.steps, 64}, "i8", std::vector<int8_t>(blocks * layout.steps * 64)});
    packInt4Codes(layout, codes.data(), /*signs=*/nullptr, n, operands.back().bytes.data());
  }
  if (!hasGroups) {
    operands.push_back({{n}, "f32", std::vector<int8_t>(n * sizeof(float))});
    std::memcpy(operands.back().bytes.data(), scales.data(), n * sizeof(float));
  } else if (isHalf) {
    addRows(std::vector<_Float16>(scales.begin(), scales.end()), n, groups, "f16");
  } else {
    addRows(scales, n, groups, "f32");
  }
  if (form == FloatZeros)
    addRows(floatZeros, n, groups, "f32");
  if (form == BytesZeros)
    addRows(zeros, n, groups, "i8");
  if (hasGroups)
    attributes = "group_size = " + std::to_string(groupSize) + " : i64";
  if (isFloat8)
    attributes += std::string(hasGroups ? ", " : "") + "float8";
  if (form <= ExactTable) {
    attributes += ", table = array<f32";
    for (size_t i = 0; i < table.size(); ++i) {
      char text[32];
      std::snprintf(text, sizeof text, "%s%.9e", i ? ", " : ": ", static_cast<double>(table[i]));
      attributes += text;
    }
    attributes += ">";
  }
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_SMALLWEIGHTS_H
