//===- KernelCallsTest.cpp - Operators that kernels compute, compiled ------===//
//
// From operators on tensors through packed weights, kernel calls and machine code;
// the kernels alone, over many more shapes, are tested in test/Unit/Codegen.
//
//===----------------------------------------------------------------------===//
#include "HostTest.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

class KernelCalls : public HostTest {
protected:
  /// A nested literal of numbers in [low, high], in steps of 1 or (floats) 1/64.
  std::string literal(ArrayRef<int64_t> shape, int low, int high, bool isFloat) {
    if (shape.empty()) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      double value = low + static_cast<double>((state >> 33) % ((high - low) * 64 + 1)) / 64;
      return isFloat ? llvm::formatv("{0:f6}", value).str() : std::to_string(static_cast<int64_t>(std::floor(value)));
    }
    std::string text = "[";
    for (int64_t i = 0; i < shape[0]; ++i)
      text += (i ? ", " : "") + literal(shape.drop_front(), low, high, isFloat);
    return text + "]";
  }
  std::string parameter(StringRef name, ArrayRef<int64_t> shape, StringRef element, int low, int high) {
    std::string type = "tensor<";
    for (int64_t size : shape)
      type += std::to_string(size) + "x";
    type += element.str() + ">";
    return ("%" + name + " = qopt.parameter \"" + name + "\" dense<").str() +
           literal(shape, low, high, element[0] == 'f') + "> : " + type + "\n";
  }
  reference::Tensor codes(ArrayRef<int64_t> shape) {
    std::vector<int64_t> values(ShapedType::getNumElements(shape));
    for (int64_t &value : values)
      value = std::stoll(literal({}, -128, 127, false));
    return ints(shape, values, 8);
  }

  uint64_t state = 1;
};

TEST_F(KernelCalls, MatMul) {
  std::string w = parameter("w", {7, 20}, "f32", -2, 2);
  check("func.func @f(%x: tensor<?x?x7xf32>) -> tensor<?x?x20xf32> {" + w + R"(
    %0 = onnx.MatMul %x, %w : (tensor<?x?x7xf32>, tensor<7x20xf32>) -> tensor<?x?x20xf32>
    return %0 : tensor<?x?x20xf32>
  })",
        {randomFloats({2, 9, 7})});
  check("func.func @f(%x: tensor<3x7xf32>, %v: tensor<7xf32>) -> (tensor<3x20xf32>, tensor<20xf32>) {" + w + R"(
    %0 = onnx.MatMul %x, %w : (tensor<3x7xf32>, tensor<7x20xf32>) -> tensor<3x20xf32>
    %1 = onnx.MatMul %v, %w : (tensor<7xf32>, tensor<7x20xf32>) -> tensor<20xf32>
    return %0, %1 : tensor<3x20xf32>, tensor<20xf32>
  })",
        {randomFloats({3, 7}), randomFloats({7})});
}

TEST_F(KernelCalls, MatMulOfAnUnknownSizeIsChecked) {
  std::string source =
      "func.func @f(%x: tensor<?x?xf32>) -> tensor<?x20xf32> {" + parameter("w", {7, 20}, "f32", -2, 2) + R"(
    %0 = onnx.MatMul %x, %w : (tensor<?x?xf32>, tensor<7x20xf32>) -> tensor<?x20xf32>
    return %0 : tensor<?x20xf32>
  })";
  check(source, {randomFloats({3, 7})});
  EXPECT_EQ(runAndFail(source, {randomFloats({3, 8})}), "sizes 8 and 7 should be equal");
}

TEST_F(KernelCalls, WeightsOnlyInt8AndInt4) {
  check("func.func @f(%x: tensor<?x?x21xf32>) -> tensor<?x?x18xf32> {" + parameter("w", {18, 21}, "i8", -128, 127) +
            parameter("s", {18}, "f32", 0, 1) + R"(
    %0 = qopt.matmul_w8a16 %x, %w, %s : (tensor<?x?x21xf32>, tensor<18x21xi8>, tensor<18xf32>) -> tensor<?x?x18xf32>
    return %0 : tensor<?x?x18xf32>
  })",
        {randomFloats({2, 3, 21})}, 1e-5);
  std::string w = parameter("w", {18, 11}, "i8", -128, 127), s = parameter("s", {18, 3}, "f16", 0, 1);
  for (std::string zeros : {std::string(), parameter("z", {18, 3}, "i8", 7, 8), parameter("z", {18, 3}, "i8", 0, 15)}) {
    std::string operand = zeros.empty() ? "" : ", %z", type = zeros.empty() ? "" : ", tensor<18x3xi8>";
    check("func.func @f(%x: tensor<?x?x21xf32>) -> tensor<?x?x18xf32> {" + w + s + zeros +
              "%0 = qopt.matmul_w4a16 %x, %w, %s" + operand +
              " {group_size = 8} : (tensor<?x?x21xf32>, tensor<18x11xi8>, tensor<18x3xf16>" + type +
              R"() -> tensor<?x?x18xf32>
    return %0 : tensor<?x?x18xf32>
  })",
          {randomFloats({2, 3, 21})}, 1e-5);
  }
}

// The evaluator adds in the kernel's order: equal to the bit.
TEST_F(KernelCalls, Int8TimesInt4) {
  std::string w = parameter("w", {18, 21}, "i8", -128, 127), s = parameter("s", {18, 3}, "f16", 0, 1);
  for (std::string zeros : {std::string(), parameter("z", {18, 3}, "i8", 7, 8), parameter("z", {18, 3}, "i8", 0, 15)}) {
    std::string operand = zeros.empty() ? "" : ", %z", type = zeros.empty() ? "" : ", tensor<18x3xi8>";
    check("func.func @f(%x: tensor<?x?x41xf32>) -> (tensor<?x?x41xi8>, tensor<?x?x6xf32>, tensor<?x?x18xf32>) {" + w +
              s + zeros + R"(
    %c, %t = qopt.dynamic_quantize %x {group_size = 8} : (tensor<?x?x41xf32>) -> (tensor<?x?x41xi8>, tensor<?x?x6xf32>)
    %0 = qopt.matmul_w4a8 %c, %t, %w, %s)" +
              operand +
              " {group_size = 16, x_group_size = 8} : (tensor<?x?x41xi8>, tensor<?x?x6xf32>, tensor<18x21xi8>, "
              "tensor<18x3xf16>" +
              type + R"() -> tensor<?x?x18xf32>
    return %c, %t, %0 : tensor<?x?x41xi8>, tensor<?x?x6xf32>, tensor<?x?x18xf32>
  })",
          {randomFloats({2, 3, 41})}, 0);
  }
}

TEST_F(KernelCalls, Int8Products) {
  std::string w = parameter("w", {18, 21}, "i8", -128, 127), s = parameter("s", {18}, "f32", 0, 1);
  check("func.func @f(%x: tensor<?x?x21xi8>, %a: tensor<f32>, %t: tensor<?x?xf32>) -> (tensor<?x?x18xf32>, "
        "tensor<?x?x18xf32>) {" +
            w + s + R"(
    %0 = qopt.matmul_w8a8 %x, %a, %w, %s : (tensor<?x?x21xi8>, tensor<f32>, tensor<18x21xi8>, tensor<18xf32>) -> tensor<?x?x18xf32>
    %1 = qopt.matmul_w8a8 %x, %t, %w, %s : (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<18x21xi8>, tensor<18xf32>) -> tensor<?x?x18xf32>
    return %0, %1 : tensor<?x?x18xf32>, tensor<?x?x18xf32>
  })",
        {codes({2, 3, 21}), floats({}, {0.5}), randomFloats({2, 3})}, 2e-7);
  // Small weights: terms of opposite signs are added in float.
  w = parameter("w", {18, 21}, "i8", -2, 2);
  check("func.func @f(%x: tensor<?x?x21xf32>) -> tensor<?x?x18xf32> {" + w + s + R"(
    %c, %t, %k = qopt.split_columns %x {threshold = 6.0 : f32} : (tensor<?x?x21xf32>) -> (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<21xi32>)
    %0 = qopt.matmul_w8a8 %c, %t, %w, %s outliers(%x) columns(%k) : (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<18x21xi8>, tensor<18xf32>, tensor<?x?x21xf32>, tensor<21xi32>) -> tensor<?x?x18xf32>
    return %0 : tensor<?x?x18xf32>
  })",
        {randomFloats({2, 3, 21}, 6.5)}, 1e-5);
  for (std::string type : {"f16", "f32"}) {
    std::string values = parameter("k", {18, 3}, type, -2, 2);
    check("func.func @f(%x: tensor<?x?x21xf32>) -> tensor<?x?x18xf32> {" + w + s + values + R"(
      %c, %t, %o = qopt.split_columns_at %x {columns = array<i32: 0, 7, 20>} : (tensor<?x?x21xf32>) -> (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<?x?x3xf32>)
      %0 = qopt.matmul_w8a8 %c, %t, %w, %s outliers(%o) weights(%k) : (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<18x21xi8>, tensor<18xf32>, tensor<?x?x3xf32>, tensor<18x3x)" +
              type + R"(>) -> tensor<?x?x18xf32>
      return %0 : tensor<?x?x18xf32>
    })",
          {randomFloats({2, 3, 21}, 6.5)}, 1e-5);
  }
}

TEST_F(KernelCalls, QuantizeActivations) {
  check(
      R"(func.func @f(%x: tensor<?x?x21xf32>, %s: tensor<f32>) -> (tensor<?x?x21xi8>, tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<21xi32>) {
    %0 = qopt.quantize %x, %s : (tensor<?x?x21xf32>, tensor<f32>) -> tensor<?x?x21xi8>
    %1, %2 = qopt.dynamic_quantize %x : (tensor<?x?x21xf32>) -> (tensor<?x?x21xi8>, tensor<?x?xf32>)
    %3, %4, %5 = qopt.split_columns %x {threshold = 5.5 : f32} : (tensor<?x?x21xf32>) -> (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<21xi32>)
    return %0, %1, %2, %3, %4, %5 : tensor<?x?x21xi8>, tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<21xi32>
  })",
      {randomFloats({2, 3, 21}, 6), floats({}, {0.03125})}, 0);
  check(R"(func.func @f(%x: tensor<?x?x21xf32>) -> (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<?x?x3xf32>) {
    %0, %1, %2 = qopt.split_columns_at %x {columns = array<i32: 0, 7, 20>} : (tensor<?x?x21xf32>) -> (tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<?x?x3xf32>)
    return %0, %1, %2 : tensor<?x?x21xi8>, tensor<?x?xf32>, tensor<?x?x3xf32>
  })",
        {randomFloats({2, 3, 21}, 6)}, 0);
}

TEST_F(KernelCalls, EmbeddingNormAndRotary) {
  std::string source = "func.func @f(%ids: tensor<?x?xi64>, %p: tensor<?x?xi64>, %cos: tensor<9x2xf32>, %sin: "
                       "tensor<9x2xf32>) -> (tensor<?x?x8xf32>, tensor<?x2x?x4xf32>) {" +
                       parameter("table", {12, 8}, "f32", -1, 1) + parameter("weight", {8}, "f32", 0, 2) + R"(
    %perm = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
    %0 = onnx.Gather %table, %ids : (tensor<12x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
    %1 = onnx.RMSNormalization %0, %weight {epsilon = 1.0e-5 : f32} : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
    %2 = onnx.RotaryEmbedding %1, %cos, %sin, %p {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<9x2xf32>, tensor<9x2xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
    %3 = onnx.Reshape %1, %perm : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
    %4 = onnx.Transpose %3 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
    %5 = onnx.RotaryEmbedding %4, %cos, %sin, %p : (tensor<?x2x?x4xf32>, tensor<9x2xf32>, tensor<9x2xf32>, tensor<?x?xi64>) -> tensor<?x2x?x4xf32>
    return %2, %5 : tensor<?x?x8xf32>, tensor<?x2x?x4xf32>
  })";
  auto cos = randomFloats({9, 2}), sin = randomFloats({9, 2});
  check(source, {ints({2, 3}, {0, 11, 5, 3, 3, 1}), ints({2, 3}, {0, 1, 8, 2, 3, 4}), cos, sin});
  check(source, {ints({2, 3}, {0, 11, 5, 3, 3, 1}), ints({1, 3}, {0, 1, 8}), cos, sin});
  EXPECT_EQ(runAndFail(source, {ints({1, 1}, {12}), ints({1, 1}, {0}), cos, sin}),
            "index 12 is out of range for 12 rows");
  EXPECT_EQ(runAndFail(source, {ints({1, 1}, {0}), ints({1, 1}, {9}), cos, sin}), "index 9 is out of range for 9 rows");
}

// The embedding reads the packed weight of a head that is its transpose.
TEST_F(KernelCalls, TiedHeadIsStoredOnce) {
  std::string rows, columns;
  for (int v = 0; v < 19; ++v)
    rows += std::string(v ? ", [" : "[") + std::to_string(v) + ".5, " + std::to_string(-v) + ".25, 0.125]";
  for (int k = 0; k < 3; ++k) {
    columns += k ? ", [" : "[";
    for (int v = 0; v < 19; ++v)
      columns += (v ? ", " : "") + (k == 0 ? std::to_string(v) + ".5" : k == 1 ? std::to_string(-v) + ".25" : "0.125");
    columns += "]";
  }
  std::string source = "func.func @f(%ids: tensor<?x?xi64>) -> (tensor<?x?x3xf32>, tensor<?x?x19xf32>) {\n"
                       "  %table = onnx.Constant dense<[" +
                       rows +
                       "]> : tensor<19x3xf32>\n"
                       "  %head = onnx.Constant dense<[" +
                       columns + R"(]> : tensor<3x19xf32>
    %0 = onnx.Gather %table, %ids : (tensor<19x3xf32>, tensor<?x?xi64>) -> tensor<?x?x3xf32>
    %1 = onnx.MatMul %0, %head : (tensor<?x?x3xf32>, tensor<3x19xf32>) -> tensor<?x?x19xf32>
    return %0, %1 : tensor<?x?x3xf32>, tensor<?x?x19xf32>
  })";
  check(source, {ints({2, 3}, {0, 18, -1, 16, 15, -19})});
  EXPECT_EQ(runAndFail(source, {ints({1, 1}, {19})}), "index 19 is out of range for 19 rows");
  auto compiled = compile(source);
  ASSERT_TRUE(compiled) << diagnostics;
  ASSERT_EQ(compiled->lowered.weights.size(), 1u);
  EXPECT_EQ(compiled->lowered.weights[0].size(), 2u * 3 * 16 * sizeof(float));
}

TEST_F(KernelCalls, Attention) {
  check(
      R"(func.func @f(%q: tensor<?x?x12xf32>, %k: tensor<?x?x6xf32>, %v: tensor<?x?x6xf32>, %mask: tensor<?x1x1x?xi1>) -> tensor<?x?x12xf32> {
    %0 = onnx.Attention %q, %k, %v mask(%mask) {is_causal = 1 : i64, q_num_heads = 4 : i64, kv_num_heads = 2 : i64}
      : (tensor<?x?x12xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x1x1x?xi1>) -> tensor<?x?x12xf32>
    return %0 : tensor<?x?x12xf32>
  })",
      {randomFloats({2, 5, 12}), randomFloats({2, 5, 6}), randomFloats({2, 5, 6}),
       ints({2, 1, 1, 5}, {0, 0, 1, 1, 1, 1, 1, 1, 1, 1}, 1)},
      2e-6);
  check(
      R"(func.func @f(%q: tensor<?x2x?x4xf32>, %k: tensor<?x2x?x4xf32>, %v: tensor<?x2x?x4xf32>, %mask: tensor<?x?xf32>) -> tensor<?x2x?x4xf32> {
    %0 = onnx.Attention %q, %k, %v mask(%mask) {scale = 0.25 : f32}
      : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>, tensor<?x?xf32>) -> tensor<?x2x?x4xf32>
    return %0 : tensor<?x2x?x4xf32>
  })",
      {randomFloats({2, 2, 5, 4}), randomFloats({2, 2, 3, 4}), randomFloats({2, 2, 3, 4}), randomFloats({5, 3})}, 2e-6);
  check(
      R"(func.func @f(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %past: tensor<?x2x?x4xf32>) -> (tensor<?x?x8xf32>, tensor<?x2x?x4xf32>) {
    %y, %keys, %values = onnx.Attention %q, %k, %k past_key(%past) past_value(%past) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64}
      : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> (tensor<?x?x8xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>)
    return %y, %keys : tensor<?x?x8xf32>, tensor<?x2x?x4xf32>
  })",
      {randomFloats({2, 3, 8}), randomFloats({2, 3, 8}), randomFloats({2, 2, 7, 4})}, 2e-6);
}

// The kernel computes in f32; what is 1e-3 apart are one or two units of the narrow types.
TEST_F(KernelCalls, AttentionOfNarrowFloats) {
  for (auto [name, type, tolerance] : {std::tuple("f16", Type(Float16Type::get(&context())), 2e-3),
                                       std::tuple("bf16", Type(BFloat16Type::get(&context())), 2e-2)}) {
    std::string rows = "tensor<?x?x8x" + std::string(name) + ">", heads = "tensor<?x2x?x4x" + std::string(name) + ">";
    check("func.func @f(%q: " + rows + ", %k: " + rows + ", %p: " + heads + ") -> (" + rows + ", " + heads + ", " +
              heads + R"() {
    %y, %keys, %values = onnx.Attention %q, %k, %k past_key(%p) past_value(%p) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64}
      : ()" + rows +
              ", " + rows + ", " + rows + ", " + heads + ", " + heads + ") -> (" + rows + ", " + heads + ", " + heads +
              R"()
    return %y, %keys, %values : )" +
              rows + ", " + heads + ", " + heads + "\n}",
          {convert(randomFloats({2, 3, 8}, 0.5), type), convert(randomFloats({2, 3, 8}, 0.5), type),
           convert(randomFloats({2, 2, 7, 4}), type)},
          tolerance);
    // The first query sees nothing: all its scores are the lowest number of the type.
    double lowest = type.isF16() ? -65504.0 : -0x1.fep127;
    std::string mask = "tensor<?x?x" + std::string(name) + ">";
    check("func.func @f(%x: " + heads + ", %m: " + mask + ") -> " + heads +
              " {\n  %y = onnx.Attention %x, %x, %x mask(%m) : (" + heads + ", " + heads + ", " + heads + ", " + mask +
              ") -> " + heads + "\n  return %y : " + heads + "\n}",
          {convert(randomFloats({1, 2, 2, 4}, 0.5), type),
           convert(floats({2, 2}, {lowest, -std::numeric_limits<double>::infinity(), 0.0, -1.0}), type)},
          tolerance);
  }
}

} // namespace
