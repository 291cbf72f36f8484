//===- SimulatedTest.cpp - CUDA kernels against the CPU's ------------------===//
//
// The same functions compiled twice: with the CPU's kernels, and with launches of the
// CUDA kernels in the simulator. All results are equal bit by bit.
//
//===----------------------------------------------------------------------===//
#include "../KernelText.h"
#include "SimProgram.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

using namespace qopt;
using namespace qopt::test;

namespace {

constexpr int64_t kRows[] = {1, 2, 7, 8, 9, 17, 33};
constexpr int64_t kWidths[] = {5, 64, 172, 1030};

/// Of dynamic_quantize, for rows of a width.
std::vector<int64_t> groupSizes(int64_t width) {
  std::vector<int64_t> sizes{width, 4};
  for (int64_t size : {7, 32, 128})
    if (size < width)
      sizes.push_back(size);
  return sizes;
}

struct Array : GuardedArray<char> {
  std::vector<int64_t> dims;
  template <typename T>
  Array(std::vector<int64_t> dims, const std::vector<T> &values)
      : GuardedArray(values.size() * sizeof(T), 0), dims(std::move(dims)) {
    std::copy(values.begin(), values.end(), reinterpret_cast<T *>(data()));
  }
};
Array floats(std::vector<int64_t> dims, const std::vector<float> &values) { return Array(std::move(dims), values); }
Array longs(std::vector<int64_t> dims, const std::vector<int64_t> &values) { return Array(std::move(dims), values); }

/// A result: all bytes are 0x55 unless somebody writes them.
Array result(std::vector<int64_t> dims, int64_t elementBytes) {
  int64_t bytes = elementBytes;
  for (int64_t d : dims)
    bytes *= d;
  return Array(std::move(dims), std::vector<char>(bytes, 0x55));
}

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

struct Outcome {
  std::vector<Array> outputs;
  QrtErrorRecord error;
};

class BothPrograms {
public:
  explicit BothPrograms(const std::string &text) : cpu(text), sim(text) {}

  /// Runs both and expects the same; what the simulator gave.
  Outcome check(const std::string &function, const std::vector<Array> &inputs, const std::vector<Array> &results) {
    Outcome expected = run(cpu, function, inputs, results), outcome = run(sim, function, inputs, results);
    EXPECT_EQ(outcome.error.code, expected.error.code);
    for (size_t i = 0; i < results.size() && !expected.error.code; ++i) {
      const Array &a = outcome.outputs[i], &b = expected.outputs[i];
      EXPECT_TRUE(std::equal(a.data(), a.data() + a.size(), b.data()))
          << function << " result " << i << " rows " << inputs[0].dims[0];
    }
    return outcome;
  }
  /// By the last check().
  const std::vector<std::string> &launched() const { return sim.launched; }

private:
  static Outcome run(Program &program, const std::string &function, std::vector<Array> inputs,
                     std::vector<Array> results) {
    std::vector<DeviceArray> operands;
    for (std::vector<Array> *arrays : {&inputs, &results})
      for (Array &array : *arrays)
        operands.push_back(array.shaped(array.dims));
    EXPECT_EQ(program.run(function, operands), "");
    for (const Array &array : results)
      EXPECT_TRUE(array.marginsAreUntouched()) << function;
    return {std::move(results), program.error};
  }

  CpuProgram cpu;
  SimProgram sim;
};

/// A function that holds a kernel; types without `memref<>`.
std::string declare(const std::string &name, const std::string &kernel, const std::vector<std::string> &operands,
                    const std::string &config = "") {
  std::string types;
  for (const std::string &type : operands)
    types += (types.empty() ? "memref<" : ", memref<") + type + ">";
  return kernelFunction(name, kernel, types, config);
}

/// Attention in the order of the CPU's kernel: heads, masks and blocks of keys of all kinds.
struct OrderedAttention {
  const char *name;
  int64_t heads, keyHeads, size, valueSize;
  bool headsFirst;
  const char *config;
  const char *mask; ///< its type, or ""
};
constexpr OrderedAttention kOrderedAttentions[] = {
    {"plain64", 4, 2, 64, 64, false, "", ""},
    {"causal128", 2, 2, 128, 128, true, "causal, offset, ", ""},
    {"causal16", 6, 1, 16, 16, false, "causal, scale = 0.3 : f32, ", "?x1x1x?xi1"},
    {"boolean8", 4, 4, 8, 8, false, "", "?x1x?x?xi1"},
    {"additive40", 2, 1, 40, 40, true, "softcap = 5.0 : f32, ", "?x1x?x?xf32"},
    {"odd13", 3, 3, 13, 9, false, "causal, offset, softcap = 20.0 : f32, ", ""},
    {"wide96", 2, 1, 96, 20, true, "causal, offset, ", "?x1x1x?xi1"},
    {"wide20", 2, 1, 20, 126, false, "causal, ", ""},
};

std::string headsType(bool headsFirst, int64_t count, int64_t size) {
  std::string middle = std::to_string(count), last = "x" + std::to_string(size) + "xf32";
  return headsFirst ? "?x" + middle + "x?" + last : "?x?x" + middle + last;
}

TEST(Simulated, OrderedAttention) {
  std::string text;
  for (const OrderedAttention &a : kOrderedAttentions) {
    std::vector<std::string> operands{headsType(a.headsFirst, a.heads, a.size),
                                      headsType(a.headsFirst, a.keyHeads, a.size),
                                      headsType(a.headsFirst, a.keyHeads, a.valueSize)};
    if (*a.mask)
      operands.push_back(a.mask);
    operands.push_back(headsType(a.headsFirst, a.heads, a.valueSize));
    std::string config = std::string(a.config) + (a.headsFirst ? "q_heads_first, kv_heads_first, " : "") + "in_order";
    text += declare(a.name, "attention", operands, config);
  }
  BothPrograms program(text);
  struct Sizes {
    int64_t batch, queries, keys;
  };
  // One query; blocks of keys that are full, begun, or seen by some; queries that see nothing.
  for (Sizes s : {Sizes{1, 1, 1}, {2, 1, 70}, {1, 7, 7}, {1, 33, 65}, {2, 70, 70}, {1, 130, 200}, {1, 40, 9}})
    for (const OrderedAttention &a : kOrderedAttentions) {
      auto shape = [&](int64_t count, int64_t length, int64_t size) {
        return a.headsFirst ? std::vector<int64_t>{s.batch, count, length, size}
                            : std::vector<int64_t>{s.batch, length, count, size};
      };
      auto operand = [&](int64_t count, int64_t length, int64_t size, unsigned seed) {
        return floats(shape(count, length, size), randomFloats(s.batch * count * length * size, seed));
      };
      std::vector<Array> inputs{operand(a.heads, s.queries, a.size, 1), operand(a.keyHeads, s.keys, a.size, 2),
                                operand(a.keyHeads, s.keys, a.valueSize, 3)};
      std::string mask = a.mask;
      int64_t maskQueries = mask == "?x1x1x?xi1" ? 1 : s.queries;
      std::vector<float> added = randomFloats(s.batch * maskQueries * s.keys, 4);
      added[0] = -INFINITY;
      std::vector<char> seen;
      for (float x : added)
        seen.push_back(x > -0.5f);
      if (mask == "?x1x?x?xf32")
        inputs.push_back(floats({s.batch, 1, maskQueries, s.keys}, added));
      else if (*a.mask)
        inputs.push_back(Array({s.batch, 1, maskQueries, s.keys}, seen));
      SCOPED_TRACE(testing::Message() << s.batch << " x " << s.queries << " queries, " << s.keys << " keys");
      program.check(a.name, inputs, {result(shape(a.heads, s.queries, a.valueSize), 4)});
      EXPECT_EQ(program.launched(), std::vector<std::string>{std::string(a.name) + "_ordered"});
    }
}

/// Many tokens after some in a cache with room for more.
TEST(Simulated, OrderedAttentionToACache) {
  BothPrograms program(declare("cached", "cached_attention",
                               {"?x?x6x32xf32", "?x2x?x32xf32", "?x2x?x32xf32", "1xi64", "?x?x6x32xf32"}, "in_order"));
  for (int64_t past : {0, 1, 100})
    for (int64_t tokens : {9, 64, 70}) {
      int64_t capacity = past + tokens + 5;
      std::vector<Array> inputs{floats({2, tokens, 6, 32}, randomFloats(2 * tokens * 6 * 32, 1))};
      for (unsigned seed : {2, 3})
        inputs.push_back(floats({2, 2, capacity, 32}, randomFloats(2 * 2 * capacity * 32, seed)));
      inputs.push_back(longs({1}, {past}));
      program.check("cached", inputs, {result({2, tokens, 6, 32}, 4)});
      EXPECT_EQ(program.launched(), std::vector<std::string>{"cached_ordered"});
    }
}

TEST(Simulated, Rows) {
  std::string text;
  for (int64_t width : kWidths) {
    std::string w = std::to_string(width), x = "?x" + w + "xf32", codes = "?x" + w + "xi8";
    text += declare("rms_norm_" + w, "rms_norm", {x, w + "xf32", x}, "epsilon = 1.0e-3 : f32");
    text += declare("layer_norm_" + w, "layer_norm", {x, w + "xf32", x}, "epsilon = 1.0e-3 : f32");
    text += declare("bias_" + w, "layer_norm", {x, w + "xf32", w + "xf32", x}, "epsilon = 1.0e-3 : f32");
    text += declare("quantize_" + w, "quantize", {x, "f32", codes});
    text += declare("dynamic_" + w, "dynamic_quantize", {x, codes, "?xf32"});
    for (int64_t size : groupSizes(width))
      text += declare("groups_" + w + "_" + std::to_string(size), "dynamic_quantize",
                      {x, codes, "?x" + std::to_string(llvm::divideCeil(width, size)) + "xf32"},
                      "group_size = " + std::to_string(size) + " : i64");
    text += declare("split_" + w, "split_columns", {x, codes, "?xf32", w + "xi32"}, "threshold = 6.0 : f32");
    text += declare("split_none_" + w, "split_columns", {x, codes, "?xf32", w + "xi32"}, "threshold = 0.0 : f32");
    text += declare("split_at_" + w, "split_columns_at", {x, "?xi32", codes, "?xf32", "?x?xf32"});
  }
  BothPrograms program(text);
  for (int64_t width : kWidths)
    for (int64_t rows : kRows) {
      std::string w = std::to_string(width);
      Array x = floats({rows, width}, randomFloats(rows * width, rows + width));
      Array odd = floats({rows, width}, randomFloats(rows * width, rows + 7 * width, /*special=*/true));
      Array weight = floats({width}, randomFloats(width, 3)), scale = floats({}, {0.037f});
      Array codes = result({rows, width}, 1), scales = result({rows}, 4), columns = result({width}, 4);
      Array list({3}, std::vector<int32_t>{0, 2, static_cast<int32_t>(width) - 1});
      program.check("rms_norm_" + w, {x, weight}, {result({rows, width}, 4)});
      program.check("layer_norm_" + w, {x, weight}, {result({rows, width}, 4)});
      program.check("bias_" + w, {x, weight, weight}, {result({rows, width}, 4)});
      for (const Array &input : {x, odd}) {
        program.check("quantize_" + w, {input, scale}, {codes});
        program.check("dynamic_" + w, {input}, {codes, scales});
        for (int64_t size : groupSizes(width))
          program.check("groups_" + w + "_" + std::to_string(size), {input},
                        {codes, result({rows, static_cast<int64_t>(llvm::divideCeil(width, size))}, 4)});
        program.check("split_" + w, {input}, {codes, scales, columns});
        program.check("split_none_" + w, {input}, {codes, scales, columns});
        program.check("split_at_" + w, {input, list}, {codes, scales, result({rows, 3}, 4)});
      }
    }
}

TEST(Simulated, ZeroRows) {
  BothPrograms program(declare("dynamic", "dynamic_quantize", {"?x8xf32", "?x8xi8", "?xf32"}));
  std::vector<float> zeros(24, 0.0f);
  Outcome outcome = program.check("dynamic", {floats({3, 8}, zeros)}, {result({3, 8}, 1), result({3}, 4)});
  const Array &codes = outcome.outputs[0];
  EXPECT_TRUE(std::all_of(codes.data(), codes.data() + codes.size(), [](char code) { return code == 0; }));
  program.check("dynamic", {floats({0, 8}, {})}, {result({0, 8}, 1), result({0}, 4)});
}

TEST(Simulated, Gather) {
  BothPrograms program(declare("floats", "gather", {"?x21xf32", "?xi64", "?x21xf32"}) +
                       declare("even", "gather", {"9x1032xf32", "?xi64", "?x1032xf32"}) +
                       declare("packed", "gather", {"2x20x16xf32", "?xi64", "?x20xf32"}, "rows = 27 : i64"));
  Array odd = floats({9, 21}, randomFloats(9 * 21, 1)), even = floats({9, 1032}, randomFloats(9 * 1032, 2));
  Array packed = floats({2, 20, 16}, randomFloats(640, 3));
  // Codes: as they are, and as products have them.
  BothPrograms scaled(declare("rows", "gather", {"27x20xi8", "?xi64", "27xf32", "?x20xf32"}) +
                      declare("columns", "gather", {"2x20x16xi8", "?xi64", "27xf32", "?x20xf32"}, "rows = 27 : i64") +
                      declare("dot", "gather", {"2x5x64xi8", "?xi64", "27xf32", "?x20xf32"}, "rows = 27 : i64"));
  Array scales = floats({27}, randomFloats(27, 4));
  auto codes = [](std::vector<int64_t> dims) {
    std::vector<int8_t> values(std::accumulate(dims.begin(), dims.end(), int64_t(1), std::multiplies()));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<int8_t>(i * 7 % 255 - 127);
    return Array(std::move(dims), values);
  };
  Array indices = longs({6}, {8, 0, -1, -9, 3, 5}), more = longs({4}, {26, 0, -27, 15}), bad = longs({2}, {3, 9});
  scaled.check("rows", {codes({27, 20}), more, scales}, {result({4, 20}, 4)});
  scaled.check("columns", {codes({2, 20, 16}), more, scales}, {result({4, 20}, 4)});
  scaled.check("dot", {codes({2, 5, 64}), more, scales}, {result({4, 20}, 4)});
  EXPECT_EQ(program.check("floats", {odd, indices}, {result({6, 21}, 4)}).error.code, 0);
  EXPECT_EQ(program.check("even", {even, indices}, {result({6, 1032}, 4)}).error.code, 0);
  EXPECT_EQ(program.check("packed", {packed, more}, {result({4, 20}, 4)}).error.code, 0);
  QrtErrorRecord error = program.check("even", {even, bad}, {result({2, 1032}, 4)}).error;
  EXPECT_EQ(error.code, QRT_INDEX_OUT_OF_RANGE);
  EXPECT_EQ(error.a, 9);
  EXPECT_EQ(error.b, 9);
}

TEST(Simulated, Rotary) {
  struct Case {
    int64_t heads, size, rotated;
    bool headsFirst, interleaved, positions;
  };
  constexpr Case kCases[] = {{3, 32, 32, false, false, true},  {2, 8, 8, true, false, true},
                             {2, 20, 12, false, true, true},   {1, 128, 64, true, true, false},
                             {2, 24, 24, false, false, false}, {3, 5, 2, false, true, true}};
  constexpr int64_t kBatch = 2, kTokens = 5, kMax = 11;
  for (const Case &c : kCases) {
    std::string heads = std::to_string(c.heads), size = std::to_string(c.size), half = std::to_string(c.rotated / 2);
    std::string x = c.headsFirst ? "2x" + heads + "x5x" + size + "xf32" : "2x5x" + heads + "x" + size + "xf32";
    std::string table = c.positions ? "11x" + half + "xf32" : "1x5x" + half + "xf32";
    std::vector<std::string> in{x, table, table};
    if (c.positions)
      in.push_back("2x5xi64");
    in.push_back(x);
    BothPrograms program(declare("rotary", "rotary", in,
                                 std::string(c.headsFirst ? "heads_first, " : "") +
                                     (c.interleaved ? "interleaved, " : "") +
                                     "rotary_dim = " + std::to_string(c.rotated) + " : i64"));
    auto rows = [&](unsigned seed) {
      std::vector<int64_t> dims{c.positions ? kMax : kTokens, c.rotated / 2};
      if (!c.positions)
        dims.insert(dims.begin(), 1);
      return floats(dims, randomFloats((c.positions ? kMax : kTokens) * c.rotated / 2, seed));
    };
    std::vector<int64_t> dims{kBatch, kTokens, c.heads, c.size};
    if (c.headsFirst)
      std::swap(dims[1], dims[2]);
    std::vector<Array> inputs{floats(dims, randomFloats(kBatch * kTokens * c.heads * c.size, 1)), rows(2), rows(3)};
    if (c.positions)
      inputs.push_back(longs({kBatch, kTokens}, {0, 3, 10, 4, 1, 7, 6, 5, 4, 3}));
    Array y = result(dims, 4);
    EXPECT_EQ(program.check("rotary", inputs, {y}).error.code, 0);
    if (c.positions) {
      inputs[3] = longs({kBatch, kTokens}, {0, 3, 10, 11, 1, 7, 6, 5, 4, 3});
      EXPECT_EQ(program.check("rotary", inputs, {y}).error.a, 11);
    }
  }
}

TEST(Simulated, Loops) {
  BothPrograms program(R"(
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
func.func private @scale_rows(%x: memref<?x3x17xf32>, %s: memref<?x3x1xf32>, %y: memref<?x3x17xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, 0)>,
                                   affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
                  iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %s : memref<?x3x17xf32>, memref<?x3x1xf32>) outs(%y : memref<?x3x17xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  }
  return
}
func.func @some_columns(%x: memref<?x17xf32>, %y: memref<?x3xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x17xf32>
  %part = memref.subview %x[0, 2][%n, 3][1, 5] : memref<?x17xf32> to memref<?x3xf32, strided<[17, 5], offset: 2>>
  call @columns(%part, %y) : (memref<?x3xf32, strided<[17, 5], offset: 2>>, memref<?x3xf32>) -> ()
  return
}
)");
  for (int64_t rows : {1, 2, 33, 300}) {
    Array x = floats({rows, 17}, randomFloats(rows * 17, rows));
    Array cube = floats({rows, 3, 17}, randomFloats(rows * 3 * 17, rows));
    Array factors = floats({rows, 3, 1}, randomFloats(rows * 3, 2));
    program.check("scale_rows", {cube, factors}, {result({rows, 3, 17}, 4)});
    program.check("swish", {x}, {result({rows, 17}, 4)});
    program.check("sums", {x}, {result({rows}, 4), result({}, 4)});
    program.check("some_columns", {x}, {result({rows, 3}, 4)});
  }
}

} // namespace
