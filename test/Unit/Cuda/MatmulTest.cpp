//===- MatmulTest.cpp - Matrix products, simulated -------------------------===//
//
// Rows for every launch of a product: for few rows, small and large tiles, sm_90a. Integer
// results must be those of the CPU's kernel to the bit; the others are compared with
// sums in double. f16 rounds an activation by 2^-12 at most, so a product by no more.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "SimProgram.h"
#include "qopt/Codegen/Kernels.h"
#include "llvm/Support/MathExtras.h"
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;
using namespace qopt::test;

namespace {

struct Call {
  int64_t rows, capability;
};
constexpr Call kCalls[] = {{1, 80},  {2, 80},  {7, 80},   {8, 80},  {9, 80},  {17, 80},
                           {33, 80}, {65, 80}, {130, 80}, {65, 90}, {130, 90}};

struct Shape {
  int64_t n, k;
};
constexpr Shape kShapes[] = {{172, 64}, {64, 172}, {512, 256}, {17, 33}};

/// One kernel, `f`, compiled for the simulator.
struct Product : SimProgram {
  Product(const std::string &kernel, const std::string &operands, const std::string &config = "")
      : SimProgram(kernelFunction("f", kernel, operands, config)) {}

  /// Only the number of rows is unknown to the code.
  std::string operator()(int64_t rows, std::initializer_list<void *> operands) {
    std::vector<DeviceArray> arrays;
    for (void *data : operands)
      arrays.push_back({data, {rows}});
    return run("f", arrays);
  }
  const std::string &kernel() const { return launched.back(); }
};

int64_t blocksOf(int64_t n) { return llvm::divideCeil(n, kColumns); }

std::vector<float> randomFloats(size_t count, unsigned seed, float deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float &v : values)
    v = normal(random);
  return values;
}
std::vector<int8_t> randomBytes(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int8_t> values(count);
  for (int8_t &v : values)
    v = static_cast<int8_t>(random());
  return values;
}

//===----------------------------------------------------------------------===//
// w8a8
//===----------------------------------------------------------------------===//

std::string int8Operands(const Shape &s, bool perToken, const std::string &outliers = "") {
  return memref({-1, s.k}, "i8") + ", " + (perToken ? "memref<?xf32>" : "memref<f32>") + ", " +
         memref({blocksOf(s.n), int64_t(llvm::divideCeil(s.k, int64_t(4))), 64}, "i8") + ", " +
         memref({blocksOf(s.n) * 16}, "i32") + ", " + memref({s.n}, "f32") + ", " + outliers + memref({-1, s.n}, "f32");
}

int32_t dot(const int8_t *a, const int8_t *b, int64_t k) {
  int32_t sum = 0;
  for (int64_t i = 0; i < k; ++i)
    sum += a[i] * b[i];
  return sum;
}

TEST(CudaMatmul, W8A8IsExact) {
  for (bool perToken : {false, true})
    for (const Shape &s : kShapes) {
      Product product("matmul_w8a8", int8Operands(s, perToken));
      std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
      std::fill_n(codes.begin(), s.k, -128); // the largest possible sum
      GuardedArray<int8_t> w(packInt8Dot(codes, s.n, s.k));
      GuardedArray<int32_t> corrections(packDotCorrection(codes, s.n, s.k));
      GuardedArray<float> scales(randomFloats(s.n, 2));
      for (auto [rows, capability] : kCalls) {
        product.capability = capability;
        GuardedArray<int8_t> x(randomBytes(rows * s.k, rows));
        std::fill_n(x.data(), s.k, -128);
        GuardedArray<float> tokens(randomFloats(perToken ? rows : 1, 3));
        GuardedArray<float> y(rows * s.n, NAN);
        ASSERT_EQ(product(rows, {x.data(), tokens.data(), w.data(), corrections.data(), scales.data(), y.data()}), "");
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t n = 0; n < s.n; ++n)
            ASSERT_EQ(y[t * s.n + n], static_cast<float>(dot(x.data() + t * s.k, &codes[n * s.k], s.k)) *
                                          tokens[perToken ? t : 0] * scales[n])
                << product.kernel() << " row " << t << " column " << n << " of " << rows << "x" << s.n << "x" << s.k;
        EXPECT_TRUE(y.marginsAreUntouched());
      }
    }
}

/// What outlier columns add to one element of y.
struct OutlierTerms {
  std::vector<float> activations, weights;
};

/// The sum with the products of outliers, x in f16 and units of 64.
float addOutliers(float sum, const OutlierTerms &outliers) {
  sum /= 64;
  for (size_t i = 0; i < outliers.weights.size(); ++i) {
    float x = static_cast<float>(static_cast<_Float16>(outliers.activations[i] / 64));
    sum = std::fma(x, outliers.weights[i], sum);
  }
  return sum * 64;
}

constexpr int64_t kOutlierRows[] = {1, 2, 9, 33, 70};

TEST(CudaMatmul, W8A8WithListedOutliers) {
  for (const Shape &s : {Shape{172, 67}, {17, 256}}) {
    Product product("matmul_w8a8",
                    int8Operands(s, true, memref({-1, s.k}, "f32") + ", " + memref({s.k}, "i32") + ", "));
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    GuardedArray<int8_t> w(packInt8Dot(codes, s.n, s.k));
    GuardedArray<int32_t> corrections(packDotCorrection(codes, s.n, s.k));
    GuardedArray<float> scales(randomFloats(s.n, 2));
    for (int count : {0, 1, 7, 40, 67}) {
      GuardedArray<int32_t> columns(s.k, -1);
      for (int i = 0; i < count; ++i)
        columns[i] = i * 67 / count;
      for (int64_t rows : kOutlierRows) {
        GuardedArray<int8_t> x(randomBytes(rows * s.k, rows));
        GuardedArray<float> tokens(randomFloats(rows, 3)), floats(randomFloats(rows * s.k, 4, 8));
        floats[0] = 1e6f; // beyond f16
        GuardedArray<float> y(rows * s.n, NAN);
        ASSERT_EQ(product(rows, {x.data(), tokens.data(), w.data(), corrections.data(), scales.data(), floats.data(),
                                 columns.data(), y.data()}),
                  "");
        EXPECT_TRUE(y.marginsAreUntouched());
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t n = 0; n < s.n; ++n) {
            OutlierTerms outliers;
            for (int i = 0; i < count; ++i) {
              outliers.activations.push_back(floats[t * s.k + columns[i]]);
              outliers.weights.push_back(codes[n * s.k + columns[i]]);
            }
            float sum = static_cast<float>(dot(x.data() + t * s.k, &codes[n * s.k], s.k)) * tokens[t];
            ASSERT_EQ(y[t * s.n + n], addOutliers(sum, outliers) * scales[n])
                << product.kernel() << " row " << t << " column " << n << " of " << count;
          }
      }
    }
  }
}

TEST(CudaMatmul, W8A8WithKeptOutliers) {
  const Shape s{172, 67};
  std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
  GuardedArray<int8_t> w(packInt8Dot(codes, s.n, s.k));
  GuardedArray<int32_t> corrections(packDotCorrection(codes, s.n, s.k));
  GuardedArray<float> scales(randomFloats(s.n, 2));
  for (bool isHalf : {true, false}) {
    Product product("matmul_w8a8",
                    int8Operands(s, true,
                                 memref({-1, -1}, "f32") + ", " +
                                     memref({blocksOf(s.n), -1, 16}, isHalf ? "f16" : "f32") + ", memref<1xi32>, "));
    for (int64_t count : {0, 1, 7, 40}) {
      std::vector<float> kept = randomFloats(s.n * count, 5, isHalf ? 1 : 1e5f);
      std::vector<_Float16> half(kept.begin(), kept.end());
      if (isHalf)
        kept.assign(half.begin(), half.end());
      auto *data = isHalf ? reinterpret_cast<const char *>(half.data()) : reinterpret_cast<const char *>(kept.data());
      int64_t bytes = isHalf ? 2 : 4;
      GuardedArray<int32_t> number(1, static_cast<int32_t>(count));
      GuardedArray<int8_t> weights(packOutlierWeights({data, kept.size() * bytes}, bytes, s.n, count));
      for (int64_t rows : kOutlierRows) {
        GuardedArray<int8_t> x(randomBytes(rows * s.k, rows));
        GuardedArray<float> tokens(randomFloats(rows, 3)), floats(randomFloats(rows * count, 4, 8));
        if (count)
          floats[0] = 1e6f; // beyond f16
        GuardedArray<float> y(rows * s.n, NAN);
        ASSERT_EQ(
            product.run("f", {x.shaped({rows, s.k}), tokens.shaped({rows}), w.shaped({}), corrections.shaped({}),
                              scales.shaped({s.n}), floats.shaped({rows, count}),
                              weights.shaped({blocksOf(s.n), count, 16}), number.shaped({1}), y.shaped({rows, s.n})}),
            "");
        EXPECT_TRUE(y.marginsAreUntouched());
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t n = 0; n < s.n; ++n) {
            OutlierTerms outliers{{floats.data() + t * count, floats.data() + (t + 1) * count},
                                  {kept.begin() + n * count, kept.begin() + (n + 1) * count}};
            float sum = static_cast<float>(dot(x.data() + t * s.k, &codes[n * s.k], s.k)) * tokens[t] * scales[n];
            ASSERT_EQ(y[t * s.n + n], addOutliers(sum, outliers))
                << product.kernel() << " row " << t << " column " << n << " of " << count;
          }
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Float activations
//===----------------------------------------------------------------------===//

/// `precision`: of a product of two numbers, relative.
template <typename Weight>
void expectProduct(GuardedArray<float> &y, GuardedArray<float> &x, int64_t rows, const Shape &s,
                   const std::string &kernel, double precision, Weight weight) {
  EXPECT_TRUE(y.marginsAreUntouched());
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t n = 0; n < s.n; ++n) {
      double sum = 0, magnitudes = 0;
      for (int64_t k = 0; k < s.k; ++k) {
        double term = x[t * s.k + k] * static_cast<double>(weight(n, k));
        sum += term;
        magnitudes += std::abs(term);
      }
      ASSERT_NEAR(y[t * s.n + n], sum, precision * magnitudes + 1e-30)
          << kernel << " row " << t << " column " << n << " of " << rows << "x" << s.n << "x" << s.k;
    }
}

/// What the sums of f32 lose, and what rounding to f16 or tf32 adds.
constexpr double kFull = 0x1p-20, kRounded = 0x1p-12;
double precisionOf(int64_t rows) { return kFull + (rows <= 8 ? 0 : kRounded); }

/// Rows of very different sizes, one of zeros. The first number is beyond f16, whose
/// largest is 65504.
std::vector<float> activations(int64_t rows, int64_t width) {
  std::vector<float> values = randomFloats(rows * width, rows);
  for (int64_t i = 0; i < rows * width; ++i) {
    constexpr float kSizes[] = {1, 0x1p-30f, 0x1p30f, 0};
    values[i] *= kSizes[i / width % 4];
  }
  values[0] = 1e6f;
  return values;
}

TEST(CudaMatmul, F32) {
  for (const Shape &s : kShapes) {
    Product product("matmul_float", memref({-1, s.k}, "f32") + ", " + memref({blocksOf(s.n), s.k, 16}, "f32") + ", " +
                                        memref({-1, s.n}, "f32"));
    std::vector<float> weights = randomFloats(s.n * s.k, 1);
    GuardedArray<float> w(packFloatWeights(weights, s.k, s.n));
    for (auto [rows, capability] : kCalls) {
      product.capability = capability;
      GuardedArray<float> x(randomFloats(rows * s.k, rows));
      GuardedArray<float> y(rows * s.n, NAN);
      ASSERT_EQ(product(rows, {x.data(), w.data(), y.data()}), "");
      expectProduct(y, x, rows, s, product.kernel(), kFull, [&](int64_t n, int64_t k) { return weights[k * s.n + n]; });
    }
  }
}

TEST(CudaMatmul, F16) {
  for (bool isBrain : {false, true})
    for (const Shape &s : kShapes) {
      Product product("matmul_float", memref({-1, s.k}, "f32") + ", " +
                                          memref({blocksOf(s.n), s.k, 16}, isBrain ? "bf16" : "f16") + ", " +
                                          memref({-1, s.n}, "f32"));
      std::vector<float> weights = randomFloats(s.n * s.k, 1);
      std::vector<uint16_t> bits;
      for (float &weight : weights) {
        bits.push_back(isBrain ? std::bit_cast<uint32_t>(weight) >> 16 : std::bit_cast<uint16_t>(_Float16(weight)));
        weight = isBrain ? std::bit_cast<float>(uint32_t(bits.back()) << 16) : float(_Float16(weight));
      }
      GuardedArray<uint16_t> w(packHalfWeights(bits, s.k, s.n));
      for (auto [rows, capability] : kCalls) {
        product.capability = capability;
        GuardedArray<float> x(activations(rows, s.k));
        GuardedArray<float> y(rows * s.n, NAN);
        ASSERT_EQ(product(rows, {x.data(), w.data(), y.data()}), "");
        expectProduct(y, x, rows, s, product.kernel(), precisionOf(rows),
                      [&](int64_t n, int64_t k) { return weights[k * s.n + n]; });
      }
    }
}

TEST(CudaMatmul, W8A16) {
  for (const Shape &s : kShapes) {
    Product product("matmul_w8a16", memref({-1, s.k}, "f32") + ", " + memref({blocksOf(s.n), s.k, 16}, "i8") + ", " +
                                        memref({s.n}, "f32") + ", " + memref({-1, s.n}, "f32"));
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    GuardedArray<int8_t> w(packInt8Columns(codes, s.n, s.k));
    GuardedArray<float> scales(randomFloats(s.n, 2));
    for (auto [rows, capability] : kCalls) {
      product.capability = capability;
      GuardedArray<float> x(activations(rows, s.k));
      GuardedArray<float> y(rows * s.n, NAN);
      ASSERT_EQ(product(rows, {x.data(), w.data(), scales.data(), y.data()}), "");
      expectProduct(y, x, rows, s, product.kernel(), precisionOf(rows),
                    [&](int64_t n, int64_t k) { return static_cast<double>(scales[n]) * codes[n * s.k + k]; });
    }
  }
}

TEST(CudaMatmul, W4A16) {
  enum Zeros { None, Near, Any };
  struct Case {
    Shape shape;
    int64_t groupSize;
    Zeros zeros;
    bool isHalf;
  };
  const Case cases[] = {{{172, 64}, 20, Near, false}, {{64, 172}, 64, None, true},    {{17, 33}, 16, Any, false},
                        {{48, 33}, -1, None, false},  {{64, 256}, 128, Any, true},    {{512, 256}, 32, Near, true},
                        {{32, 172}, -1, Any, true},   {{40, 1280}, 160, None, false}, {{64, 172}, 32, Any, true},
                        {{32, 172}, 128, None, true}};
  for (const Case &c : cases) {
    auto [n, k] = c.shape;
    int64_t size = c.groupSize < 0 ? k : c.groupSize, groups = llvm::divideCeil(k, size);
    int64_t bytes = llvm::divideCeil(k, 2);
    std::vector<int8_t> codes = randomBytes(n * bytes, 3), zeros = randomBytes(n * groups, 4);
    for (int8_t &zero : zeros)
      zero = c.zeros == Near ? 7 + (zero & 1) : zero & 15;
    if (c.zeros == None)
      zeros.clear();
    std::vector<char> scales;
    std::vector<float> scaleValues;
    for (float scale : randomFloats(n * groups, 5, 1e-5f)) { // below what f16 holds exactly
      _Float16 half = static_cast<_Float16>(scale);
      auto *data = c.isHalf ? reinterpret_cast<char *>(&half) : reinterpret_cast<char *>(&scale);
      scales.insert(scales.end(), data, data + (c.isHalf ? 2 : 4));
      scaleValues.push_back(c.isHalf ? static_cast<float>(half) : scale);
    }
    Int4Weights packed = packInt4(codes, scales, c.isHalf ? 2 : 4, zeros, n, k, c.groupSize);
    std::vector<double> weights(n * k);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t j = 0; j < k; ++j) {
        int64_t group = row * groups + j / size, code = (codes[row * bytes + j / 2] >> (j % 2 * 4)) & 15;
        weights[row * k + j] = static_cast<double>(scaleValues[group]) * (code - (zeros.empty() ? 8 : zeros[group]));
      }
    std::string operands = memref({-1, k}, "f32") + ", " + memref({blocksOf(n), packed.steps, 64}, "i8") + ", " +
                           memref({blocksOf(n), groups, 16}, c.isHalf ? "f16" : "f32") + ", ";
    if (c.zeros == Any)
      operands += memref({blocksOf(n), groups, 16}, "i8") + ", ";
    Product product("matmul_w4a16", operands + memref({-1, n}, "f32"),
                    "group_size = " + std::to_string(c.groupSize) + " : i64");
    GuardedArray<int8_t> w(packed.codes), scale(packed.scales), zero(packed.zeros);
    for (auto [rows, capability] : kCalls) {
      product.capability = capability;
      GuardedArray<float> x(activations(rows, k));
      GuardedArray<float> y(rows * n, NAN);
      ASSERT_EQ(c.zeros == Any ? product(rows, {x.data(), w.data(), scale.data(), zero.data(), y.data()})
                               : product(rows, {x.data(), w.data(), scale.data(), y.data()}),
                "");
      expectProduct(y, x, rows, c.shape, product.kernel(), precisionOf(rows),
                    [&, k = k](int64_t column, int64_t i) { return weights[column * k + i]; });
    }
  }
}

// Sums of groups are exact, and what follows has the CPU's order in every launch: equal to the bit.
TEST(CudaMatmul, W4A8) {
  struct Case {
    Shape shape;
    int64_t groupSize, xGroupSize;
    bool hasZeros, isHalf;
  };
  const Case cases[] = {{{172, 64}, 20, 20, true, false},  {{64, 172}, 64, 64, false, true},
                        {{17, 33}, 16, 8, true, false},    {{48, 33}, -1, -1, false, false},
                        {{64, 256}, 128, 32, true, true},  {{40, 1300}, 128, 128, false, true},
                        {{40, 1300}, -1, -1, false, true}, {{512, 300}, 128, 64, true, true}};
  for (const Case &c : cases) {
    auto [n, k] = c.shape;
    auto sizeOf = [k = k](int64_t asked) { return asked < 0 ? k : asked; };
    int64_t size = sizeOf(c.groupSize), xSize = sizeOf(c.xGroupSize), bytes = llvm::divideCeil(k, 2);
    int64_t groups = llvm::divideCeil(k, size), xGroups = llvm::divideCeil(k, xSize);
    std::vector<int8_t> nibbles = randomBytes(n * bytes, 3), zeros = randomBytes(n * groups, 4);
    std::fill_n(nibbles.begin(), bytes, 0); // the largest possible sum
    for (int8_t &zero : zeros)
      zero &= 15;
    std::fill_n(zeros.begin(), groups, 15);
    if (!c.hasZeros)
      zeros.clear();
    std::vector<char> scales;
    std::vector<float> scaleValues;
    for (float scale : randomFloats(n * groups, 5)) {
      _Float16 half = static_cast<_Float16>(scale);
      auto *data = c.isHalf ? reinterpret_cast<char *>(&half) : reinterpret_cast<char *>(&scale);
      scales.insert(scales.end(), data, data + (c.isHalf ? 2 : 4));
      scaleValues.push_back(c.isHalf ? static_cast<float>(half) : scale);
    }
    std::vector<int8_t> codes(n * k); // less zero points
    for (int64_t row = 0; row < n; ++row)
      for (int64_t j = 0; j < k; ++j)
        codes[row * k + j] =
            ((nibbles[row * bytes + j / 2] >> (j % 2 * 4)) & 15) - (zeros.empty() ? 8 : zeros[row * groups + j / size]);
    Int4Weights packed = packInt4(nibbles, scales, c.isHalf ? 2 : 4, zeros, n, k, c.groupSize);
    std::string perGroup = memref({blocksOf(n), groups, 16}, c.isHalf ? "f16" : "f32");
    std::string operands = memref({-1, k}, "i8") + ", " + memref({-1, xGroups}, "f32") + ", " +
                           memref({blocksOf(n), packed.steps, 64}, "i8") + ", " + perGroup + ", ";
    if (c.hasZeros)
      operands += memref({blocksOf(n), groups, 16}, "i8") + ", ";
    Product product("matmul_w4a8", operands + memref({-1, n}, "f32"),
                    "group_size = " + std::to_string(c.groupSize) +
                        " : i64, x_group_size = " + std::to_string(c.xGroupSize) + " : i64");
    GuardedArray<int8_t> w(packed.codes), scale(packed.scales), zero(packed.zeros);
    for (auto [rows, capability] : kCalls) {
      product.capability = capability;
      GuardedArray<int8_t> x(randomBytes(rows * k, rows));
      std::fill_n(x.data(), k, -128);
      GuardedArray<float> xScale(randomFloats(rows * xGroups, 6)), y(rows * n, NAN);
      ASSERT_EQ(c.hasZeros ? product(rows, {x.data(), xScale.data(), w.data(), scale.data(), zero.data(), y.data()})
                           : product(rows, {x.data(), xScale.data(), w.data(), scale.data(), y.data()}),
                "");
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t column = 0; column < n; ++column) {
          float total = 0;
          for (int64_t g = 0; g < xGroups; ++g) {
            int64_t first = g * xSize, count = std::min(k - first, xSize);
            int32_t sum = dot(x.data() + t * k + first, &codes[column * k + first], count);
            total = std::fma(static_cast<float>(sum) * xScale[t * xGroups + g],
                             scaleValues[column * groups + first / size], total);
          }
          ASSERT_EQ(y[t * n + column], total) << product.kernel() << " row " << t << " column " << column << " of "
                                              << rows << "x" << n << "x" << k << " in groups of " << xSize;
        }
      EXPECT_TRUE(y.marginsAreUntouched());
    }
  }
}

} // namespace
