//===- LevelsTest.cpp - The code levels compute the same ------------------===//
//
// include/qopt/Codegen/Kernels.h promises that floats do not depend on the code
// level. Here it is kept by a whole decoder layer: every kernel, the loops between
// them, and sums over more elements than one vector holds.
//
//===----------------------------------------------------------------------===//
#include "HostTest.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

struct Levels : HostTest {
  /// %name, a constant of random bits or, for f32, of random numbers.
  std::string constant(StringRef name, ArrayRef<int64_t> shape, StringRef element, double scale = 1) {
    reference::Tensor values = randomFloats(shape, element == "f32" ? scale : 127);
    std::string bytes, type;
    for (double value : values.floats) {
      auto number = static_cast<float>(value);
      auto code = static_cast<int8_t>(value);
      bytes += element == "f32" ? std::string(reinterpret_cast<const char *>(&number), 4)
                                : std::string(reinterpret_cast<const char *>(&code), 1);
    }
    for (int64_t size : shape)
      type += std::to_string(size) + "x";
    return llvm::formatv("%{0} = qopt.parameter \"{0}\" dense<\"0x{1}\"> : tensor<{2}{3}>\n", name, llvm::toHex(bytes),
                         type, element);
  }
};

constexpr llvm::StringLiteral kDecoder = R"(
  %0 = onnx.Gather %table, %ids : (tensor<40x40xf32>, tensor<?x?xi64>) -> tensor<?x?x40xf32>
  %1 = onnx.RMSNormalization %0, %norm : (tensor<?x?x40xf32>, tensor<40xf32>) -> tensor<?x?x40xf32>
  %q = onnx.MatMul %1, %wq : (tensor<?x?x40xf32>, tensor<40x40xf32>) -> tensor<?x?x40xf32>
  %k = onnx.MatMul %1, %wk : (tensor<?x?x40xf32>, tensor<40x20xf32>) -> tensor<?x?x20xf32>
  %v = onnx.MatMul %1, %wv : (tensor<?x?x40xf32>, tensor<40x20xf32>) -> tensor<?x?x20xf32>
  %qr = onnx.RotaryEmbedding %q, %cos, %sin, %positions {num_heads = 4 : i64} : (tensor<?x?x40xf32>, tensor<64x5xf32>, tensor<64x5xf32>, tensor<?x?xi64>) -> tensor<?x?x40xf32>
  %kr = onnx.RotaryEmbedding %k, %cos, %sin, %positions {num_heads = 2 : i64} : (tensor<?x?x20xf32>, tensor<64x5xf32>, tensor<64x5xf32>, tensor<?x?xi64>) -> tensor<?x?x20xf32>
  %a = onnx.Attention %qr, %kr, %v {is_causal = 1 : i64, q_num_heads = 4 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x40xf32>, tensor<?x?x20xf32>, tensor<?x?x20xf32>) -> tensor<?x?x40xf32>
  %o = qopt.matmul_w4a16 %a, %wo, %so {group_size = 16} : (tensor<?x?x40xf32>, tensor<40x20xi8>, tensor<40x3xf32>) -> tensor<?x?x40xf32>
  %2 = onnx.Add %0, %o : (tensor<?x?x40xf32>, tensor<?x?x40xf32>) -> tensor<?x?x40xf32>
  %3 = onnx.RMSNormalization %2, %norm : (tensor<?x?x40xf32>, tensor<40xf32>) -> tensor<?x?x40xf32>
  %gate = qopt.matmul_w8a16 %3, %w8, %s8 : (tensor<?x?x40xf32>, tensor<52x40xi8>, tensor<52xf32>) -> tensor<?x?x52xf32>
  %c, %t = qopt.dynamic_quantize %3 : (tensor<?x?x40xf32>) -> (tensor<?x?x40xi8>, tensor<?x?xf32>)
  %up = qopt.matmul_w8a8 %c, %t, %w8, %s8 : (tensor<?x?x40xi8>, tensor<?x?xf32>, tensor<52x40xi8>, tensor<52xf32>) -> tensor<?x?x52xf32>
  %swish = onnx.Swish %gate : (tensor<?x?x52xf32>) -> tensor<?x?x52xf32>
  %h = onnx.Mul %swish, %up : (tensor<?x?x52xf32>, tensor<?x?x52xf32>) -> tensor<?x?x52xf32>
  %d, %dt, %columns = qopt.split_columns %h {threshold = 6.0 : f32} : (tensor<?x?x52xf32>) -> (tensor<?x?x52xi8>, tensor<?x?xf32>, tensor<52xi32>)
  %down = qopt.matmul_w8a8 %d, %dt, %wd, %norm outliers(%h) columns(%columns) : (tensor<?x?x52xi8>, tensor<?x?xf32>, tensor<40x52xi8>, tensor<40xf32>, tensor<?x?x52xf32>, tensor<52xi32>) -> tensor<?x?x40xf32>
  %4 = onnx.Add %2, %down : (tensor<?x?x40xf32>, tensor<?x?x40xf32>) -> tensor<?x?x40xf32>
  %5 = onnx.RMSNormalization %4, %norm : (tensor<?x?x40xf32>, tensor<40xf32>) -> tensor<?x?x40xf32>
  %logits = onnx.MatMul %5, %head : (tensor<?x?x40xf32>, tensor<40x200xf32>) -> tensor<?x?x200xf32>
  %p = onnx.Softmax %logits {axis = -1 : i64} : (tensor<?x?x200xf32>) -> tensor<?x?x200xf32>
  %log = onnx.Log %p : (tensor<?x?x200xf32>) -> tensor<?x?x200xf32>
  %erf = onnx.Erf %5 : (tensor<?x?x40xf32>) -> tensor<?x?x40xf32>
  %tanh = onnx.Tanh %erf : (tensor<?x?x40xf32>) -> tensor<?x?x40xf32>
  %sine = onnx.Sin %2 : (tensor<?x?x40xf32>) -> tensor<?x?x40xf32>
  return %4, %logits, %p, %log, %tanh, %sine : tensor<?x?x40xf32>, tensor<?x?x200xf32>, tensor<?x?x200xf32>, tensor<?x?x200xf32>, tensor<?x?x40xf32>, tensor<?x?x40xf32>
}
)";

TEST_F(Levels, FloatsAreTheSame) {
  if (qrt::hostLevel() != "x86-64-v4")
    GTEST_SKIP() << "this machine has no AVX-512, so that only one level runs here";
  std::string source =
      "func.func @f(%ids: tensor<?x?xi64>, %positions: tensor<?x?xi64>) -> (tensor<?x?x40xf32>, tensor<?x?x200xf32>, "
      "tensor<?x?x200xf32>, tensor<?x?x200xf32>, tensor<?x?x40xf32>, tensor<?x?x40xf32>) {\n";
  source += constant("table", {40, 40}, "f32", 4) + constant("norm", {40}, "f32") + constant("wq", {40, 40}, "f32") +
            constant("wk", {40, 20}, "f32") + constant("wv", {40, 20}, "f32") + constant("cos", {64, 5}, "f32") +
            constant("sin", {64, 5}, "f32") + constant("wo", {40, 20}, "i8") + constant("so", {40, 3}, "f32", 0.1) +
            constant("w8", {52, 40}, "i8") + constant("s8", {52}, "f32", 0.02) + constant("wd", {40, 52}, "i8") +
            constant("head", {40, 200}, "f32");
  auto compiled = compile(source + kDecoder.str());
  ASSERT_TRUE(compiled) << diagnostics;
  ASSERT_EQ(compiled->levels.size(), 2u);
  // Few tokens, and more than one block of queries and keys.
  for (int64_t tokens : {1, 7, 45}) {
    std::vector<int64_t> ids, positions;
    for (int64_t i = 0; i < 2 * tokens; ++i) {
      ids.push_back(i * 7 % 40);
      positions.push_back(i % tokens);
    }
    std::vector<reference::Tensor> inputs{ints({2, tokens}, ids), ints({2, tokens}, positions)};
    auto v3 = run(*compiled, 0, "f", inputs, 1), v4 = run(*compiled, 1, "f", inputs, 1);
    ASSERT_TRUE(bool(v3)) << v3.error().message;
    ASSERT_TRUE(bool(v4)) << v4.error().message;
    ASSERT_EQ(v3->size(), 6u);
    for (size_t i = 0; i < v3->size(); ++i) {
      const auto *a = (*v3)[i].data<float>(), *b = (*v4)[i].data<float>();
      int64_t different = 0;
      ASSERT_TRUE(std::isfinite(a[0])); // not equal for being nothing
      for (int64_t j = 0, n = (*v3)[i].numElements(); j < n; ++j)
        if (std::memcmp(&a[j], &b[j], sizeof(float)) != 0 && ++different < 3)
          ADD_FAILURE() << "output " << i << " of " << tokens << " tokens, element " << j << ": " << a[j] << " and "
                        << b[j];
      EXPECT_EQ(different, 0);
    }
  }
}

} // namespace
