//===- MatmulKernelsTest.cpp - Matrix products against plain loops ---------===//
//
// Tolerances: sums of K products of numbers about 1 are compared with sums in
// double; a sequential float sum is off by less than K * 2^-24 times the sum of
// magnitudes, of which a tenth is allowed here. Integer parts must be equal.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "KernelProgram.h"
#include "qopt/Codegen/Kernels.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int64_t kRows[] = {1, 2, 7, 8, 9, 17, 33, 100};

struct Shape {
  int64_t n, k;
};
constexpr Shape kShapes[] = {{172, 64}, {64, 172}, {512, 256}, {5, 33}};

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::string name(const std::string &kernel, const Shape &s) {
  return std::string(kernel) + "_n" + std::to_string(s.n) + "_k" + std::to_string(s.k);
}

std::string declare(const std::string &symbol, const char *kernel, std::initializer_list<std::string> operands,
                    const std::string &config = "") {
  std::string types;
  for (const std::string &operand : operands)
    types += (&operand == operands.begin() ? "" : ", ") + operand;
  return kernelFunction(symbol, kernel, types, config);
}

/// y[t, n] = sum over k of x[t, k] w(n, k), checked with the tolerance above.
template <typename Weight>
void expectProduct(Buffer &y, const std::vector<float> &x, int64_t rows, const Shape &s, Weight weight) {
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t n = 0; n < s.n; ++n) {
      double sum = 0, magnitudes = 0;
      for (int64_t k = 0; k < s.k; ++k) {
        double product = x[t * s.k + k] * static_cast<double>(weight(n, k));
        sum += product;
        magnitudes += std::abs(product);
      }
      ASSERT_NEAR(y.as<float>()[t * s.n + n], sum, 0.1 * s.k * 0x1p-24 * magnitudes + 1e-30)
          << "row " << t << " column " << n << " of " << rows << "x" << s.n << "x" << s.k;
    }
}

class MatmulKernels : public testing::TestWithParam<std::string> {};

TEST_P(MatmulKernels, F32) {
  std::string text;
  for (const Shape &s : kShapes)
    text += declare(name("f32", s), "matmul_float",
                    {memref({-1, s.k}, "f32"), memref({divideUp(s.n, 16), s.k, 16}, "f32"), memref({-1, s.n}, "f32")});
  KernelProgram program(text, GetParam());
  for (const Shape &s : kShapes) {
    std::vector<float> weights = randomFloats(s.n * s.k, 1);
    Buffer w = makeBuffer<float>({divideUp(s.n, 16), s.k, 16}, packFloatWeights(weights, s.k, s.n));
    for (int64_t rows : kRows) {
      std::vector<float> values = randomFloats(rows * s.k, rows);
      Buffer x = makeBuffer<float>({rows, s.k}, values), y = makeBuffer<float>({rows, s.n});
      program.run(name("f32", s), {&x, &w, &y});
      expectProduct(y, values, rows, s, [&](int64_t n, int64_t k) { return weights[k * s.n + n]; });
    }
  }
}

/// Weights of 16 bits are exact in f32.
TEST_P(MatmulKernels, F16) {
  for (bool isBrain : {false, true}) {
    std::string text, type = isBrain ? "bf16" : "f16";
    for (const Shape &s : kShapes)
      text += declare(
          name(type, s), "matmul_float",
          {memref({-1, s.k}, "f32"), memref({divideUp(s.n, 16), s.k, 16}, type.c_str()), memref({-1, s.n}, "f32")});
    KernelProgram program(text, GetParam());
    for (const Shape &s : kShapes) {
      std::vector<float> weights = randomFloats(s.n * s.k, 1);
      std::vector<uint16_t> bits;
      for (float &weight : weights) {
        bits.push_back(isBrain ? std::bit_cast<uint32_t>(weight) >> 16 : std::bit_cast<uint16_t>(_Float16(weight)));
        weight = isBrain ? std::bit_cast<float>(uint32_t(bits.back()) << 16) : float(_Float16(weight));
      }
      Buffer w = makeBuffer<uint16_t>({divideUp(s.n, 16), s.k, 16}, packHalfWeights(bits, s.k, s.n));
      for (int64_t rows : kRows) {
        std::vector<float> values = randomFloats(rows * s.k, rows);
        Buffer x = makeBuffer<float>({rows, s.k}, values), y = makeBuffer<float>({rows, s.n});
        program.run(name(type, s), {&x, &w, &y});
        expectProduct(y, values, rows, s, [&](int64_t n, int64_t k) { return weights[k * s.n + n]; });
      }
    }
  }
}

TEST_P(MatmulKernels, W8A16) {
  std::string text;
  for (const Shape &s : kShapes)
    text += declare(name("w8a16", s), "matmul_w8a16",
                    {memref({-1, s.k}, "f32"), memref({divideUp(s.n, 16), s.k, 16}, "i8"), memref({s.n}, "f32"),
                     memref({-1, s.n}, "f32")});
  KernelProgram program(text, GetParam());
  for (const Shape &s : kShapes) {
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    std::vector<float> scales = randomFloats(s.n, 2);
    Buffer w = makeBuffer<int8_t>({divideUp(s.n, 16), s.k, 16}, packInt8Columns(codes, s.n, s.k));
    Buffer scale = makeBuffer<float>({s.n}, scales);
    for (int64_t rows : kRows) {
      std::vector<float> values = randomFloats(rows * s.k, rows);
      Buffer x = makeBuffer<float>({rows, s.k}, values), y = makeBuffer<float>({rows, s.n});
      program.run(name("w8a16", s), {&x, &w, &scale, &y});
      expectProduct(y, values, rows, s,
                    [&](int64_t n, int64_t k) { return static_cast<double>(scales[n]) * codes[n * s.k + k]; });
    }
  }
}

TEST_P(MatmulKernels, W4A16) {
  enum Zeros { None, Near, Any };
  struct Case {
    Shape shape;
    int64_t groupSize;
    Zeros zeros;
    bool half;
  };
  const Case cases[] = {{{172, 64}, 20, Near, false},
                        {{64, 172}, 64, None, true},
                        {{5, 33}, 16, Any, false},
                        {{48, 33}, -1, None, false},
                        {{64, 128}, 128, Any, true}};
  std::string text;
  std::vector<Int4Weights> packed;
  std::vector<std::vector<float>> weights; // dequantized
  for (auto [i, c] : llvm::enumerate(cases)) {
    auto [n, k] = c.shape;
    int64_t size = c.groupSize < 0 ? k : c.groupSize, groups = divideUp(k, size), bytes = divideUp(k, 2);
    std::vector<int8_t> codes = randomBytes(n * bytes, 3), zeros = randomBytes(n * groups, 4);
    for (int8_t &zero : zeros)
      zero = c.zeros == Near ? 7 + (zero & 1) : zero & 15;
    if (c.zeros == None)
      zeros.clear();
    std::vector<char> scales;
    std::vector<float> scaleValues;
    for (float scale : randomFloats(n * groups, 5)) {
      _Float16 half = static_cast<_Float16>(scale);
      auto *data = c.half ? reinterpret_cast<char *>(&half) : reinterpret_cast<char *>(&scale);
      scales.insert(scales.end(), data, data + (c.half ? 2 : 4));
      scaleValues.push_back(c.half ? static_cast<float>(half) : scale);
    }
    packed.push_back(packInt4(codes, scales, c.half ? 2 : 4, zeros, n, k, c.groupSize));
    EXPECT_EQ(packed.back().zeros.empty(), c.zeros != Any);
    std::vector<float> values(n * k);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t j = 0; j < k; ++j) {
        int64_t group = row * groups + j / size, code = (codes[row * bytes + j / 2] >> (j % 2 * 4)) & 15;
        values[row * k + j] = scaleValues[group] * (code - (zeros.empty() ? 8 : zeros[group]));
      }
    weights.push_back(std::move(values));
    std::string w = memref({divideUp(n, 16), packed.back().steps, 64}, "i8");
    std::string scale = memref({divideUp(n, 16), groups, 16}, c.half ? "f16" : "f32");
    std::string zero = memref({divideUp(n, 16), groups, 16}, "i8");
    std::string x = memref({-1, k}, "f32"), y = memref({-1, n}, "f32");
    std::string config = "group_size = " + std::to_string(c.groupSize) + " : i64",
                symbol = "w4a16_" + std::to_string(i);
    text += c.zeros == Any ? declare(symbol, "matmul_w4a16", {x, w, scale, zero, y}, config)
                           : declare(symbol, "matmul_w4a16", {x, w, scale, y}, config);
  }
  KernelProgram program(text, GetParam());
  for (auto [i, c] : llvm::enumerate(cases)) {
    const Int4Weights &p = packed[i];
    int64_t blocks = divideUp(c.shape.n, 16);
    Buffer w = makeBuffer<int8_t>({blocks, p.steps, 64}, p.codes);
    Buffer scale = makeBuffer<int8_t>({blocks, p.groups, 16 * (c.half ? 2 : 4)}, p.scales);
    scale.shape[2] = 16;
    Buffer zeros = makeBuffer<int8_t>({blocks, p.groups, 16}, p.zeros);
    for (int64_t rows : kRows) {
      std::vector<float> values = randomFloats(rows * c.shape.k, rows);
      Buffer x = makeBuffer<float>({rows, c.shape.k}, values), y = makeBuffer<float>({rows, c.shape.n});
      std::vector<Buffer *> operands{&x, &w, &scale, &y};
      if (c.zeros == Any)
        operands.insert(operands.begin() + 3, &zeros);
      program.run("w4a16_" + std::to_string(i), operands);
      expectProduct(y, values, rows, c.shape, [&](int64_t n, int64_t k) { return weights[i][n * c.shape.k + k]; });
    }
  }
}

// Sums of groups are exact, and what follows has one order: equal on all levels, to the bit.
TEST_P(MatmulKernels, W4A8) {
  struct Case {
    Shape shape;
    int64_t groupSize, xGroupSize;
    bool hasZeros, half;
  };
  const Case cases[] = {{{172, 64}, 20, 20, true, false}, {{64, 172}, 64, 64, false, true},
                        {{5, 33}, 16, 8, true, false},    {{48, 33}, -1, -1, false, false},
                        {{64, 128}, 128, 32, true, true}, {{40, 300}, 128, 64, false, true}};
  std::string text;
  std::vector<Int4Weights> packed;
  std::vector<std::vector<int8_t>> codes; // less zero points
  std::vector<std::vector<float>> scaleValues;
  auto sizeOf = [](const Case &c, int64_t asked) { return asked < 0 ? c.shape.k : asked; };
  for (auto [i, c] : llvm::enumerate(cases)) {
    auto [n, k] = c.shape;
    int64_t size = sizeOf(c, c.groupSize), groups = divideUp(k, size), bytes = divideUp(k, 2);
    std::vector<int8_t> nibbles = randomBytes(n * bytes, 3), zeros = randomBytes(n * groups, 4);
    std::fill_n(nibbles.begin(), bytes, -1); // the largest possible sum
    for (int8_t &zero : zeros)
      zero &= 15;
    if (!c.hasZeros)
      zeros.clear();
    std::vector<char> scales;
    std::vector<float> values;
    for (float scale : randomFloats(n * groups, 5)) {
      _Float16 half = static_cast<_Float16>(scale);
      auto *data = c.half ? reinterpret_cast<char *>(&half) : reinterpret_cast<char *>(&scale);
      scales.insert(scales.end(), data, data + (c.half ? 2 : 4));
      values.push_back(c.half ? static_cast<float>(half) : scale);
    }
    std::vector<int8_t> all(n * k);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t j = 0; j < k; ++j)
        all[row * k + j] =
            ((nibbles[row * bytes + j / 2] >> (j % 2 * 4)) & 15) - (zeros.empty() ? 8 : zeros[row * groups + j / size]);
    packed.push_back(packInt4(nibbles, scales, c.half ? 2 : 4, zeros, n, k, c.groupSize));
    codes.push_back(std::move(all));
    scaleValues.push_back(std::move(values));
    std::string perGroup = memref({divideUp(n, 16), groups, 16}, c.half ? "f16" : "f32");
    std::string types = memref({-1, k}, "i8") + ", " + memref({-1, divideUp(k, sizeOf(c, c.xGroupSize))}, "f32") +
                        ", " + memref({divideUp(n, 16), packed.back().steps, 64}, "i8") + ", " + perGroup + ", ";
    if (c.hasZeros)
      types += memref({divideUp(n, 16), groups, 16}, "i8") + ", ";
    text += kernelFunction("w4a8_" + std::to_string(i), "matmul_w4a8", types + memref({-1, n}, "f32"),
                           "group_size = " + std::to_string(c.groupSize) +
                               " : i64, x_group_size = " + std::to_string(c.xGroupSize) + " : i64");
  }
  KernelProgram program(text, GetParam());
  for (auto [i, c] : llvm::enumerate(cases)) {
    const Int4Weights &p = packed[i];
    auto [n, k] = c.shape;
    int64_t blocks = divideUp(n, 16), size = sizeOf(c, c.groupSize), xSize = sizeOf(c, c.xGroupSize);
    int64_t groups = divideUp(k, size), xGroups = divideUp(k, xSize);
    Buffer w = makeBuffer<int8_t>({blocks, p.steps, 64}, p.codes);
    Buffer scale = makeBuffer<int8_t>({blocks, p.groups, 16 * (c.half ? 2 : 4)}, p.scales);
    scale.shape[2] = 16;
    Buffer zeros = makeBuffer<int8_t>({blocks, p.groups, 16}, p.zeros);
    for (int64_t rows : kRows) {
      std::vector<int8_t> values = randomBytes(rows * k, rows);
      std::fill_n(values.begin(), k, -128);
      std::vector<float> xScales = randomFloats(rows * xGroups, 6);
      Buffer x = makeBuffer<int8_t>({rows, k}, values), xScale = makeBuffer<float>({rows, xGroups}, xScales);
      Buffer y = makeBuffer<float>({rows, n});
      std::vector<Buffer *> operands{&x, &xScale, &w, &scale, &y};
      if (c.hasZeros)
        operands.insert(operands.begin() + 4, &zeros);
      program.run("w4a8_" + std::to_string(i), operands);
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t column = 0; column < n; ++column) {
          float total = 0;
          for (int64_t g = 0; g < xGroups; ++g) {
            int32_t sum = 0;
            for (int64_t j = g * xSize; j < std::min(k, (g + 1) * xSize); ++j)
              sum += values[t * k + j] * codes[i][column * k + j];
            total = std::fma(static_cast<float>(sum) * xScales[t * xGroups + g],
                             scaleValues[i][column * groups + g * xSize / size], total);
          }
          ASSERT_EQ(y.as<float>()[t * n + column], total) << "row " << t << " column " << column << " of case " << i;
        }
    }
  }
}

// With scales of one the float result is the int32 sum, rounded once: it must be equal.
TEST_P(MatmulKernels, W8A8IsExact) {
  std::vector<Shape> shapes(std::begin(kShapes), std::end(kShapes));
  shapes.push_back({20, 1101}); // more than AVX2 takes of many rows at a time
  std::string text;
  for (const Shape &s : shapes)
    text += declare(name("w8a8", s), "matmul_w8a8",
                    {memref({-1, s.k}, "i8"), "memref<f32>", memref({divideUp(s.n, 16), divideUp(s.k, 4), 64}, "i8"),
                     memref({divideUp(s.n, 16) * 16}, "i32"), memref({s.n}, "f32"), memref({-1, s.n}, "f32")});
  KernelProgram program(text, GetParam());
  for (const Shape &s : shapes) {
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    std::fill_n(codes.begin(), s.k, -128); // the largest possible sum
    Buffer w = makeBuffer<int8_t>({divideUp(s.n, 16), divideUp(s.k, 4), 64}, packInt8Dot(codes, s.n, s.k));
    Buffer correction = makeBuffer<int32_t>({divideUp(s.n, 16) * 16}, packDotCorrection(codes, s.n, s.k));
    std::vector<float> one{1.0f}, ones(s.n, 1.0f);
    Buffer xScale = makeBuffer<float>({}, one), wScale = makeBuffer<float>({s.n}, ones);
    for (int64_t rows : kRows) {
      std::vector<int8_t> values = randomBytes(rows * s.k, rows);
      std::fill_n(values.begin(), s.k, -128);
      // AVX2 treats pairs of codes that are together beyond +-128 in another way: some rows
      // have many, some a few, some none.
      for (int64_t i = 0; i < rows * s.k; ++i)
        if (int64_t panel = i / s.k / 4 % 3; panel == 2 || (panel == 1 && i % 7 != 0))
          values[i] /= 2;
      Buffer x = makeBuffer<int8_t>({rows, s.k}, values), y = makeBuffer<float>({rows, s.n});
      program.run(name("w8a8", s), {&x, &xScale, &w, &correction, &wScale, &y});
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t n = 0; n < s.n; ++n) {
          int32_t sum = 0;
          for (int64_t k = 0; k < s.k; ++k)
            sum += values[t * s.k + k] * codes[n * s.k + k];
          ASSERT_EQ(y.as<float>()[t * s.n + n], static_cast<float>(sum)) << "row " << t << " column " << n;
        }
    }
  }
}

/// The sum with the product of an outlier, x in f16; sums are in units of 64.
float addOutlier(float sum, float x, float weight) {
  return std::fma(static_cast<float>(static_cast<_Float16>(x / 64)), weight, sum);
}

TEST_P(MatmulKernels, W8A8WithOutliers) {
  const Shape s{172, 67};
  int64_t blocks = divideUp(s.n, 16);
  std::string text =
      declare("outliers", "matmul_w8a8",
              {memref({-1, s.k}, "i8"), memref({-1}, "f32"), memref({blocks, divideUp(s.k, 4), 64}, "i8"),
               memref({blocks * 16}, "i32"), memref({s.n}, "f32"), memref({-1, s.k}, "f32"), memref({s.k}, "i32"),
               memref({-1, s.n}, "f32")});
  KernelProgram program(text, GetParam());
  std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
  std::vector<float> scales = randomFloats(s.n, 2);
  Buffer w = makeBuffer<int8_t>({blocks, divideUp(s.k, 4), 64}, packInt8Dot(codes, s.n, s.k));
  Buffer correction = makeBuffer<int32_t>({blocks * 16}, packDotCorrection(codes, s.n, s.k));
  Buffer wScale = makeBuffer<float>({s.n}, scales);
  for (std::vector<int32_t> list : {std::vector<int32_t>{}, {0, 5, 66}, {3}}) {
    std::vector<int32_t> columns(s.k, -1);
    std::copy(list.begin(), list.end(), columns.begin());
    Buffer columnBuffer = makeBuffer<int32_t>({s.k}, columns);
    for (int64_t rows : kRows) {
      std::vector<int8_t> values = randomBytes(rows * s.k, rows);
      std::vector<float> tokens = randomFloats(rows, 3), floats = randomFloats(rows * s.k, 4, 8.0f);
      Buffer x = makeBuffer<int8_t>({rows, s.k}, values), xScale = makeBuffer<float>({rows}, tokens);
      Buffer outliers = makeBuffer<float>({rows, s.k}, floats), y = makeBuffer<float>({rows, s.n});
      program.run("outliers", {&x, &xScale, &w, &correction, &wScale, &outliers, &columnBuffer, &y});
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t n = 0; n < s.n; ++n) {
          int32_t sum = 0;
          for (int64_t k = 0; k < s.k; ++k)
            sum += values[t * s.k + k] * codes[n * s.k + k];
          float expected = static_cast<float>(sum) * tokens[t] / 64;
          for (int32_t c : list)
            expected = addOutlier(expected, floats[t * s.k + c], codes[n * s.k + c]);
          ASSERT_EQ(y.as<float>()[t * s.n + n], expected * 64 * scales[n]) << "row " << t << " column " << n;
        }
    }
  }
}

TEST_P(MatmulKernels, W8A8WithKeptColumns) {
  const Shape s{172, 67};
  int64_t blocks = divideUp(s.n, 16);
  for (bool isHalf : {false, true}) {
    std::string text =
        declare("kept", "matmul_w8a8",
                {memref({-1, s.k}, "i8"), memref({-1}, "f32"), memref({blocks, divideUp(s.k, 4), 64}, "i8"),
                 memref({blocks * 16}, "i32"), memref({s.n}, "f32"), memref({-1, -1}, "f32"),
                 memref({blocks, -1, 16}, isHalf ? "f16" : "f32"), memref({1}, "i32"), memref({-1, s.n}, "f32")});
    KernelProgram program(text, GetParam());
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    std::vector<float> scales = randomFloats(s.n, 2);
    Buffer w = makeBuffer<int8_t>({blocks, divideUp(s.k, 4), 64}, packInt8Dot(codes, s.n, s.k));
    Buffer correction = makeBuffer<int32_t>({blocks * 16}, packDotCorrection(codes, s.n, s.k));
    Buffer wScale = makeBuffer<float>({s.n}, scales);
    for (int64_t count : {0, 1, 7, 40}) {
      std::vector<float> kept = randomFloats(s.n * count, 5, isHalf ? 1.0f : 1e6f);
      std::vector<_Float16> half(kept.begin(), kept.end());
      if (isHalf)
        kept.assign(half.begin(), half.end());
      const void *data = isHalf ? static_cast<const void *>(half.data()) : kept.data();
      int64_t bytes = isHalf ? 2 : 4;
      std::vector<int8_t> packed =
          packOutlierWeights({static_cast<const char *>(data), kept.size() * bytes}, bytes, s.n, count);
      Buffer number = makeBuffer<int32_t>({1}, {static_cast<int32_t>(count)});
      Buffer weights{{blocks, count, 16}, std::vector<char>(packed.begin(), packed.end())};
      for (int64_t rows : kRows) {
        std::vector<int8_t> values = randomBytes(rows * s.k, rows);
        std::vector<float> tokens = randomFloats(rows, 3), floats = randomFloats(rows * count, 4, 8.0f);
        Buffer x = makeBuffer<int8_t>({rows, s.k}, values), xScale = makeBuffer<float>({rows}, tokens);
        Buffer outliers = makeBuffer<float>({rows, count}, floats), y = makeBuffer<float>({rows, s.n});
        program.run("kept", {&x, &xScale, &w, &correction, &wScale, &outliers, &weights, &number, &y});
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t n = 0; n < s.n; ++n) {
            int32_t sum = 0;
            for (int64_t k = 0; k < s.k; ++k)
              sum += values[t * s.k + k] * codes[n * s.k + k];
            // In this order on every level, so to the bit.
            float expected = static_cast<float>(sum) * tokens[t] * scales[n] / 64;
            for (int64_t i = 0; i < count; ++i)
              expected = addOutlier(expected, floats[t * count + i], kept[n * count + i]);
            ASSERT_EQ(y.as<float>()[t * s.n + n], expected * 64) << "row " << t << " column " << n << " of " << count;
          }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, MatmulKernels, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return info.param.substr(7); });

} // namespace
