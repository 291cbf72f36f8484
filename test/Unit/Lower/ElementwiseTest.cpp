//===- ElementwiseTest.cpp - Elementwise operators, compiled --------------===//
#include "HostTest.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

struct Elementwise : HostTest {
  /// An operator of one operand on every interesting float.
  void checkUnary(StringRef name, std::vector<double> values, double tolerance = 3e-7) {
    SCOPED_TRACE(name.str());
    for (double &value : values)
      value = static_cast<float>(value);
    std::string source = "func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {\n  %y = onnx." + name.str() +
                         " %x : (tensor<?xf32>) -> tensor<?xf32>\n  return %y : tensor<?xf32>\n}";
    check(source, {floats({int64_t(values.size())}, values)}, tolerance);
  }
  void checkBinary(StringRef name, StringRef lhs, StringRef rhs, StringRef result, reference::Tensor x,
                   reference::Tensor y, double tolerance = 3e-7) {
    SCOPED_TRACE(name.str());
    std::string source = ("func.func @f(%x: " + lhs + ", %y: " + rhs + ") -> " + result + " {\n  %z = onnx." + name +
                          " %x, %y : (" + lhs + ", " + rhs + ") -> " + result + "\n  return %z : " + result + "\n}")
                             .str();
    check(source, {x, y}, tolerance);
  }
};

const double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> spread() {
  std::vector<double> values{0.0,   -0.0,  kInf, -kInf, kNaN, 1e-30, -1e-30, 1e30,
                             -1e30, 1e-42, 0.5,  1.5,   2.5,  -0.5,  -1.5};
  for (double v = -120; v <= 120; v += 0.37)
    values.push_back(v);
  for (double v = -2; v <= 2; v += 0.013)
    values.push_back(v);
  return values;
}

std::vector<double> positive() {
  std::vector<double> values{0.0, kInf, kNaN, 1e-42, 1e-38, 1e38};
  for (double v = 1e-3; v <= 1e6; v *= 1.01)
    values.push_back(v);
  return values;
}

TEST_F(Elementwise, Unary) {
  for (StringRef name : {"Abs", "Ceil", "Floor", "Round", "Neg", "Identity", "Relu", "Sign"})
    checkUnary(name, spread(), 0);
  for (StringRef name : {"Sigmoid", "Swish", "Tanh", "Erf", "Gelu", "Exp", "Softplus", "Reciprocal"})
    checkUnary(name, spread());
  checkUnary("Sqrt", positive(), 1e-7);
  checkUnary("Log", positive());
}

TEST_F(Elementwise, AnglesOfRotaryEmbeddings) {
  std::vector<double> values{0.0, -0.0};
  for (double v = 1e-3; v < 1e6; v *= 1.017) {
    values.push_back(v);
    values.push_back(-v);
  }
  checkUnary("Sin", values, 1e-7);
  checkUnary("Cos", values, 1e-7);
}

// Small results must be right relative to their size.
TEST_F(Elementwise, ExpIsRelativelyAccurate) {
  std::vector<double> values;
  for (double v = -103; v < 88.7; v += 0.0371)
    values.push_back(static_cast<float>(v));
  auto compiled = compile("func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {\n"
                          "  %y = onnx.Exp %x : (tensor<?xf32>) -> tensor<?xf32>\n  return %y : tensor<?xf32>\n}");
  ASSERT_TRUE(compiled) << diagnostics;
  for (size_t level = 0; level < compiled->levels.size(); ++level) {
    auto result = run(*compiled, level, "f", {floats({int64_t(values.size())}, values)}, 1);
    ASSERT_TRUE(bool(result));
    for (size_t i = 0; i < values.size(); ++i) {
      double want = std::exp(values[i]), got = (*result)[0].data<float>()[i];
      double unit = std::max(std::ldexp(1.0, std::ilogb(want) - 23), 0x1p-149);
      ASSERT_LE(std::abs(got - want), 2 * unit) << "exp(" << values[i] << ")";
    }
  }
}

TEST_F(Elementwise, BinaryWithBroadcasting) {
  for (StringRef name : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    checkBinary(name, "tensor<?x3x4xf32>", "tensor<?x3x4xf32>", "tensor<?x3x4xf32>", randomFloats({5, 3, 4}),
                randomFloats({5, 3, 4}), 1e-7);
    checkBinary(name, "tensor<?x3x4xf32>", "tensor<4xf32>", "tensor<?x3x4xf32>", randomFloats({2, 3, 4}),
                randomFloats({4}), 1e-7);
    checkBinary(name, "tensor<?x1x4xf32>", "tensor<3x1xf32>", "tensor<?x3x4xf32>", randomFloats({2, 1, 4}),
                randomFloats({3, 1}), 1e-7);
    checkBinary(name, "tensor<f32>", "tensor<?x?xf32>", "tensor<?x?xf32>", randomFloats({}), randomFloats({300, 70}),
                1e-7);
  }
  checkBinary("Pow", "tensor<?xf32>", "tensor<?xf32>", "tensor<?xf32>",
              floats({12}, {2, 3, -2, -2, 0, 0, 1, kInf, -1.5, 10, kNaN, 7}),
              floats({12}, {3, -1.5, 3, 2, 2, -1, kInf, 0.5, 0.5, 20, 0, kNaN}));
  checkBinary("Mod", "tensor<4xi64>", "tensor<4xi64>", "tensor<4xi64>", ints({4}, {7, -7, 7, -7}),
              ints({4}, {3, 3, -3, -3}));
  checkBinary("Div", "tensor<4xi64>", "tensor<4xi64>", "tensor<4xi64>", ints({4}, {7, -7, 7, -7}),
              ints({4}, {2, 2, -2, -1}));
}

TEST_F(Elementwise, Comparisons) {
  for (StringRef name : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}) {
    checkBinary(name, "tensor<?xf32>", "tensor<?xf32>", "tensor<?xi1>", floats({5}, {1, 2, 3, kNaN, -0.0}),
                floats({5}, {2, 2, 2, kNaN, 0.0}));
    checkBinary(name, "tensor<?xi64>", "tensor<1xi64>", "tensor<?xi1>", ints({3}, {-1, 4, 9}), ints({1}, {4}));
  }
  for (StringRef name : {"And", "Or", "Xor"})
    checkBinary(name, "tensor<?xi1>", "tensor<?xi1>", "tensor<?xi1>", ints({4}, {0, 0, 1, 1}, 1),
                ints({4}, {0, 1, 0, 1}, 1));
}

TEST_F(Elementwise, ChainsBecomeOneLoop) {
  check(R"(func.func @f(%x: tensor<?x?x8xf32>, %m: tensor<?x?xi1>) -> (tensor<?x?x8xf32>, tensor<?x?x8xi1>) {
    %c = onnx.Constant dense<2.0> : tensor<f32>
    %axes = onnx.Constant dense<-1> : tensor<1xi64>
    %m1 = onnx.Unsqueeze %m, %axes : (tensor<?x?xi1>, tensor<1xi64>) -> tensor<?x?x1xi1>
    %0 = onnx.Mul %x, %c : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
    %1 = onnx.Tanh %0 : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
    %2 = onnx.Where %m1, %1, %c : (tensor<?x?x1xi1>, tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xf32>
    %3 = onnx.Greater %2, %c : (tensor<?x?x8xf32>, tensor<f32>) -> tensor<?x?x8xi1>
    return %2, %3 : tensor<?x?x8xf32>, tensor<?x?x8xi1>
  })",
        {randomFloats({2, 3, 8}), ints({2, 3}, {1, 0, 1, 1, 0, 0}, 1)});
}

TEST_F(Elementwise, Casts) {
  check(R"(func.func @f(%x: tensor<?xf32>, %n: tensor<?xi64>, %b: tensor<?xi1>)
      -> (tensor<?xi64>, tensor<?xi1>, tensor<?xf16>, tensor<?xbf16>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xi64>) {
    %0 = onnx.Cast %x {to = i64} : (tensor<?xf32>) -> tensor<?xi64>
    %1 = onnx.Cast %x {to = i1} : (tensor<?xf32>) -> tensor<?xi1>
    %2 = onnx.Cast %x {to = f16} : (tensor<?xf32>) -> tensor<?xf16>
    %3 = onnx.Cast %x {to = bf16} : (tensor<?xf32>) -> tensor<?xbf16>
    %4 = onnx.Cast %n {to = f32} : (tensor<?xi64>) -> tensor<?xf32>
    %5 = onnx.Cast %n {to = i32} : (tensor<?xi64>) -> tensor<?xi32>
    %6 = onnx.Cast %b {to = f32} : (tensor<?xi1>) -> tensor<?xf32>
    %7 = onnx.Cast %b {to = i64} : (tensor<?xi1>) -> tensor<?xi64>
    return %0, %1, %2, %3, %4, %5, %6, %7 : tensor<?xi64>, tensor<?xi1>, tensor<?xf16>, tensor<?xbf16>, tensor<?xf32>, tensor<?xi32>, tensor<?xf32>, tensor<?xi64>
  })",
        {floats({5}, {0, 1.5, -2.75, 1000.1, 1e-3}), ints({5}, {0, -1, 5, 1 << 30, 7}), ints({5}, {0, 1, 1, 0, 1}, 1)});
}

TEST_F(Elementwise, NarrowFloatsRoundAfterEveryOperator) {
  for (Type type : {Type(Float16Type::get(&context())), Type(BFloat16Type::get(&context()))}) {
    std::string t = type.isF16() ? "tensor<?xf16>" : "tensor<?xbf16>";
    std::string signature = " : (" + t + ", " + t + ") -> " + t + "\n";
    check("func.func @f(%x: " + t + ", %y: " + t + ") -> " + t + " {\n %0 = onnx.Mul %x, %y" + signature +
              " %1 = onnx.Add %0, %y" + signature + " return %1 : " + t + "\n}",
          {convert(randomFloats({77}), type), convert(randomFloats({77}, 100), type)}, 0);
  }
}

} // namespace
