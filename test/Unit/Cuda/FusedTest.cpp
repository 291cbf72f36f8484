//===- FusedTest.cpp - Groups of kernels as one launch ---------------------===//
//
// Parts of a decoder layer, grouped by the passes, simulated with one row and with
// several, against the kernels of the CPU one by one. With integer products every bit is
// the same; with float ones sums have another order.
//
//===----------------------------------------------------------------------===//
#include "SimulatedProgram.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Passes/Passes.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;
using namespace qopt::test;

namespace {

enum class Scheme { Float, Int8Weights, Static, Dynamic, Outliers, Int4 };

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
  int64_t groupSize = 0; ///< of Int4
  bool hasZeros = false, scalesAreHalf = true;
  bool isInteger() const { return scheme == Scheme::Static || scheme == Scheme::Dynamic || scheme == Scheme::Outliers; }
};

const Case kCases[] = {
    {"float64", Scheme::Float, 64, 172, kPlain},
    {"float172", Scheme::Float, 172, 17, kSmall},
    {"weights256", Scheme::Int8Weights, 256, 64, kPartial},
    {"weights172", Scheme::Int8Weights, 172, 40, kInterleaved},
    {"static33", Scheme::Static, 33, 172, kPlain},
    {"dynamic172", Scheme::Dynamic, 172, 19, kSmall},
    {"dynamic1030", Scheme::Dynamic, 1030, 32, kPartial},
    {"outliers67", Scheme::Outliers, 67, 33, kInterleaved},
    {"outliers1280", Scheme::Outliers, 1280, 48, kPlain},
    {"int4g32", Scheme::Int4, 256, 172, kPartial, 32},
    {"int4g64", Scheme::Int4, 172, 17, kSmall, 64, true},
    {"int4g128", Scheme::Int4, 1024, 64, kPlain, 128},
    {"int4", Scheme::Int4, 172, 35, kInterleaved, -1, true, false},
};

std::string memref(std::initializer_list<int64_t> shape, const char *type) {
  std::string text = "memref<";
  for (int64_t d : shape)
    text += (d < 0 ? "?" : std::to_string(d)) + "x";
  return text + type + ">";
}

/// Writes an entry point call by call, with data for its arguments.
class Writer {
public:
  explicit Writer(const Case &c) : c(c) {}

  struct Buffer {
    std::string name, type;
  };

  Buffer argument(const std::string &type, Array data) {
    Buffer buffer{"%a" + std::to_string(arguments.size()), type};
    arguments.push_back(buffer);
    inputs.push_back(std::move(data));
    return buffer;
  }
  template <typename T>
  Buffer argument(const char *element, int64_t code, std::vector<int64_t> dims, const std::vector<T> &values) {
    std::string type = "memref<";
    for (int64_t d : dims)
      type += std::to_string(d) + "x";
    return argument(type + element + ">", makeArray(code, dims, values));
  }
  Buffer floats(std::vector<int64_t> dims, float deviation = 1, float mean = 0) {
    return argument("f32", QRT_F32, dims, normal<float>(count(dims), deviation, mean));
  }
  Buffer bytes(std::vector<int64_t> dims, int mask = 255) {
    std::vector<int8_t> values(count(dims));
    for (int8_t &v : values)
      v = static_cast<int8_t>(random() & mask);
    return argument("i8", QRT_I8, dims, values);
  }
  Buffer allocate(const std::string &type) {
    Buffer buffer{"%b" + std::to_string(next++), type};
    text += "  " + buffer.name + " = memref.alloc(" + (type.find('?') == std::string::npos ? "" : "%n") + ") : " + type + "\n";
    return buffer;
  }
  /// Calls a kernel, which gets a declaration of its own.
  void call(const std::string &kernel, const std::vector<Buffer> &operands, const std::string &config = "") {
    std::string name = "@k" + std::to_string(next++), values, types;
    for (size_t i = 0; i < operands.size(); ++i) {
      values += (i ? ", " : "") + operands[i].name;
      types += (i ? ", " : "") + operands[i].type;
    }
    declarations += "func.func private " + name + "(" + types + ") attributes {qopt.kernel = \"" + kernel +
                    "\", qopt.config = {" + config + "}}\n";
    text += "  func.call " + name + "(" + values + ") : (" + types + ") -> ()\n";
  }

  /// x normalized, as the products of the scheme want it.
  void prepare(Buffer x, bool isNormalized) {
    std::string rows = memref({-1, c.inputs}, "f32");
    if (isNormalized) {
      input = allocate(rows);
      call("rms_norm", {x, floats({c.inputs}), input}, "epsilon = 1.0e-3 : f32");
      x = input;
    }
    input = x;
    Buffer codes = c.isInteger() ? allocate(memref({-1, c.inputs}, "i8")) : Buffer();
    if (c.scheme == Scheme::Static) {
      scale = argument("memref<f32>", makeArray(QRT_F32, {}, std::vector<float>{0.03f}));
      call("quantize", {x, scale, codes});
    } else if (c.isInteger()) {
      scale = allocate("memref<?xf32>");
      if (c.scheme == Scheme::Outliers) {
        columns = allocate(memref({c.inputs}, "i32"));
        call("split_columns", {x, codes, scale, columns}, "threshold = 3.0 : f32");
      } else {
        call("dynamic_quantize", {x, codes, scale});
      }
    }
    prepared = c.isInteger() ? codes : x;
  }
  /// A product of what was prepared.
  Buffer multiply(int64_t n) {
    int64_t k = c.inputs, blocks = llvm::divideCeil(n, int64_t(16));
    Buffer y = allocate(memref({-1, n}, "f32"));
    if (c.scheme == Scheme::Float) {
      call("matmul_f32", {prepared, floats({blocks, k, 16}), y});
    } else if (c.scheme == Scheme::Int8Weights) {
      call("matmul_w8a16", {prepared, bytes({blocks, k, 16}), floats({n}, 0.01f), y});
    } else if (c.scheme == Scheme::Int4) {
      int64_t size = c.groupSize < 0 ? k : c.groupSize, groups = llvm::divideCeil(k, size), rest = k - (groups - 1) * size;
      int64_t steps = (groups - 1) * llvm::divideCeil(size, int64_t(8)) + llvm::divideCeil(rest, int64_t(8));
      std::vector<int64_t> dims{blocks, groups, 16};
      std::vector<Buffer> operands{prepared, bytes({blocks, steps, 64})};
      operands.push_back(c.scalesAreHalf ? argument("f16", QRT_F16, dims, normal<_Float16>(count(dims), 0.01f, 0))
                                         : floats(dims, 0.01f));
      if (c.hasZeros)
        operands.push_back(bytes(dims, 15));
      operands.push_back(y);
      call("matmul_w4a16", operands, "group_size = " + std::to_string(c.groupSize) + " : i64");
    } else {
      int64_t words = llvm::divideCeil(k, int64_t(4));
      std::vector<Buffer> operands{prepared, scale, bytes({blocks, words, 64}),
                                   argument("i32", QRT_I32, {blocks * 16}, std::vector<int32_t>(blocks * 16)),
                                   floats({n}, 0.01f)};
      if (c.scheme == Scheme::Outliers)
        operands.insert(operands.end(), {input, columns});
      operands.push_back(y);
      call("matmul_w8a8", operands);
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
            "      ins(" + values + " : " + types + ") outs(" + out.name + " : " + out.type + ") {\n" + region + "  }\n";
  }
  /// `x` as heads, for one sequence.
  Buffer heads(const Buffer &x, int64_t count, int64_t size) {
    Buffer view{"%v" + std::to_string(next++), memref({1, -1, count, size}, "f32")};
    text += "  " + view.name + " = memref.expand_shape " + x.name + " [[0, 1], [2, 3]] output_shape [1, %n, " +
            std::to_string(count) + ", " + std::to_string(size) + "] : " + x.type + " into " + view.type + "\n";
    return view;
  }

  /// The module; the first dimension of the first argument is the number of rows.
  std::string module(const std::vector<Buffer> &outputs) const {
    std::string list, results, types;
    for (size_t i = 0; i < arguments.size(); ++i)
      list += (i ? ", " : "") + arguments[i].name + ": " + arguments[i].type;
    for (size_t i = 0; i < outputs.size(); ++i) {
      results += (i ? ", " : "") + outputs[i].name;
      types += (i ? ", " : "") + outputs[i].type;
    }
    return "#id = affine_map<(d0, d1) -> (d0, d1)>\n#last = affine_map<(d0, d1) -> (d1)>\n" + declarations + "func.func @main(" +
           list + ") -> (" + types + ") {\n  %c0 = arith.constant 0 : index\n  %n = memref.dim %a0, %c0 : " +
           arguments[0].type + "\n" + text + "  return " + results + " : " + types + "\n}\n";
  }

  /// Numbers of rows [rows, width], some of them large.
  Buffer rowsOf(int64_t rows, int64_t width) {
    Array data = makeArray(QRT_F32, {rows, width}, normal<float>(rows * width, 1, 0));
    data.as<float>()[width / 2] = 7.5f;
    data.as<float>()[width - 1] = -11.0f;
    return argument(memref({-1, width}, "f32"), std::move(data));
  }

  std::vector<Array> inputs;
  std::mt19937 random{7};

private:
  static int64_t count(const std::vector<int64_t> &dims) {
    int64_t result = 1;
    for (int64_t d : dims)
      result *= d;
    return result;
  }
  template <typename T>
  std::vector<T> normal(int64_t count, float deviation, float mean) {
    std::normal_distribution<float> distribution(mean, deviation);
    std::vector<T> values(count);
    for (T &v : values)
      v = static_cast<T>(distribution(random));
    return values;
  }

  const Case &c;
  std::string declarations, text;
  std::vector<Buffer> arguments;
  Buffer input, prepared, scale, columns;
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

void expectNear(const Case &c, const std::vector<char> &actual, const std::vector<char> &expected) {
  ASSERT_EQ(actual.size(), expected.size());
  auto *have = reinterpret_cast<const float *>(actual.data()), *want = reinterpret_cast<const float *>(expected.data());
  size_t size = expected.size() / sizeof(float);
  float largest = 0;
  for (size_t i = 0; i < size; ++i)
    largest = std::max(largest, std::abs(want[i]));
  for (size_t i = 0; i < size; ++i)
    ASSERT_LE(std::abs(have[i] - want[i]), largest * 0x1p-18f) << c.name << " element " << i << ": " << have[i];
}

/// An entry point of a case with so many rows of input.
using Write = std::vector<Writer::Buffer> (*)(Writer &, const Case &, int64_t rows);

/// One row is one launch, more are several; results are the CPU's.
void check(const Case &c, Write write) {
  std::unique_ptr<SimulatedProgram> program;
  for (int64_t rows : {1, 3}) {
    Writer w(c);
    std::vector<Writer::Buffer> outputs = write(w, c, rows);
    if (!program) {
      std::string text = w.module(outputs);
      program = std::make_unique<SimulatedProgram>(lower(text, /*isGrouped=*/true), lower(text, /*isGrouped=*/false));
    }
    std::vector<std::string> launched;
    if (c.isInteger()) {
      launched = program->check("main", w.inputs, outputs.size()).launched;
    } else {
      std::vector<Array> copies = w.inputs;
      Outcome expected = program->runOnCpu("main", copies, outputs.size());
      Outcome outcome = program->simulate("main", w.inputs, outputs.size());
      ASSERT_EQ(outcome.outputs.size(), expected.outputs.size());
      for (size_t i = 0; i < outputs.size(); ++i)
        expectNear(c, outcome.outputs[i], expected.outputs[i]);
      launched = outcome.launched;
    }
    EXPECT_EQ(launched.size() == 1, rows == 1) << testing::PrintToString(launched);
  }
}

class Fused : public testing::TestWithParam<Case> {};

TEST_P(Fused, NormAndHeads) {
  check(GetParam(), [](Writer &w, const Case &c, int64_t rows) {
    const Heads &h = c.heads;
    w.prepare(w.rowsOf(rows, c.inputs), /*isNormalized=*/true);
    std::vector<Writer::Buffer> products{w.multiply(h.count * h.size), w.multiply(h.keys * h.size),
                                         w.multiply(h.keys * h.size)};
    Writer::Buffer cos = w.floats({20, h.rotated / 2}), sin = w.floats({20, h.rotated / 2}), outputs[2];
    std::vector<int64_t> at(rows, 13);
    Writer::Buffer positions = w.argument("memref<1x?xi64>", makeArray(QRT_I64, {1, rows}, at));
    std::string config = (h.interleaved ? "interleaved, rotary_dim = " : "rotary_dim = ") + std::to_string(h.rotated) + " : i64";
    for (int i = 0; i < 2; ++i) {
      Writer::Buffer heads = w.heads(products[i], i ? h.keys : h.count, h.size);
      outputs[i] = w.allocate(heads.type);
      w.call("rotary", {heads, cos, sin, positions, outputs[i]}, config);
    }
    return std::vector<Writer::Buffer>{outputs[0], outputs[1], products[2]};
  });
}

TEST_P(Fused, GateAndUp) {
  check(GetParam(), [](Writer &w, const Case &c, int64_t rows) {
    w.prepare(w.rowsOf(rows, c.inputs), /*isNormalized=*/true);
    Writer::Buffer gate = w.multiply(c.columns), up = w.multiply(c.columns), y = w.allocate(gate.type);
    w.loop({gate, up}, y, "#id, #id, #id",
           "  ^bb0(%g: f32, %u: f32, %out: f32):\n    %one = arith.constant 1.0 : f32\n    %m = arith.negf %g : f32\n"
           "    %e = math.exp %m : f32\n    %d = arith.addf %e, %one : f32\n    %s = arith.divf %g, %d : f32\n"
           "    %p = arith.mulf %s, %u : f32\n    linalg.yield %p : f32\n");
    return std::vector<Writer::Buffer>{y};
  });
}

TEST_P(Fused, BiasAndResidual) {
  check(GetParam(), [](Writer &w, const Case &c, int64_t rows) {
    Writer::Buffer x = w.rowsOf(rows, c.inputs), residual = w.rowsOf(rows, c.columns);
    w.prepare(x, /*isNormalized=*/false);
    Writer::Buffer y = w.multiply(c.columns), bias = w.floats({c.columns}), sum = w.allocate(y.type);
    const std::string add = "arith.addf %l, %r : f32\n    linalg.yield %s : f32\n";
    // In place, and to other memory.
    w.loop({bias}, y, "#last, #id", "  ^bb0(%l: f32, %r: f32):\n    %s = " + add);
    w.loop({y, residual}, sum, "#id, #id, #id", "  ^bb0(%l: f32, %r: f32, %out: f32):\n    %s = " + add);
    return std::vector<Writer::Buffer>{sum};
  });
}

INSTANTIATE_TEST_SUITE_P(Schemes, Fused, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case> &info) { return std::string(info.param.name); });

} // namespace
