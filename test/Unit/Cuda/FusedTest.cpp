//===- FusedTest.cpp - Groups of kernels as one launch ---------------------===//
//
// Parts of a decoder layer, grouped by the passes, simulated with one row and with
// several, against the kernels of the CPU one by one. With integer products every bit is
// the same; with float ones sums have another order.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "SimProgram.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Passes/Passes.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <random>

using namespace qopt;
using namespace qopt::test;

namespace {

/// Outliers are found in the row, or given by their columns.
enum class Scheme { Float, Int8Weights, Static, Dynamic, Outliers, GivenOutliers, Int4Int8, Int4 };

struct Heads {
  int64_t count, keys, size, rotated;
  bool interleaved;
};
constexpr Heads kSmall{3, 2, 8, 8, false}, kPlain{5, 1, 32, 32, false}, kPartial{2, 1, 96, 64, false},
    kInterleaved{3, 3, 6, 4, true};

struct Case {
  const char *name;
  Scheme scheme;
  int64_t inputs, columns;
  Heads heads;
  int64_t groupSize = 0; ///< of Int4 and Int4Int8
  bool hasZeros = false, scalesAreHalf = true;
  int64_t xGroupSize = 0; ///< of Int4Int8
  bool isInteger() const { return scheme >= Scheme::Static && scheme <= Scheme::Int4Int8; }
};

const Case kCases[] = {
    {"float172", Scheme::Float, 172, 17, kSmall},
    {"weights256", Scheme::Int8Weights, 256, 64, kPartial},
    {"static33", Scheme::Static, 33, 172, kPlain},
    {"dynamic172", Scheme::Dynamic, 172, 19, kSmall},
    {"dynamic1030", Scheme::Dynamic, 1030, 32, kPartial},
    {"outliers67", Scheme::Outliers, 67, 33, kInterleaved},
    {"outliers1280", Scheme::Outliers, 1280, 48, kPlain},
    {"given67", Scheme::GivenOutliers, 67, 20, kInterleaved},
    {"int4g32", Scheme::Int4, 256, 172, kPartial, 32},
    {"int4g64", Scheme::Int4, 172, 17, kSmall, 64, true},
    {"int4", Scheme::Int4, 172, 35, kInterleaved, -1, true, false},
    {"int4int8g128", Scheme::Int4Int8, 1300, 172, kPartial, 128, false, true, 128},
    {"int4int8g64", Scheme::Int4Int8, 172, 17, kSmall, 64, true, true, 32},
    {"int4int8", Scheme::Int4Int8, 1100, 35, kInterleaved, -1, true, false, -1},
};

/// Writes an entry point call by call, with data for its arguments.
class Writer {
public:
  /// Without data there is only text.
  explicit Writer(const Case &c, bool hasData = true) : c(c), hasData(hasData) {}

  struct Buffer {
    std::string name, type;
  };

  template <typename T>
  Buffer argument(const std::string &type, std::vector<int64_t> dims, const std::vector<T> &values) {
    Buffer buffer{"%a" + std::to_string(arguments.size()), type};
    arguments.push_back(buffer);
    GuardedArray<char> data(values.size() * sizeof(T), 0);
    std::copy(values.begin(), values.end(), reinterpret_cast<T *>(data.data()));
    operands.push_back({std::move(data), std::move(dims)});
    return buffer;
  }
  template <typename T>
  Buffer constant(const char *element, std::vector<int64_t> dims, const std::vector<T> &values) {
    std::string type = "memref<";
    for (int64_t d : dims)
      type += std::to_string(d) + "x";
    return argument(type + element + ">", dims, values);
  }
  Buffer floats(std::vector<int64_t> dims, float deviation = 1) {
    return constant("f32", dims, normal<float>(count(dims), deviation));
  }
  Buffer bytes(std::vector<int64_t> dims, int mask = 255) {
    std::vector<int8_t> values(count(dims));
    for (int8_t &v : values)
      v = static_cast<int8_t>(random() & mask);
    return constant("i8", dims, values);
  }
  /// Memory of a result, which the caller has: [rows, width] or, with heads, [1, rows, ...].
  Buffer result(int64_t rows, std::vector<int64_t> inner) {
    std::vector<int64_t> dims{rows};
    std::string type = "?x";
    if (inner.size() > 1)
      dims.insert(dims.begin(), 1), type = "1x?x";
    for (int64_t d : inner)
      dims.push_back(d), type += std::to_string(d) + "x";
    results.push_back(operands.size());
    return argument("memref<" + type + "f32>", dims, std::vector<float>(count(dims), NAN));
  }
  Buffer cache(int64_t heads, int64_t capacity, int64_t size) {
    results.push_back(operands.size());
    std::vector<int64_t> dims{1, heads, capacity, size};
    return argument(memref({-1, heads, -1, size}, "f32"), dims, normal<float>(count(dims), 1));
  }
  Buffer allocate(const std::string &type) {
    Buffer buffer{"%b" + std::to_string(next++), type};
    text += "  " + buffer.name + " = memref.alloc(" + (type.find('?') == std::string::npos ? "" : "%n") +
            ") : " + type + "\n";
    return buffer;
  }
  /// A kernel on these operands, with inherent attributes `config`.
  void call(const std::string &kernel, const std::vector<Buffer> &operands, const std::string &config = "") {
    std::string values, types;
    for (size_t i = 0; i < operands.size(); ++i) {
      values += (i ? ", " : "") + operands[i].name;
      types += (i ? ", " : "") + operands[i].type;
    }
    text += "  \"kernel." + kernel + "\"(" + values + ") " + (config.empty() ? "" : "<{" + config + "}>") + " : (" +
            types + ") -> ()\n";
  }

  /// How often what makes rows and quantization can be one launch.
  int64_t numPreparations = 0;
  /// x [rows,k], normalized or made by a loop before, as the products of the scheme want it.
  void prepare(Buffer x, int64_t k, bool isNormalized, bool isMade = false) {
    width = k;
    numPreparations += (isNormalized || isMade) &&
                       (c.scheme == Scheme::Static || c.scheme == Scheme::Dynamic || c.scheme == Scheme::Int4Int8);
    if (isNormalized) {
      input = allocate(memref({-1, k}, "f32"));
      call("rms_norm", {x, floats({k}), input}, "epsilon = 1.0e-3 : f32");
      x = input;
    }
    input = x;
    Buffer codes = c.isInteger() ? allocate(memref({-1, k}, "i8")) : Buffer();
    if (c.scheme == Scheme::Static) {
      scale = argument("memref<f32>", {}, std::vector<float>{0.03f});
      call("quantize", {x, scale, codes});
    } else if (c.scheme == Scheme::Int4Int8) {
      int64_t size = c.xGroupSize < 0 ? k : std::min(k, c.xGroupSize);
      scale = allocate(memref({-1, static_cast<int64_t>(llvm::divideCeil(k, size))}, "f32"));
      call("dynamic_quantize", {x, codes, scale}, "group_size = " + std::to_string(size) + " : i64");
    } else if (c.isInteger()) {
      scale = allocate("memref<?xf32>");
      if (c.scheme == Scheme::Outliers) {
        columns = allocate(memref({k}, "i32"));
        call("split_columns", {x, codes, scale, columns}, "threshold = 3.0 : f32");
      } else if (c.scheme == Scheme::GivenOutliers) {
        std::vector<int32_t> list;
        for (int32_t i = 3; i < k; i += 11)
          list.push_back(i);
        numGiven = list.size();
        columns = argument("memref<?xi32>", {numGiven}, list);
        outliers = Buffer{"%b" + std::to_string(next++), "memref<?x?xf32>"};
        std::string given = "%given" + std::to_string(next++);
        text += "  " + given + " = memref.dim " + columns.name + ", %c0 : memref<?xi32>\n  " + outliers.name +
                " = memref.alloc(%n, " + given + ") : memref<?x?xf32>\n";
        call("split_columns_at", {x, columns, codes, scale, outliers});
      } else {
        call("dynamic_quantize", {x, codes, scale});
      }
    }
    prepared = c.isInteger() ? codes : x;
  }
  /// A product of what was prepared.
  Buffer multiply(int64_t n) { return multiply(n, allocate(memref({-1, n}, "f32"))); }
  Buffer multiply(int64_t n, const Buffer &y) {
    int64_t k = width, blocks = llvm::divideCeil(n, int64_t(16));
    if (c.scheme == Scheme::Float) {
      call("matmul_float", {prepared, floats({blocks, k, 16}), y});
    } else if (c.scheme == Scheme::Int8Weights) {
      call("matmul_w8a16", {prepared, bytes({blocks, k, 16}), floats({n}, 0.01f), y});
    } else if (c.scheme == Scheme::Int4 || c.scheme == Scheme::Int4Int8) {
      int64_t size = c.groupSize < 0 ? k : std::min(k, c.groupSize), groups = llvm::divideCeil(k, size),
              rest = k - (groups - 1) * size;
      int64_t steps = (groups - 1) * llvm::divideCeil(size, int64_t(8)) + llvm::divideCeil(rest, int64_t(8));
      std::vector<int64_t> dims{blocks, groups, 16};
      bool isInt8 = c.scheme == Scheme::Int4Int8;
      std::vector<Buffer> values{prepared, bytes({blocks, steps, 64})};
      if (isInt8)
        values.insert(values.begin() + 1, scale);
      values.push_back(c.scalesAreHalf ? constant("f16", dims, normal<_Float16>(count(dims), 0.01f))
                                       : floats(dims, 0.01f));
      if (c.hasZeros)
        values.push_back(bytes(dims, 15));
      values.push_back(y);
      std::string config = "group_size = " + std::to_string(c.groupSize) + " : i64";
      if (isInt8)
        config += ", x_group_size = " + std::to_string(c.xGroupSize) + " : i64";
      call(isInt8 ? "matmul_w4a8" : "matmul_w4a16", values, config);
    } else {
      int64_t words = llvm::divideCeil(k, int64_t(4));
      std::vector<Buffer> values{prepared, scale, bytes({blocks, words, 64}),
                                 constant("i32", {blocks * 16}, std::vector<int32_t>(blocks * 16)), floats({n}, 0.01f)};
      if (c.scheme == Scheme::Outliers)
        values.insert(values.end(), {input, columns});
      if (c.scheme == Scheme::GivenOutliers) {
        Buffer weights = argument(memref({blocks, -1, 16}, "f16"), {blocks, numGiven, 16},
                                  normal<_Float16>(count({blocks, numGiven, 16}), 0.1f));
        values.insert(values.end(), {outliers, weights, constant("i32", {1}, std::vector<int32_t>{int32_t(numGiven)})});
      }
      values.push_back(y);
      bool isListed = c.scheme == Scheme::Outliers, isKept = c.scheme == Scheme::GivenOutliers;
      std::string optional =
          std::string(isListed || isKept ? "1, " : "0, ") + (isListed ? "1, " : "0, ") + (isKept ? "1, 1" : "0, 0");
      call("matmul_w8a8", values, "operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, " + optional + ", 1>");
    }
    return y;
  }
  /// outs = region(ins), element by element; `maps`: of ins and outs.
  void loop(const std::vector<Buffer> &ins, const Buffer &out, const std::string &maps, const std::string &region) {
    std::string values, types;
    for (size_t i = 0; i < ins.size(); ++i) {
      values += (i ? ", " : "") + ins[i].name;
      types += (i ? ", " : "") + ins[i].type;
    }
    text += "  linalg.generic {indexing_maps = [" + maps + "], iterator_types = [\"parallel\", \"parallel\"]}\n" +
            "      ins(" + values + " : " + types + ") outs(" + out.name + " : " + out.type + ") {\n" + region +
            "  }\n";
  }
  /// `x` as heads, for one sequence.
  Buffer heads(const Buffer &x, int64_t count, int64_t size) {
    Buffer view{"%v" + std::to_string(next++), memref({1, -1, count, size}, "f32")};
    text += "  " + view.name + " = memref.expand_shape " + x.name + " [[0, 1], [2, 3]] output_shape [1, %n, " +
            std::to_string(count) + ", " + std::to_string(size) + "] : " + x.type + " into " + view.type + "\n";
    return view;
  }

  /// The module; the first dimension of the first argument is the number of rows.
  std::string module() const {
    std::string list;
    for (size_t i = 0; i < arguments.size(); ++i)
      list += (i ? ", " : "") + arguments[i].name + ": " + arguments[i].type;
    return "#id = affine_map<(d0, d1) -> (d0, d1)>\n#last = affine_map<(d0, d1) -> (d1)>\n"
           "func.func @main(" +
           list + ") {\n  %c0 = arith.constant 0 : index\n  %n = memref.dim %a0, %c0 : " + arguments[0].type + "\n" +
           text + "  return\n}\n";
  }

  /// Numbers [rows, width], some of them large.
  Buffer rowsOf(int64_t rows, int64_t width) {
    std::vector<float> values = normal<float>(rows * width, 1);
    values[width / 2] = 7.5f;
    values[width - 1] = -11.0f;
    return argument(memref({-1, width}, "f32"), {rows, width}, values);
  }

  /// Runs `main` of the program with this data; an error's code.
  int64_t run(Program &program) {
    std::vector<DeviceArray> arrays;
    for (auto &[data, dims] : operands)
      arrays.push_back(data.shaped(dims));
    EXPECT_EQ(program.run("main", arrays), "");
    for (auto &[data, dims] : operands)
      EXPECT_TRUE(data.marginsAreUntouched());
    return program.error.code;
  }

  std::vector<std::pair<GuardedArray<char>, std::vector<int64_t>>> operands;
  std::vector<size_t> results; ///< which operands are compared
  std::mt19937 random{7};

private:
  int64_t count(const std::vector<int64_t> &dims) {
    int64_t result = hasData;
    for (int64_t d : dims)
      result *= d;
    return result;
  }
  template <typename T>
  std::vector<T> normal(int64_t count, float deviation) {
    std::normal_distribution<float> distribution(0, deviation);
    std::vector<T> values(count);
    for (T &v : values)
      v = static_cast<T>(distribution(random));
    return values;
  }

  const Case &c;
  bool hasData;
  std::string text;
  std::vector<Buffer> arguments;
  Buffer input, prepared, scale, columns, outliers;
  int64_t numGiven = 0, width = 0;
  int next = 0;
};

/// As the lowering pipeline does it, from after bufferization on.
std::string lower(const std::string &text, bool isGrouped) {
  mlir::MLIRContext context;
  loadDialects(context);
  mlir::OwningOpRef<mlir::ModuleOp> module = parse(context, text);
  mlir::PassManager passes(&context);
  if (isGrouped)
    passes.addPass(createGroupKernels());
  passes.addNestedPass<mlir::func::FuncOp>(createPlanMemory());
  passes.addPass(createOutlineKernels());
  EXPECT_TRUE(succeeded(passes.run(*module)));
  std::string result;
  llvm::raw_string_ostream(result) << *module;
  return result;
}

void expectEqual(const Case &c, const GuardedArray<char> &actual, const GuardedArray<char> &expected) {
  auto *have = reinterpret_cast<const float *>(actual.data()), *want = reinterpret_cast<const float *>(expected.data());
  size_t size = expected.size() / sizeof(float);
  float largest = 0;
  for (size_t i = 0; i < size; ++i)
    largest = std::max(largest, std::abs(want[i]));
  float tolerance = c.isInteger() ? 0 : largest * 0x1p-18f;
  for (size_t i = 0; i < size; ++i)
    ASSERT_LE(std::abs(have[i] - want[i]), tolerance)
        << "element " << i << " of " << size << ": " << have[i] << " for " << want[i];
}

/// One row is `fused` launches, more are several; results are the CPU's.
void check(const Case &c, void (*write)(Writer &, const Case &, int64_t), size_t fused = 1) {
  std::unique_ptr<SimProgram> sim;
  std::unique_ptr<CpuProgram> cpu;
  for (int64_t rows : {1, 3}) {
    Writer w(c);
    write(w, c, rows);
    if (!sim) {
      std::string text = w.module();
      sim = std::make_unique<SimProgram>(lower(text, /*isGrouped=*/true));
      cpu = std::make_unique<CpuProgram>(lower(text, /*isGrouped=*/false));
    }
    Writer expected = w;
    EXPECT_EQ(expected.run(*cpu), 0);
    EXPECT_EQ(w.run(*sim), 0);
    for (size_t i : w.results)
      expectEqual(c, w.operands[i].first, expected.operands[i].first);
    SCOPED_TRACE(testing::PrintToString(sim->launched));
    EXPECT_EQ(sim->launched.size() == fused, rows == 1);
    EXPECT_EQ(llvm::StringRef(sim->launched[0]).ends_with("_prepare"), rows > 1 && w.numPreparations > 0);
    EXPECT_EQ(llvm::count_if(sim->launched, [](llvm::StringRef name) { return name.contains("_prepare"); }),
              rows > 1 ? w.numPreparations : 0);
  }
}

class Fused : public testing::TestWithParam<Case> {};

/// Queries, keys and values; positions and places in the caches from `first` on.
void writeHeads(Writer &w, const Case &c, int64_t rows, int64_t first, int64_t tableRows, int64_t capacity) {
  const Heads &h = c.heads;
  w.prepare(w.rowsOf(rows, c.inputs), c.inputs, /*isNormalized=*/true);
  Writer::Buffer products[] = {w.multiply(h.count * h.size), w.multiply(h.keys * h.size), w.multiply(h.keys * h.size)};
  Writer::Buffer cos = w.floats({tableRows, h.rotated / 2}), sin = w.floats({tableRows, h.rotated / 2});
  std::vector<int64_t> each(rows);
  std::iota(each.begin(), each.end(), first);
  Writer::Buffer positions = w.argument("memref<1x?xi64>", {1, rows}, each);
  Writer::Buffer past = w.argument("memref<1xi64>", {1}, std::vector<int64_t>{first});
  std::string config =
      (h.interleaved ? "interleaved, rotary_dim = " : "rotary_dim = ") + std::to_string(h.rotated) + " : i64";
  for (int i = 0; i < 3; ++i) {
    Writer::Buffer x = w.heads(products[i], i ? h.keys : h.count, h.size);
    if (i < 2) {
      Writer::Buffer turned = i ? w.allocate(x.type) : w.result(rows, {h.count, h.size});
      w.call("rotary", {x, cos, sin, positions, turned}, config);
      x = turned;
    }
    if (i > 0)
      w.call("cache_append", {x, past, w.cache(h.keys, capacity, h.size)});
  }
}

TEST_P(Fused, NormAndHeads) {
  check(GetParam(), [](Writer &w, const Case &c, int64_t rows) { writeHeads(w, c, rows, 13, 20, 17); });
}

/// Of the rows that are prepared, to y.
void writeGateTimesUp(Writer &w, const Case &c, const Writer::Buffer &y) {
  Writer::Buffer gate = w.multiply(c.columns), up = w.multiply(c.columns);
  w.loop({gate, up}, y, "#id, #id, #id",
         "  ^bb0(%g: f32, %u: f32, %out: f32):\n    %one = arith.constant 1.0 : f32\n    %m = arith.negf %g : f32\n"
         "    %e = math.exp %m : f32\n    %d = arith.addf %e, %one : f32\n    %s = arith.divf %g, %d : f32\n"
         "    %p = arith.mulf %s, %u : f32\n    linalg.yield %p : f32\n");
}

void writeGateAndUp(Writer &w, const Case &c, int64_t rows) {
  w.prepare(w.rowsOf(rows, c.inputs), c.inputs, /*isNormalized=*/true);
  writeGateTimesUp(w, c, w.result(rows, {c.columns}));
}

TEST_P(Fused, GateAndUp) { check(GetParam(), writeGateAndUp); }

/// With codes a group that goes on: a row is complete before it is quantized.
TEST_P(Fused, GateUpAndDown) {
  auto write = [](Writer &w, const Case &c, int64_t rows) {
    w.prepare(w.rowsOf(rows, c.inputs), c.inputs, /*isNormalized=*/true);
    Writer::Buffer product = w.allocate(memref({-1, c.columns}, "f32"));
    writeGateTimesUp(w, c, product);
    w.prepare(product, c.columns, /*isNormalized=*/false, /*isMade=*/true);
    Writer::Buffer down = w.multiply(c.inputs), residual = w.rowsOf(rows, c.inputs);
    w.loop({down, residual}, w.result(rows, {c.inputs}), "#id, #id, #id",
           "  ^bb0(%l: f32, %r: f32, %out: f32):\n    %s = arith.addf %l, %r : f32\n    linalg.yield %s : f32\n");
  };
  check(GetParam(), write, /*fused=*/2);
}

TEST_P(Fused, BiasAndResidual) {
  check(GetParam(), [](Writer &w, const Case &c, int64_t rows) {
    Writer::Buffer x = w.rowsOf(rows, c.inputs), residual = w.rowsOf(rows, c.columns);
    w.prepare(x, c.inputs, /*isNormalized=*/false);
    Writer::Buffer y = w.multiply(c.columns), bias = w.floats({c.columns}), sum = w.result(rows, {c.columns});
    const std::string add = "arith.addf %l, %r : f32\n    linalg.yield %s : f32\n";
    // In place, and to other memory.
    w.loop({bias}, y, "#last, #id", "  ^bb0(%l: f32, %r: f32):\n    %s = " + add);
    w.loop({y, residual}, sum, "#id, #id, #id", "  ^bb0(%l: f32, %r: f32, %out: f32):\n    %s = " + add);
  });
}

/// Positions past a table and tokens past a cache are reported; a full cache stays as it is.
TEST(FusedErrors, PositionOutOfRange) {
  const Case c{"dynamic", Scheme::Dynamic, 64, 64, kPlain};
  for (auto [tableRows, capacity] : {std::pair(13, 20), std::pair(20, 13)}) {
    Writer w(c);
    writeHeads(w, c, /*rows=*/1, /*first=*/13, tableRows, capacity);
    Writer expected = w;
    std::string text = w.module();
    SimProgram sim(lower(text, /*isGrouped=*/true));
    CpuProgram cpu(lower(text, /*isGrouped=*/false));
    EXPECT_EQ(w.run(sim), QRT_INDEX_OUT_OF_RANGE);
    EXPECT_EQ(expected.run(cpu), QRT_INDEX_OUT_OF_RANGE);
    EXPECT_EQ(sim.launched.size(), 1u);
    EXPECT_EQ(sim.error.a, cpu.error.a);
    EXPECT_EQ(sim.error.b, cpu.error.b);
    for (size_t i : w.results)
      if (capacity == 13)
        expectEqual(c, w.operands[i].first, expected.operands[i].first);
  }
}

/// Layers of a model with a billion weights, on chips of every generation.
TEST(FusedPtx, AssemblesWithoutSpills) {
  if (findPtxas().empty())
    GTEST_SKIP() << "ptxas is not installed";
  constexpr Heads heads{32, 8, 64, 64, false};
  const Case cases[] = {{"float", Scheme::Float, 2048, 8192, heads},
                        {"weights", Scheme::Int8Weights, 2048, 8192, heads},
                        {"static", Scheme::Static, 2048, 8192, heads},
                        {"dynamic", Scheme::Dynamic, 2048, 8192, heads},
                        {"outliers", Scheme::Outliers, 2048, 8192, heads},
                        {"given", Scheme::GivenOutliers, 2048, 8192, heads},
                        {"int4", Scheme::Int4, 2048, 8192, heads, 128, true},
                        {"int4int8", Scheme::Int4Int8, 2048, 8192, heads, 128, false, true, 128},
                        {"int4int8zeros", Scheme::Int4Int8, 2048, 8192, heads, 128, true, true, 64}};
  for (const Case &c : cases) {
    for (bool isHeads : {true, false}) {
      Writer w(c, /*hasData=*/false);
      if (isHeads)
        writeHeads(w, c, /*rows=*/1, 0, 8, 8);
      else
        writeGateAndUp(w, c, /*rows=*/1);
      CudaProgram program(lower(w.module(), /*isGrouped=*/true));
      std::string ptx = program.ptx("sm_80");
      for (const char *chip : {"sm_80", "sm_120"}) { // the first and the last, which share their text
        auto cubin = compileCubin(program.module->getLoc(), ptx, chip);
        ASSERT_TRUE(succeeded(cubin)) << chip;
        for (const auto &[name, resources] : cubin->kernels) {
          if (!name.ends_with("_fused"))
            continue;
          EXPECT_EQ(resources.spilledBytes + resources.stackBytes, 0) << c.name << " " << name.str() << " on " << chip;
          RecordProperty(std::string(c.name) + (isHeads ? "_heads_" : "_gate_up_") + chip, resources.registers);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, Fused, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case> &info) { return std::string(info.param.name); });

} // namespace
