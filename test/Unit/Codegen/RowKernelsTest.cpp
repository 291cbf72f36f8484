//===- RowKernelsTest.cpp - Kernels that work row by row -------------------===//
#include "../KernelText.h"
#include "KernelProgram.h"
#include "qopt/Codegen/Kernels.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt::test;

namespace {

constexpr int64_t kRows[] = {1, 2, 7, 17};
constexpr int64_t kWidths[] = {5, 64, 172, 256};

class RowKernels : public testing::TestWithParam<std::string> {};

/// The same function for every width, with W for the width.
std::string declareWidths(const std::string &text) {
  std::string result;
  for (int64_t width : kWidths)
    for (char c : text + "\n")
      result += c == 'W' ? std::to_string(width) : std::string(1, c);
  return result;
}

std::string symbol(const char *kernel, int64_t width) { return std::string(kernel) + "_" + std::to_string(width); }

TEST_P(RowKernels, RmsNorm) {
  KernelProgram program(
      declareWidths(kernelFunction("rms_norm_W", "rms_norm", "memref<?xWxf32>, memref<Wxf32>, memref<?xWxf32>",
                                   "epsilon = 1.0e-3 : f32")),
      GetParam());
  for (int64_t width : kWidths)
    for (int64_t rows : kRows) {
      std::vector<float> values = randomFloats(rows * width, rows), weights = randomFloats(width, 2);
      Buffer x = makeBuffer<float>({rows, width}, values), w = makeBuffer<float>({width}, weights);
      Buffer y = makeBuffer<float>({rows, width});
      program.run(symbol("rms_norm", width), {&x, &w, &y});
      for (int64_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (int64_t i = 0; i < width; ++i)
          sum += static_cast<double>(values[r * width + i]) * values[r * width + i];
        double factor = 1 / std::sqrt(sum / width + static_cast<double>(1e-3f));
        for (int64_t i = 0; i < width; ++i) {
          double expected = values[r * width + i] * factor * weights[i];
          ASSERT_NEAR(y.as<float>()[r * width + i], expected, 5e-7 * std::abs(expected) + 1e-30);
        }
      }
    }
}

TEST_P(RowKernels, LayerNorm) {
  for (bool hasBias : {false, true}) {
    std::string vectors = hasBias ? "memref<Wxf32>, memref<Wxf32>" : "memref<Wxf32>";
    KernelProgram program(
        declareWidths(kernelFunction("layer_norm_W", "layer_norm", "memref<?xWxf32>, " + vectors + ", memref<?xWxf32>",
                                     "epsilon = 1.0e-3 : f32")),
        GetParam());
    for (int64_t width : kWidths)
      for (int64_t rows : kRows) {
        std::vector<float> values = randomFloats(rows * width, rows), weights = randomFloats(width, 2);
        for (float &value : values)
          value += 100; // a mean that is large beside the deviation
        std::vector<float> biases = hasBias ? randomFloats(width, 3) : std::vector<float>(width, 0.0f);
        Buffer x = makeBuffer<float>({rows, width}, values), w = makeBuffer<float>({width}, weights);
        Buffer b = makeBuffer<float>({width}, biases), y = makeBuffer<float>({rows, width});
        std::vector<Buffer *> operands{&x, &w, &y};
        if (hasBias)
          operands.insert(operands.begin() + 2, &b);
        program.run(symbol("layer_norm", width), operands);
        for (int64_t r = 0; r < rows; ++r) {
          double sum = 0, squares = 0;
          for (int64_t i = 0; i < width; ++i)
            sum += values[r * width + i];
          double mean = sum / width;
          for (int64_t i = 0; i < width; ++i)
            squares += std::pow(values[r * width + i] - mean, 2);
          double factor = 1 / std::sqrt(squares / width + static_cast<double>(1e-3f));
          // The mean is off by a rounding of numbers about 100.
          for (int64_t i = 0; i < width; ++i)
            ASSERT_NEAR(y.as<float>()[r * width + i], (values[r * width + i] - mean) * factor * weights[i] + biases[i],
                        2e-5 * factor * std::abs(weights[i]) + 1e-6);
        }
      }
  }
}

TEST_P(RowKernels, Gather) {
  KernelProgram program(kernelFunction("floats", "gather", "memref<?x21xf32>, memref<?xi64>, memref<?x21xf32>") +
                            kernelFunction("bytes", "gather", "memref<9x40xi8>, memref<?xi32>, memref<?x40xi8>"),
                        GetParam());
  std::vector<float> table = randomFloats(9 * 21, 1);
  Buffer data = makeBuffer<float>({9, 21}, table);
  auto run = [&](std::vector<int64_t> indices) {
    auto count = static_cast<int64_t>(indices.size());
    Buffer index = makeBuffer<int64_t>({count}, indices), y = makeBuffer<float>({count, 21});
    program.run("floats", {&data, &index, &y});
    return std::vector<float>(y.as<float>(), y.as<float>() + count * 21);
  };
  std::vector<float> rows = run({8, 0, -1, -9});
  EXPECT_TRUE(failures.empty());
  for (int64_t i = 0; i < 21; ++i) {
    EXPECT_EQ(rows[i], table[8 * 21 + i]);
    EXPECT_EQ(rows[21 + i], table[i]);
    EXPECT_EQ(rows[42 + i], table[8 * 21 + i]);
    EXPECT_EQ(rows[63 + i], table[i]);
  }
  run({3, 9, -10, INT64_MAX});
  EXPECT_EQ(failures, (std::vector<std::array<int64_t, 3>>{{2, 9, 9}, {2, -10, 9}, {2, INT64_MAX, 9}}));

  std::vector<int8_t> bytes = randomBytes(9 * 40, 2);
  Buffer byteData = makeBuffer<int8_t>({9, 40}, bytes), y = makeBuffer<int8_t>({1, 40});
  Buffer index = makeBuffer<int32_t>({1}, {4});
  program.run("bytes", {&byteData, &index, &y});
  EXPECT_TRUE(std::equal(y.as<int8_t>(), y.as<int8_t>() + 40, &bytes[4 * 40]));
}

// 21 rows of 5 as columns of packed weights, of which the last block holds 5.
TEST_P(RowKernels, GatherPacked) {
  KernelProgram program(
      kernelFunction("packed", "gather", "memref<2x5x16xf32>, memref<?xi64>, memref<?x5xf32>", "rows = 21 : i64"),
      GetParam());
  std::vector<float> weights = randomFloats(5 * 21, 1);
  Buffer data = makeBuffer<float>({2, 5, 16}, qopt::packFloatWeights(weights, 5, 21));
  std::vector<int64_t> rows{0, 15, 16, 20, -1, -21};
  Buffer index = makeBuffer<int64_t>({6}, rows), y = makeBuffer<float>({6, 5});
  program.run("packed", {&data, &index, &y});
  EXPECT_TRUE(failures.empty());
  for (int64_t r = 0; r < 6; ++r)
    for (int64_t i = 0; i < 5; ++i)
      EXPECT_EQ(y.as<float>()[r * 5 + i], weights[i * 21 + (rows[r] + 21) % 21]);
  // Columns that only pad are not rows.
  index = makeBuffer<int64_t>({2}, {21, -22}), y = makeBuffer<float>({2, 5});
  program.run("packed", {&data, &index, &y});
  EXPECT_EQ(failures, (std::vector<std::array<int64_t, 3>>{{2, 21, 21}, {2, -22, 21}}));
}

// Codes times the scale of their row: as they are, and in both forms in which products read them.
TEST_P(RowKernels, GatherScaled) {
  constexpr int64_t kRows = 21, kWidth = 37;
  const std::string operands = "memref<?xi64>, memref<21xf32>, memref<?x37xf32>";
  KernelProgram program(kernelFunction("rows", "gather", "memref<21x37xi8>, " + operands) +
                            kernelFunction("columns", "gather", "memref<2x37x16xi8>, " + operands, "rows = 21 : i64") +
                            kernelFunction("dot", "gather", "memref<2x10x64xi8>, " + operands, "rows = 21 : i64"),
                        GetParam());
  std::vector<int8_t> codes = randomBytes(kRows * kWidth, 1);
  std::vector<float> scales = randomFloats(kRows, 2);
  std::vector<int64_t> indices{0, 15, 16, 20, -1, -21};
  Buffer scale = makeBuffer<float>({kRows}, scales), index = makeBuffer<int64_t>({6}, indices);
  auto check = [&](const char *name, Buffer data) {
    Buffer y = makeBuffer<float>({6, kWidth});
    program.run(name, {&data, &index, &scale, &y});
    for (int64_t r = 0; r < 6; ++r)
      for (int64_t i = 0; i < kWidth; ++i) {
        int64_t row = (indices[r] + kRows) % kRows;
        EXPECT_EQ(y.as<float>()[r * kWidth + i], codes[row * kWidth + i] * scales[row]) << name;
      }
  };
  check("rows", makeBuffer<int8_t>({kRows, kWidth}, codes));
  check("columns", makeBuffer<int8_t>({2, kWidth, 16}, qopt::packInt8Columns(codes, kRows, kWidth)));
  check("dot", makeBuffer<int8_t>({2, 10, 64}, qopt::packInt8Dot(codes, kRows, kWidth)));
  EXPECT_TRUE(failures.empty());
}

struct RotaryCase {
  int64_t heads, headSize, rotated;
  bool headsFirst, interleaved, positions;
};
constexpr RotaryCase kRotary[] = {{3, 32, 32, false, false, true},
                                  {2, 8, 8, true, false, true},
                                  {2, 20, 12, false, true, true},
                                  {1, 128, 64, true, true, false},
                                  {2, 24, 24, false, false, false}};

TEST_P(RowKernels, Rotary) {
  constexpr int64_t kBatch = 2, kTokens = 5, kMax = 11;
  std::string text;
  for (auto [i, c] : llvm::enumerate(kRotary)) {
    std::string heads = std::to_string(c.heads), size = std::to_string(c.headSize),
                half = std::to_string(c.rotated / 2);
    std::string x =
        c.headsFirst ? "memref<?x" + heads + "x?x" + size + "xf32>" : "memref<?x?x" + heads + "x" + size + "xf32>";
    std::string table = (c.positions ? "memref<?x" : "memref<?x?x") + half + "xf32>";
    text += kernelFunction("rotary" + std::to_string(i), "rotary",
                           x + ", " + table + ", " + table + ", " + (c.positions ? "memref<?x?xi64>, " : "") + x,
                           std::string(c.headsFirst ? "heads_first, " : "") + (c.interleaved ? "interleaved, " : "") +
                               "rotary_dim = " + std::to_string(c.rotated) + " : i64");
  }
  KernelProgram program(text, GetParam());
  for (auto [i, c] : llvm::enumerate(kRotary)) {
    int64_t half = c.rotated / 2, count = kBatch * kTokens * c.heads * c.headSize;
    std::vector<float> values = randomFloats(count, 1);
    std::vector<float> cosines = randomFloats(kMax * half, 2), sines = randomFloats(kMax * half, 3);
    std::vector<int64_t> positions{0, 3, 10, 4, 1, 7, 6, 5, 4, 3};
    std::vector<int64_t> shape = c.headsFirst ? std::vector<int64_t>{kBatch, c.heads, kTokens, c.headSize}
                                              : std::vector<int64_t>{kBatch, kTokens, c.heads, c.headSize};
    Buffer x = makeBuffer<float>(shape, values), y = makeBuffer<float>(shape);
    Buffer cos = makeBuffer<float>({kMax, half}, cosines), sin = makeBuffer<float>({kMax, half}, sines);
    if (!c.positions)
      cos.shape = sin.shape = {1, kMax, half};
    Buffer position = makeBuffer<int64_t>({kBatch, kTokens}, positions);
    std::vector<Buffer *> operands{&x, &cos, &sin, &y};
    if (c.positions)
      operands.insert(operands.begin() + 3, &position);
    program.run("rotary" + std::to_string(i), operands);
    EXPECT_TRUE(failures.empty());
    for (int64_t b = 0; b < kBatch; ++b)
      for (int64_t t = 0; t < kTokens; ++t)
        for (int64_t h = 0; h < c.heads; ++h) {
          int64_t row = (c.headsFirst ? (b * c.heads + h) * kTokens + t : (b * kTokens + t) * c.heads + h) * c.headSize;
          int64_t place = c.positions ? positions[b * kTokens + t] : t;
          std::vector<float> expected(&values[row], &values[row] + c.headSize);
          for (int64_t j = 0; j < half; ++j) {
            int64_t first = c.interleaved ? 2 * j : j, second = c.interleaved ? 2 * j + 1 : j + half;
            float u = values[row + first], v = values[row + second];
            float cosine = cosines[place * half + j], sine = sines[place * half + j];
            expected[first] = u * cosine - v * sine;
            expected[second] = v * cosine + u * sine;
          }
          for (int64_t j = 0; j < c.headSize; ++j)
            ASSERT_EQ(y.as<float>()[row + j], expected[j]) << "case " << i << " element " << j;
        }
    if (c.positions) {
      position.as<int64_t>()[1] = kMax;
      position.as<int64_t>()[7] = -2;
      program.run("rotary" + std::to_string(i), operands);
      EXPECT_EQ(failures, (std::vector<std::array<int64_t, 3>>{{2, kMax, kMax}, {2, -2, kMax}}));
    }
  }
}

int8_t roundToCode(float v) {
  return std::isnan(v) ? 0 : static_cast<int8_t>(std::nearbyint(std::min(std::max(v, -128.0f), 127.0f)));
}

TEST_P(RowKernels, Quantize) {
  KernelProgram program(
      declareWidths(kernelFunction("quantize_W", "quantize", "memref<?xWxf32>, memref<f32>, memref<?xWxi8>")),
      GetParam());
  for (int64_t width : kWidths)
    for (int64_t rows : kRows) {
      std::vector<float> values = randomFloats(rows * width, rows, 40.0f), scales{0.5f};
      for (size_t i = 0; i < values.size(); i += 3) // ties
        values[i] = 0.25f + 0.5f * std::nearbyint(values[i]);
      values[1] = INFINITY;
      values[2] = -INFINITY;
      values[3] = NAN;
      Buffer x = makeBuffer<float>({rows, width}, values), scale = makeBuffer<float>({}, scales);
      Buffer codes = makeBuffer<int8_t>({rows, width});
      program.run(symbol("quantize", width), {&x, &scale, &codes});
      for (size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(codes.as<int8_t>()[i], roundToCode(values[i] / 0.5f)) << values[i];
    }
}

TEST_P(RowKernels, DynamicQuantize) {
  KernelProgram program(
      declareWidths(kernelFunction("dynamic_W", "dynamic_quantize", "memref<?xWxf32>, memref<?xWxi8>, memref<?xf32>")),
      GetParam());
  for (int64_t width : kWidths)
    for (int64_t rows : kRows) {
      std::vector<float> values = randomFloats(rows * width, rows, 3.0f);
      std::fill_n(values.end() - width, width, 0.0f);
      Buffer x = makeBuffer<float>({rows, width}, values), codes = makeBuffer<int8_t>({rows, width});
      Buffer scale = makeBuffer<float>({rows});
      program.run(symbol("dynamic", width), {&x, &codes, &scale});
      for (int64_t r = 0; r < rows; ++r) {
        float absmax = 0;
        for (int64_t i = 0; i < width; ++i)
          absmax = std::max(absmax, std::abs(values[r * width + i]));
        ASSERT_EQ(scale.as<float>()[r], absmax / 127.0f);
        for (int64_t i = 0; i < width; ++i)
          ASSERT_EQ(codes.as<int8_t>()[r * width + i], roundToCode(values[r * width + i] * 127.0f / absmax));
      }
    }
}

TEST_P(RowKernels, DynamicQuantizeByGroups) {
  constexpr int64_t rows = 3;
  std::string text;
  for (int64_t width : kWidths)
    for (int64_t size : {8, 20, 1000}) {
      std::string shape = std::to_string(width),
                  groups = std::to_string((width + std::min(size, width) - 1) / std::min(size, width));
      text += kernelFunction("groups_" + shape + "_" + std::to_string(size), "dynamic_quantize",
                             "memref<?x" + shape + "xf32>, memref<?x" + shape + "xi8>, memref<?x" + groups + "xf32>",
                             "group_size = " + std::to_string(size) + " : i64");
    }
  KernelProgram program(text, GetParam());
  for (int64_t width : kWidths)
    for (int64_t asked : {8, 20, 1000}) {
      int64_t size = std::min(asked, width), groups = (width + size - 1) / size;
      std::vector<float> values = randomFloats(rows * width, width, 3.0f);
      std::fill_n(values.begin(), std::min<int64_t>(size, 8), 0.0f);
      Buffer x = makeBuffer<float>({rows, width}, values), codes = makeBuffer<int8_t>({rows, width});
      Buffer scale = makeBuffer<float>({rows, groups});
      program.run("groups_" + std::to_string(width) + "_" + std::to_string(asked), {&x, &codes, &scale});
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t g = 0; g < groups; ++g) {
          float absmax = 0;
          int64_t first = r * width + g * size, last = r * width + std::min((g + 1) * size, width);
          for (int64_t i = first; i < last; ++i)
            absmax = std::max(absmax, std::abs(values[i]));
          ASSERT_EQ(scale.as<float>()[r * groups + g], absmax / 127.0f);
          for (int64_t i = first; i < last; ++i)
            ASSERT_EQ(codes.as<int8_t>()[i], roundToCode(values[i] * 127.0f / absmax));
        }
    }
}

TEST_P(RowKernels, SplitColumns) {
  KernelProgram program(declareWidths(kernelFunction("split_W", "split_columns",
                                                     "memref<?xWxf32>, memref<?xWxi8>, memref<?xf32>, memref<Wxi32>",
                                                     "threshold = 4.0 : f32")),
                        GetParam());
  for (int64_t width : kWidths)
    for (int64_t rows : kRows) {
      std::vector<float> values = randomFloats(rows * width, rows);
      values[2] = 4.0f; // exactly at the threshold
      values[rows * width - 1] = -9.0f;
      Buffer x = makeBuffer<float>({rows, width}, values), codes = makeBuffer<int8_t>({rows, width});
      Buffer scale = makeBuffer<float>({rows}), columns = makeBuffer<int32_t>({width});
      program.run(symbol("split", width), {&x, &codes, &scale, &columns});
      std::vector<int32_t> expected;
      std::vector<bool> outlier(width);
      for (int64_t i = 0; i < width; ++i) {
        for (int64_t r = 0; r < rows; ++r)
          outlier[i] = outlier[i] || std::abs(values[r * width + i]) >= 4.0f;
        if (outlier[i])
          expected.push_back(static_cast<int32_t>(i));
      }
      expected.resize(width, -1);
      EXPECT_EQ(std::vector<int32_t>(columns.as<int32_t>(), columns.as<int32_t>() + width), expected);
      for (int64_t r = 0; r < rows; ++r) {
        float absmax = 0;
        for (int64_t i = 0; i < width; ++i)
          if (float m = std::abs(values[r * width + i]); m < 4.0f)
            absmax = std::max(absmax, m);
        ASSERT_EQ(scale.as<float>()[r], absmax / 127.0f);
        for (int64_t i = 0; i < width; ++i)
          ASSERT_EQ(codes.as<int8_t>()[r * width + i],
                    outlier[i] ? 0 : roundToCode(values[r * width + i] * 127.0f / absmax));
      }
    }
}

TEST_P(RowKernels, SplitColumnsAt) {
  KernelProgram program(
      declareWidths(kernelFunction("split_W", "split_columns_at",
                                   "memref<?xWxf32>, memref<?xi32>, memref<?xWxi8>, memref<?xf32>, memref<?x?xf32>")),
      GetParam());
  for (int64_t width : kWidths)
    for (int64_t rows : kRows)
      for (int64_t step : {1, 5, 1000}) { // every column, some, the first
        std::vector<int32_t> list;
        for (int64_t i = 0; i < width; i += step)
          list.push_back(static_cast<int32_t>(i));
        int64_t count = list.size();
        std::vector<float> values = randomFloats(rows * width, rows);
        values[0] = 1000.0f;
        Buffer x = makeBuffer<float>({rows, width}, values), codes = makeBuffer<int8_t>({rows, width});
        Buffer columns = makeBuffer<int32_t>({count}, list);
        Buffer scale = makeBuffer<float>({rows}), outliers = makeBuffer<float>({rows, count});
        program.run(symbol("split", width), {&x, &columns, &codes, &scale, &outliers});
        for (int64_t r = 0; r < rows; ++r) {
          float absmax = 0;
          for (int64_t i = 0; i < width; ++i)
            if (i % step)
              absmax = std::max(absmax, std::abs(values[r * width + i]));
          ASSERT_EQ(scale.as<float>()[r], absmax / 127.0f);
          for (int64_t i = 0; i < width; ++i)
            ASSERT_EQ(codes.as<int8_t>()[r * width + i],
                      i % step ? roundToCode(values[r * width + i] * 127.0f / absmax) : 0);
          for (int64_t i = 0; i < count; ++i)
            ASSERT_EQ(outliers.as<float>()[r * count + i], values[r * width + list[i]]);
        }
      }
}

INSTANTIATE_TEST_SUITE_P(Levels, RowKernels, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return info.param.substr(7); });

} // namespace
