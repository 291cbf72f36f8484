//===- SimulatedTest.cpp - CUDA kernels against the CPU's ------------------===//
//
// The same entry points compiled twice: with the CPU's kernels, and with launches of
// the CUDA kernels in the simulator. All results are equal bit by bit.
//
//===----------------------------------------------------------------------===//
#include "CudaProgram.h"
#include "qopt/Codegen/Codegen.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Runtime/Sim.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int64_t kRows[] = {1, 2, 7, 8, 9, 17, 33};
constexpr int64_t kWidths[] = {5, 64, 172, 1030};

struct Array {
  struct alignas(64) Line {
    char bytes[64];
  };
  int64_t type;
  std::vector<int64_t> dims;
  std::vector<Line> lines; ///< aligned, also in a copy
  char *data() { return reinterpret_cast<char *>(lines.data()); }
  template <typename T>
  T *as() {
    return reinterpret_cast<T *>(data());
  }
};

template <typename T>
Array makeArray(int64_t type, std::vector<int64_t> dims, const std::vector<T> &values) {
  Array array{type, std::move(dims), std::vector<Array::Line>(values.size() * sizeof(T) / 64 + 1)};
  std::copy(values.begin(), values.end(), array.as<T>());
  return array;
}
Array floats(std::vector<int64_t> dims, const std::vector<float> &values) { return makeArray(QRT_F32, dims, values); }
Array longs(std::vector<int64_t> dims, const std::vector<int64_t> &values) { return makeArray(QRT_I64, dims, values); }

/// Numbers of very different sizes, with some that quantizers must take care of.
std::vector<float> randomFloats(int64_t count, unsigned seed, bool special = false) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float &v : values)
    v = normal(random) * (random() % 37 == 0 ? 9.0f : 1.0f);
  if (special && count > 4) {
    values[1] = NAN;
    values[count / 2] = INFINITY;
    values[count - 2] = -0.0f;
  }
  return values;
}

/// The runtime as far as entry points need it; memory stays until the end.
struct Context {
  qrt::ThreadPool pool{2};
  std::vector<std::pair<std::string, QrtSimKernel>> kernels;
  std::vector<std::unique_ptr<char[]>> memory;
  QrtErrorRecord record{};
  std::string problem;

  static Context &of(QrtContext *context) { return *reinterpret_cast<Context *>(context); }
  static void *allocate(QrtContext *context, int64_t bytes) {
    auto &memory = of(context).memory.emplace_back(new char[bytes + 64]);
    return memory.get() + (64 - reinterpret_cast<uintptr_t>(memory.get()) % 64) % 64;
  }
  static void release(QrtContext *, void *) {}
  static void parallelFor(QrtContext *, QrtTask task, void *args, int64_t count, int64_t) { task(args, 0, count); }
  static void fail(QrtContext *context, int64_t code, int64_t a, int64_t b) {
    if (!of(context).record.code)
      of(context).record = {code, a, b};
  }
  static void launch(QrtContext *context, const QrtLaunch *launch, void *const *args) {
    Context &self = of(context);
    qrt::SimLaunch sim{self.kernels[launch->kernel].second, self.kernels[launch->kernel].first,
                       {launch->grid[0], launch->grid[1], launch->grid[2]},
                       {launch->block[0], launch->block[1], launch->block[2]},
                       launch->sharedBytes, args};
    auto status = qrt::simLaunch(sim, self.pool);
    if (!status && self.problem.empty())
      self.problem = status.error().message;
  }
  static void *errors(QrtContext *context) { return &of(context).record; }
};

struct Outcome {
  std::vector<std::vector<char>> outputs;
  QrtErrorRecord record;
};

/// Entry points compiled for the CPU and for the simulator.
class Program {
public:
  explicit Program(const std::string &text) : cuda(text) {
    auto load = [](mlir::FailureOr<std::vector<char>> elf) {
      auto code = succeeded(elf) ? qrt::HostCode::load(*elf) : qrt::HostCode::load({});
      EXPECT_TRUE(code) << (code ? "" : code.error().message);
      return code ? *code : nullptr;
    };
    mlir::OwningOpRef<mlir::ModuleOp> plain = parse(cuda.context, text);
    cpu = load(compileHost(*plain, "x86-64-v3"));
    host = load(compileHost(*cuda.module, "x86-64-v3"));
    sim = load(compileSim(*cuda.module));
    for (mlir::gpu::GPUFuncOp kernel : listKernels(*cuda.module)) {
      names.push_back(kernel.getName().str());
      kernels.push_back(reinterpret_cast<QrtSimKernel>(sim->symbol(names.back())));
    }
  }

  /// Runs both and expects the same; what the simulator gave.
  Outcome check(const std::string &entry, std::vector<Array> inputs, size_t numOutputs) {
    Outcome expected = run(*cpu, entry, inputs, numOutputs), outcome = run(*host, entry, inputs, numOutputs);
    EXPECT_EQ(outcome.record.code, expected.record.code);
    if (!expected.record.code) {
      EXPECT_EQ(outcome.outputs.size(), numOutputs);
      for (size_t i = 0; i < std::min(outcome.outputs.size(), expected.outputs.size()); ++i)
        EXPECT_TRUE(outcome.outputs[i] == expected.outputs[i]) << entry << " output " << i << " rows " << inputs[0].dims[0];
    }
    return outcome;
  }

private:
  Outcome run(const qrt::HostCode &code, const std::string &entry, std::vector<Array> &inputs, size_t numOutputs) {
    Context context;
    for (size_t i = 0; i < names.size(); ++i)
      context.kernels.push_back({names[i], kernels[i]});
    QrtApi api{};
    api.allocate = Context::allocate;
    api.release = Context::release;
    api.parallelFor = Context::parallelFor;
    api.fail = Context::fail;
    api.launch = Context::launch;
    api.errors = Context::errors;
    std::vector<QrtTensor> in(inputs.size()), out(numOutputs);
    for (size_t i = 0; i < inputs.size(); ++i) {
      in[i] = {inputs[i].data(), inputs[i].type, static_cast<int64_t>(inputs[i].dims.size()), {}};
      std::copy(inputs[i].dims.begin(), inputs[i].dims.end(), in[i].dims);
    }
    QrtEntry function = code.entry(entry);
    EXPECT_NE(function, nullptr) << entry;
    int64_t result = function(&api, reinterpret_cast<QrtContext *>(&context), nullptr, in.data(), out.data());
    EXPECT_EQ(context.problem, "");
    Outcome outcome{{}, context.record};
    if (result)
      return outcome;
    for (const QrtTensor &tensor : out) {
      int64_t bytes = qrt::elementBytes(tensor.type);
      for (int64_t i = 0; i < tensor.rank; ++i)
        bytes *= tensor.dims[i];
      auto *data = static_cast<const char *>(tensor.data);
      outcome.outputs.emplace_back(data, data + bytes);
    }
    return outcome;
  }

  CudaProgram cuda;
  std::shared_ptr<const qrt::HostCode> cpu, host, sim;
  std::vector<std::string> names;
  std::vector<QrtSimKernel> kernels;
};

/// A kernel's declaration and an entry point that calls it. The first dimension of
/// memrefs that begin with "?x" or are "?" is that of the first operand.
std::string entry(const std::string &name, const std::string &kernel, const std::vector<std::string> &in,
                  const std::vector<std::string> &out, const std::string &config = "", int rowsOf = 0) {
  std::string types, arguments, values, results, allocations;
  auto memref = [](const std::string &type) { return "memref<" + type + ">"; };
  for (size_t i = 0; i < in.size(); ++i) {
    std::string value = "%i" + std::to_string(i);
    arguments += (i ? ", " : "") + value + ": " + memref(in[i]);
    values += (i ? ", " : "") + value;
    types += (i ? ", " : "") + memref(in[i]);
  }
  std::string returned;
  for (size_t i = 0; i < out.size(); ++i) {
    std::string value = "%o" + std::to_string(i);
    allocations += "  " + value + " = memref.alloc(" + (out[i][0] == '?' ? "%n" : "") + ") {qopt.output} : " + memref(out[i]) + "\n";
    values += ", " + value;
    types += ", " + memref(out[i]);
    results += (i ? ", " : "") + memref(out[i]);
    returned += (i ? ", " : "") + value;
  }
  return "func.func private @k_" + name + "(" + types + ") attributes {qopt.kernel = \"" + kernel + "\", qopt.config = {" +
         config + "}}\nfunc.func @" + name + "(" + arguments + ") -> (" + results + ") {\n  %c0 = arith.constant 0 : index\n" +
         "  %n = memref.dim %i" + std::to_string(rowsOf) + ", %c0 : " + memref(in[rowsOf]) + "\n" + allocations +
         "  call @k_" + name + "(" + values + ") : (" + types + ") -> ()\n  return " + returned + " : " + results + "\n}\n";
}

TEST(Simulated, Rows) {
  std::string text;
  for (int64_t width : kWidths) {
    std::string w = std::to_string(width), x = "?x" + w + "xf32", codes = "?x" + w + "xi8";
    text += entry("rms_norm_" + w, "rms_norm", {x, w + "xf32"}, {x}, "epsilon = 1.0e-3 : f32");
    text += entry("quantize_" + w, "quantize", {x, "f32"}, {codes});
    text += entry("dynamic_" + w, "dynamic_quantize", {x}, {codes, "?xf32"});
    text += entry("split_" + w, "split_columns", {x}, {codes, "?xf32", w + "xi32"}, "threshold = 6.0 : f32");
    text += entry("split_none_" + w, "split_columns", {x}, {codes, "?xf32", w + "xi32"}, "threshold = 0.0 : f32");
    text += entry("split_at_" + w, "split_columns_at", {x, "3xi32"}, {codes, "?xf32", "?x3xf32"});
  }
  Program program(text);
  for (int64_t width : kWidths)
    for (int64_t rows : kRows) {
      std::string w = std::to_string(width);
      Array x = floats({rows, width}, randomFloats(rows * width, rows + width));
      Array odd = floats({rows, width}, randomFloats(rows * width, rows + 7 * width, /*special=*/true));
      Array weight = floats({width}, randomFloats(width, 3)), scale = floats({}, {0.037f});
      Array list = makeArray(QRT_I32, {3}, std::vector<int32_t>{0, 2, static_cast<int32_t>(width) - 1});
      program.check("rms_norm_" + w, {x, weight}, 1);
      for (const Array &input : {x, odd}) {
        program.check("quantize_" + w, {input, scale}, 1);
        program.check("dynamic_" + w, {input}, 2);
        program.check("split_" + w, {input}, 3);
        program.check("split_none_" + w, {input}, 3);
        program.check("split_at_" + w, {input, list}, 3);
      }
    }
}

TEST(Simulated, ZeroRows) {
  Program program(entry("dynamic", "dynamic_quantize", {"?x8xf32"}, {"?x8xi8", "?xf32"}));
  std::vector<float> zeros(24, 0.0f);
  Outcome outcome = program.check("dynamic", {floats({3, 8}, zeros)}, 2);
  ASSERT_EQ(outcome.outputs.size(), 2u);
  EXPECT_EQ(outcome.outputs[0], std::vector<char>(24, 0));
  program.check("dynamic", {floats({0, 8}, {})}, 2);
}

TEST(Simulated, Gather) {
  Program program(entry("floats", "gather", {"?x21xf32", "?xi64"}, {"?x21xf32"}, "", 1) +
                  entry("even", "gather", {"9x1032xf32", "?xi64"}, {"?x1032xf32"}, "", 1) +
                  entry("packed", "gather", {"2x20x16xf32", "?xi64"}, {"?x20xf32"}, "rows = 27 : i64", 1));
  Array odd = floats({9, 21}, randomFloats(9 * 21, 1)), even = floats({9, 1032}, randomFloats(9 * 1032, 2));
  Array packed = floats({2, 20, 16}, randomFloats(640, 3));
  Array indices = longs({6}, {8, 0, -1, -9, 3, 5}), more = longs({4}, {26, 0, -27, 15}), bad = longs({2}, {3, 9});
  EXPECT_EQ(program.check("floats", {odd, indices}, 1).record.code, 0);
  EXPECT_EQ(program.check("even", {even, indices}, 1).record.code, 0);
  EXPECT_EQ(program.check("packed", {packed, more}, 1).record.code, 0);
  QrtErrorRecord record = program.check("even", {even, bad}, 1).record;
  EXPECT_EQ(record.code, QRT_INDEX_OUT_OF_RANGE);
  EXPECT_EQ(record.a, 9);
  EXPECT_EQ(record.b, 9);
}

TEST(Simulated, Rotary) {
  struct Case {
    int64_t heads, size, rotated;
    bool headsFirst, interleaved, positions;
  };
  constexpr Case kCases[] = {{3, 32, 32, false, false, true}, {2, 8, 8, true, false, true},
                             {2, 20, 12, false, true, true},  {1, 128, 64, true, true, false},
                             {2, 24, 24, false, false, false}, {3, 5, 2, false, true, true}};
  constexpr int64_t kBatch = 2, kTokens = 5, kMax = 11;
  for (const Case &c : kCases) {
    std::string heads = std::to_string(c.heads), size = std::to_string(c.size), half = std::to_string(c.rotated / 2);
    std::string x = c.headsFirst ? "2x" + heads + "x5x" + size + "xf32" : "2x5x" + heads + "x" + size + "xf32";
    std::string table = c.positions ? "11x" + half + "xf32" : "1x11x" + half + "xf32";
    std::vector<std::string> in{x, table, table};
    if (c.positions)
      in.push_back("2x5xi64");
    Program program(entry("rotary", "rotary", in, {x},
                          std::string(c.headsFirst ? "heads_first, " : "") + (c.interleaved ? "interleaved, " : "") +
                              "rotary_dim = " + std::to_string(c.rotated) + " : i64"));
    auto rows = [&](unsigned seed) {
      std::vector<int64_t> dims{kMax, c.rotated / 2};
      if (!c.positions)
        dims.insert(dims.begin(), 1);
      return floats(dims, randomFloats(kMax * c.rotated / 2, seed));
    };
    std::vector<int64_t> dims{kBatch, kTokens, c.heads, c.size};
    if (c.headsFirst)
      std::swap(dims[1], dims[2]);
    std::vector<Array> inputs{floats(dims, randomFloats(kBatch * kTokens * c.heads * c.size, 1)), rows(2), rows(3)};
    if (c.positions)
      inputs.push_back(longs({kBatch, kTokens}, {0, 3, 10, 4, 1, 7, 6, 5, 4, 3}));
    EXPECT_EQ(program.check("rotary", inputs, 1).record.code, 0);
    if (c.positions) {
      inputs[3] = longs({kBatch, kTokens}, {0, 3, 10, 11, 1, 7, 6, 5, 4, 3});
      EXPECT_EQ(program.check("rotary", inputs, 1).record.a, 11);
    }
  }
}

TEST(Simulated, Loops) {
  Program program(R"(
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#none = affine_map<(d0, d1) -> ()>
func.func private @swish(%x: memref<?x17xf32>, %y: memref<?x17xf32>) {
  %one = arith.constant 1.0 : f32
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x17xf32>) outs(%y : memref<?x17xf32>) {
  ^bb0(%a: f32, %out: f32):
    %n = arith.negf %a : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %s = arith.divf %a, %d : f32
    %t = math.tanh %s : f32
    linalg.yield %t : f32
  }
  return
}
func.func private @sums(%x: memref<?x17xf32>, %y: memref<?xf32>, %z: memref<f32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%zero : f32) outs(%z : memref<f32>)
  linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x17xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %0 = arith.addf %sum, %a : f32
    linalg.yield %0 : f32
  }
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction", "reduction"]}
      ins(%x : memref<?x17xf32>) outs(%z : memref<f32>) {
  ^bb0(%a: f32, %sum: f32):
    %0 = arith.addf %sum, %a : f32
    linalg.yield %0 : f32
  }
  return
}
func.func private @columns(%x: memref<?x3xf32, strided<[17, 5], offset: 2>>, %y: memref<?x3xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x3xf32, strided<[17, 5], offset: 2>>) outs(%y : memref<?x3xf32>) {
  ^bb0(%a: f32, %out: f32):
    linalg.yield %a : f32
  }
  return
}
func.func @main(%x: memref<?x17xf32>) -> (memref<?x17xf32>, memref<?xf32>, memref<f32>, memref<?x3xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x17xf32>
  %a = memref.alloc(%n) {qopt.output} : memref<?x17xf32>
  %b = memref.alloc(%n) {qopt.output} : memref<?xf32>
  %c = memref.alloc() {qopt.output} : memref<f32>
  %d = memref.alloc(%n) {qopt.output} : memref<?x3xf32>
  call @swish(%x, %a) : (memref<?x17xf32>, memref<?x17xf32>) -> ()
  call @sums(%x, %b, %c) : (memref<?x17xf32>, memref<?xf32>, memref<f32>) -> ()
  %part = memref.subview %x[0, 2][%n, 3][1, 5] : memref<?x17xf32> to memref<?x3xf32, strided<[17, 5], offset: 2>>
  call @columns(%part, %d) : (memref<?x3xf32, strided<[17, 5], offset: 2>>, memref<?x3xf32>) -> ()
  return %a, %b, %c, %d : memref<?x17xf32>, memref<?xf32>, memref<f32>, memref<?x3xf32>
}
)");
  for (int64_t rows : {1, 2, 33, 300})
    program.check("main", {floats({rows, 17}, randomFloats(rows * 17, rows))}, 4);
}

} // namespace
