//===- MatmulTest.cpp - Matrix products, simulated -------------------------===//
//
// Every launch of a product (for few rows, small and large tiles) over every number of
// rows that it can take, whatever the host's code would choose. Integer results must be
// those of the CPU's kernel to the bit; the others are compared with sums in double.
// tf32 rounds an activation by 2^-12 at most, so a product by no more.
//
//===----------------------------------------------------------------------===//
#include "CudaProgram.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Runtime/Sim.h"
#include "llvm/Support/MathExtras.h"
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <utility>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int kRows[] = {1, 2, 7, 8, 9, 17, 33, 70};

struct Shape {
  int64_t n, k;
};
constexpr Shape kShapes[] = {{172, 64}, {64, 172}, {512, 256}, {17, 33}};

/// Memory whose end an access past it would leave: 64-byte aligned, values at its begin.
template <typename T>
class Memory {
public:
  Memory(size_t count, T value) : count(count), data(new(std::align_val_t(64)) T[std::max<size_t>(count, 1)]) {
    std::fill_n(data, count, value);
  }
  explicit Memory(const std::vector<T> &values) : Memory(values.size(), T()) { std::copy(values.begin(), values.end(), data); }
  Memory(Memory &&other) : count(other.count), data(std::exchange(other.data, nullptr)) {}
  ~Memory() { ::operator delete[](data, std::align_val_t(64)); }
  T &operator[](size_t i) { return data[i]; }
  T *get() { return data; }
  size_t size() const { return count; }

private:
  size_t count;
  T *data;
};

/// Rows and columns of a block, by the ends of the kernels' names.
struct Variant {
  const char *suffix;
  int64_t rows, columns;
};
constexpr Variant kVariants[] = {{"_rows", 8, 32}, {"_small", 32, 64}, {"_large", 64, 128}};

/// One declaration, compiled for the simulator.
class Simulated {
public:
  Simulated(const std::string &kernel, const std::string &operands, const std::string &config = "")
      : program("func.func private @f(" + operands + ") attributes {qopt.kernel = \"" + kernel + "\"" +
                (config.empty() ? "" : ", qopt.config = {" + config + "}") + "}") {
    mlir::FailureOr<std::vector<char>> elf = compileSim(*program.module);
    if (failed(elf))
      llvm::report_fatal_error("the simulator's code does not compile");
    auto code = qrt::HostCode::load(*elf);
    if (!code)
      llvm::report_fatal_error(code.error().message.c_str());
    loaded = *code;
  }

  /// Runs `variant` on x, w, y, rows and what follows (addresses or numbers); the
  /// message, empty on success.
  template <typename X, typename W, typename... Own>
  std::string run(const Variant &variant, int64_t columns, X *x, W *w, float *y, int32_t rows, Own... own) {
    void *addresses[] = {&x, &w, &y, &rows, static_cast<void *>(&own)...};
    std::string name = std::string("f") + variant.suffix;
    auto kernels = program.module->lookupSymbol<mlir::gpu::GPUModuleOp>(kKernelsModule);
    auto function = kernels.lookupSymbol<mlir::gpu::GPUFuncOp>(name);
    int64_t rowBlocks = llvm::divideCeil(rows, variant.rows), columnBlocks = llvm::divideCeil(columns, variant.columns);
    bool isFew = variant.rows == 8;
    qrt::SimLaunch launch{reinterpret_cast<QrtSimKernel>(loaded->symbol(name)), name};
    launch.grid = {int32_t(isFew ? columnBlocks : rowBlocks), int32_t(isFew ? 1 : columnBlocks), 1};
    launch.block = {(*function.getKnownBlockSize())[0], 1, 1};
    launch.sharedBytes = function->getAttrOfType<mlir::IntegerAttr>(kSharedBytesAttr).getInt();
    launch.args = addresses;
    qrt::ThreadPool threads(2);
    qrt::Status status = qrt::simLaunch(launch, threads);
    return status ? "" : status.error().message;
  }

private:
  CudaProgram program;
  std::shared_ptr<const qrt::HostCode> loaded;
};

std::string memref(std::initializer_list<int64_t> shape, const char *type) {
  std::string text = "memref<";
  for (int64_t d : shape)
    text += (d < 0 ? "?" : std::to_string(d)) + "x";
  return text + type + ">";
}

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
      Simulated program("matmul_w8a8", int8Operands(s, perToken));
      std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
      std::fill_n(codes.begin(), s.k, -128); // the largest possible sum
      Memory<int8_t> w(packInt8Dot(codes, s.n, s.k));
      Memory<float> scales(randomFloats(s.n, 2));
      for (int rows : kRows) {
        Memory<int8_t> x(randomBytes(rows * s.k, rows));
        std::fill_n(x.get(), s.k, -128);
        Memory<float> tokens(randomFloats(perToken ? rows : 1, 3));
        for (const Variant &v : kVariants) {
          if (v.rows < rows && v.rows == 8)
            continue;
          Memory<float> y(rows * s.n, NAN);
          ASSERT_EQ(program.run(v, s.n, x.get(), w.get(), y.get(), rows, tokens.get(), scales.get()), "");
          for (int64_t t = 0; t < rows; ++t)
            for (int64_t n = 0; n < s.n; ++n)
              ASSERT_EQ(y[t * s.n + n], static_cast<float>(dot(x.get() + t * s.k, &codes[n * s.k], s.k)) *
                                            tokens[perToken ? t : 0] * scales[n])
                  << v.suffix << " row " << t << " column " << n << " of " << rows << "x" << s.n << "x" << s.k;
        }
      }
    }
}

/// What the outlier columns of a row add to y.
struct OutlierCase {
  std::vector<float> activations; ///< of the row, one per outlier
  std::vector<float> weights;     ///< of the column
};

/// Few rows are summed as on the CPU, to the bit. Tiles leave 2^-21 of x away.
void expectOutliers(float y, int32_t codes, float token, float scale, const OutlierCase &outliers, const Variant &v) {
  float inOrder = static_cast<float>(codes) * token * scale;
  double sum = inOrder, magnitudes = std::abs(sum);
  for (size_t i = 0; i < outliers.weights.size(); ++i) {
    double product = static_cast<double>(outliers.activations[i]) * outliers.weights[i];
    sum += product;
    magnitudes += std::abs(product);
    inOrder = std::fma(outliers.activations[i], outliers.weights[i], inOrder);
  }
  if (v.rows == 8 || outliers.weights.empty())
    ASSERT_EQ(y, inOrder);
  else
    ASSERT_NEAR(y, sum, 0x1p-20 * magnitudes);
}

constexpr int kOutlierRows[] = {1, 2, 9, 33};

TEST(CudaMatmul, W8A8WithListedOutliers) {
  for (const Shape &s : {Shape{172, 67}, {17, 256}}) {
    Simulated program("matmul_w8a8", int8Operands(s, true, memref({-1, s.k}, "f32") + ", " + memref({s.k}, "i32") + ", "));
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    Memory<int8_t> w(packInt8Dot(codes, s.n, s.k));
    Memory<float> scales(randomFloats(s.n, 2));
    for (int count : {0, 1, 7, 40, 67}) {
      std::vector<int32_t> list;
      for (int i = 0; i < count; ++i)
        list.push_back(count == 67 ? i : (i * 67 + 3) / std::max(count, 1));
      Memory<int32_t> columns(s.k, -1);
      std::copy(list.begin(), list.end(), columns.get());
      for (int rows : kOutlierRows) {
        Memory<int8_t> x(randomBytes(rows * s.k, rows));
        Memory<float> tokens(randomFloats(rows, 3)), floats(randomFloats(rows * s.k, 4, 8));
        floats[3] = 1e6f; // beyond f16
        for (const Variant &v : kVariants) {
          if (v.rows < rows && v.rows == 8)
            continue;
          Memory<float> y(rows * s.n, NAN);
          ASSERT_EQ(program.run(v, s.n, x.get(), w.get(), y.get(), rows, tokens.get(), scales.get(), floats.get(),
                                columns.get()), "");
          for (int64_t t = 0; t < rows; ++t)
            for (int64_t n = 0; n < s.n; ++n) {
              OutlierCase outliers;
              for (int32_t c : list) {
                outliers.activations.push_back(floats[t * s.k + c]);
                outliers.weights.push_back(codes[n * s.k + c] * scales[n]);
              }
              SCOPED_TRACE(testing::Message() << v.suffix << " row " << t << " column " << n << " of " << count);
              ASSERT_NO_FATAL_FAILURE(expectOutliers(y[t * s.n + n], dot(x.get() + t * s.k, &codes[n * s.k], s.k),
                                                     tokens[t], scales[n], outliers, v));
            }
        }
      }
    }
  }
}

TEST(CudaMatmul, W8A8WithKeptOutliers) {
  const Shape s{172, 67};
  for (bool isHalf : {true, false}) {
    Simulated program("matmul_w8a8", int8Operands(s, true, memref({-1, -1}, "f32") + ", " +
                                                               memref({blocksOf(s.n), -1, 16}, isHalf ? "f16" : "f32") + ", "));
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    Memory<int8_t> w(packInt8Dot(codes, s.n, s.k));
    Memory<float> scales(randomFloats(s.n, 2));
    for (int count : {0, 1, 7, 40}) {
      std::vector<float> kept = randomFloats(s.n * count, 5, isHalf ? 1 : 1e5f);
      std::vector<_Float16> half(kept.begin(), kept.end());
      if (isHalf)
        kept.assign(half.begin(), half.end());
      auto *data = isHalf ? reinterpret_cast<const char *>(half.data()) : reinterpret_cast<const char *>(kept.data());
      int64_t bytes = isHalf ? 2 : 4;
      Memory<int8_t> weights(packOutlierWeights({data, kept.size() * bytes}, bytes, s.n, count));
      for (int rows : kOutlierRows) {
        Memory<int8_t> x(randomBytes(rows * s.k, rows));
        Memory<float> tokens(randomFloats(rows, 3)), floats(randomFloats(rows * count, 4, 8));
        if (count)
          floats[0] = 1e6f; // beyond f16
        for (const Variant &v : kVariants) {
          if (v.rows < rows && v.rows == 8)
            continue;
          Memory<float> y(rows * s.n, NAN);
          ASSERT_EQ(program.run(v, s.n, x.get(), w.get(), y.get(), rows, tokens.get(), scales.get(), floats.get(),
                                weights.get(), static_cast<int32_t>(count)), "");
          for (int64_t t = 0; t < rows; ++t)
            for (int64_t n = 0; n < s.n; ++n) {
              OutlierCase outliers{{floats.get() + t * count, floats.get() + (t + 1) * count},
                                   {kept.begin() + n * count, kept.begin() + (n + 1) * count}};
              SCOPED_TRACE(testing::Message() << v.suffix << " row " << t << " column " << n << " of " << count);
              ASSERT_NO_FATAL_FAILURE(expectOutliers(y[t * s.n + n], dot(x.get() + t * s.k, &codes[n * s.k], s.k),
                                                     tokens[t], scales[n], outliers, v));
            }
        }
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Float activations
//===----------------------------------------------------------------------===//

/// `precision`: of a product, relative.
template <typename Weight>
void expectProduct(Memory<float> &y, Memory<float> &x, int64_t rows, const Shape &s, const char *variant,
                   double precision, Weight weight) {
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t n = 0; n < s.n; ++n) {
      double sum = 0, magnitudes = 0;
      for (int64_t k = 0; k < s.k; ++k) {
        double product = x[t * s.k + k] * static_cast<double>(weight(n, k));
        sum += product;
        magnitudes += std::abs(product);
      }
      ASSERT_NEAR(y[t * s.n + n], sum, precision * magnitudes + 1e-30)
          << variant << " row " << t << " column " << n << " of " << rows << "x" << s.n << "x" << s.k;
    }
}

/// What the sums of f32 lose, and what rounding to tf32 adds.
constexpr double kFull = 0x1p-20, kRounded = 0x1p-12;
double precisionOf(const Variant &v) { return kFull + (v.rows == 8 ? 0 : kRounded); }

/// Beyond f16: its largest number is 65504.
constexpr float kLargeActivation = 1e6f;

TEST(CudaMatmul, F32) {
  for (const Shape &s : kShapes) {
    Simulated program("matmul_f32", memref({-1, s.k}, "f32") + ", " + memref({blocksOf(s.n), s.k, 16}, "f32") + ", " +
                                        memref({-1, s.n}, "f32"));
    std::vector<float> weights = randomFloats(s.n * s.k, 1);
    Memory<float> w(packFloatWeights(weights, s.k, s.n));
    for (int rows : kRows) {
      Memory<float> x(randomFloats(rows * s.k, rows));
      for (const Variant &v : kVariants) {
        if (v.rows < rows && v.rows == 8)
          continue;
        Memory<float> y(rows * s.n, NAN);
        ASSERT_EQ(program.run(v, s.n, x.get(), w.get(), y.get(), rows), "");
        expectProduct(y, x, rows, s, v.suffix, kFull, [&](int64_t n, int64_t k) { return weights[k * s.n + n]; });
      }
    }
  }
}

TEST(CudaMatmul, W8A16) {
  for (const Shape &s : kShapes) {
    Simulated program("matmul_w8a16", memref({-1, s.k}, "f32") + ", " + memref({blocksOf(s.n), s.k, 16}, "i8") + ", " +
                                          memref({s.n}, "f32") + ", " + memref({-1, s.n}, "f32"));
    std::vector<int8_t> codes = randomBytes(s.n * s.k, 1);
    Memory<int8_t> w(packInt8Columns(codes, s.n, s.k));
    Memory<float> scales(randomFloats(s.n, 2));
    for (int rows : kRows) {
      Memory<float> x(randomFloats(rows * s.k, rows));
      x[0] = kLargeActivation;
      for (const Variant &v : kVariants) {
        if (v.rows < rows && v.rows == 8)
          continue;
        Memory<float> y(rows * s.n, NAN);
        ASSERT_EQ(program.run(v, s.n, x.get(), w.get(), y.get(), rows, scales.get()), "");
        expectProduct(y, x, rows, s, v.suffix, precisionOf(v),
                      [&](int64_t n, int64_t k) { return static_cast<double>(scales[n]) * codes[n * s.k + k]; });
      }
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
  const Case cases[] = {{{172, 64}, 20, Near, false}, {{64, 172}, 64, None, true},  {{17, 33}, 16, Any, false},
                        {{48, 33}, -1, None, false},  {{64, 256}, 128, Any, true},  {{512, 256}, 32, Near, true},
                        {{32, 172}, -1, Any, true},   {{40, 1280}, 160, None, false}};
  for (const Case &c : cases) {
    auto [n, k] = c.shape;
    int64_t size = c.groupSize < 0 ? k : c.groupSize, groups = llvm::divideCeil(k, size), bytes = llvm::divideCeil(k, 2);
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
    Simulated program("matmul_w4a16", operands + memref({-1, n}, "f32"),
                      "group_size = " + std::to_string(c.groupSize) + " : i64");
    Memory<int8_t> w(packed.codes), scale(packed.scales), zero(packed.zeros);
    for (int rows : kRows) {
      Memory<float> x(randomFloats(rows * k, rows));
      x[0] = kLargeActivation;
      for (const Variant &v : kVariants) {
        if (v.rows < rows && v.rows == 8)
          continue;
        Memory<float> y(rows * n, NAN);
        std::string message = c.zeros == Any
                                  ? program.run(v, n, x.get(), w.get(), y.get(), rows, scale.get(), zero.get())
                                  : program.run(v, n, x.get(), w.get(), y.get(), rows, scale.get());
        ASSERT_EQ(message, "");
        expectProduct(y, x, rows, c.shape, v.suffix, precisionOf(v),
                      [&, k = k](int64_t column, int64_t i) { return weights[column * k + i]; });
      }
    }
  }
}

} // namespace
