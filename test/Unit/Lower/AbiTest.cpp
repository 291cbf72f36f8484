//===- AbiTest.cpp - Entry points, parameters, outputs, errors ------------===//
#include "HostTest.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

using Abi = HostTest;

TEST_F(Abi, OutputsAreMemoryOfTheirOwn) {
  check(R"(func.func @f(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<2xi64>) {
    %c = onnx.Constant dense<[5, 6]> : tensor<2xi64>
    %0 = onnx.Neg %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
    return %x, %0, %0, %c : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<2xi64>
  })",
        {randomFloats({3, 4})}, 0);
}

constexpr StringLiteral kTwoEntries = R"(module {
  func.func @first(%x: tensor<?x3xf32> {onnx.name = "ids", onnx.dims = ["n", ""]}) -> (tensor<?x3xf32> {onnx.name = "y", onnx.dims = ["n", ""]}) {
    %w = qopt.parameter "w" dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
    %0 = onnx.Mul %x, %w : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
    return %0 : tensor<?x3xf32>
  }
  func.func @second(%x: tensor<3xf32>) -> tensor<3xf32> {
    %w = qopt.parameter "w" dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
    %v = qopt.parameter "v" dense<4.0> : tensor<3xf32>
    %0 = onnx.Add %x, %w : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    %1 = onnx.Add %0, %v : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    return %1 : tensor<3xf32>
  }
})";

TEST_F(Abi, EntryPointsShareTheParameterTable) {
  auto compiled = compile(kTwoEntries);
  ASSERT_TRUE(compiled) << diagnostics;
  const LoweredModule &lowered = compiled->lowered;
  ASSERT_EQ(lowered.parameters.size(), 2u);
  EXPECT_EQ(lowered.parameters[0].name, "w");
  EXPECT_EQ(lowered.parameters[1].name, "v");
  EXPECT_EQ(lowered.parameters[1].bytes, 12);
  ASSERT_EQ(lowered.entryPoints.size(), 2u);
  EXPECT_EQ(lowered.entryPoints[0].name, "first");
  EXPECT_EQ(lowered.entryPoints[0].inputs[0].name, "ids");
  EXPECT_EQ(lowered.entryPoints[0].inputs[0].dims[0].symbol, "n");
  EXPECT_EQ(lowered.entryPoints[0].inputs[0].dims[1].size, 3);
  EXPECT_EQ(lowered.entryPoints[0].outputs[0].name, "y");

  auto first = run(*compiled, 0, "first", {floats({1, 3}, {1, 1, 1})}, 1);
  ASSERT_TRUE(bool(first)) << first.error().message;
  EXPECT_EQ(fromRuntime((*first)[0], Float32Type::get(&context())).floats, (std::vector<double>{1, 2, 3}));

  // The caller may give other parameters.
  alignas(64) float other[] = {10, 20, 30};
  compiled->parameters[0] = other;
  auto second = run(*compiled, 0, "second", {floats({3}, {1, 1, 1})}, 1);
  ASSERT_TRUE(bool(second)) << second.error().message;
  EXPECT_EQ(fromRuntime((*second)[0], Float32Type::get(&context())).floats, (std::vector<double>{15, 25, 35}));
}

TEST_F(Abi, SameSourceGivesTheSameBytes) {
  auto one = compile(kTwoEntries), two = compile(kTwoEntries);
  ASSERT_TRUE(one && two) << diagnostics;
  EXPECT_EQ(one->code, two->code);
}

TEST_F(Abi, SizesThatMustAgreeAreCompared) {
  StringRef source = R"(func.func @f(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = onnx.Add %x, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
    return %0 : tensor<?x4xf32>
  })";
  EXPECT_EQ(runAndFail(source, {randomFloats({3, 4}), randomFloats({5, 4})}), "sizes 3 and 5 should be equal");
}

TEST_F(Abi, AbsurdSizesAreOutOfMemory) {
  StringRef source = R"(func.func @f(%s: tensor<3xi64>) -> tensor<?x?x?xf32> {
    %0 = onnx.ConstantOfShape %s, dense<3.0> : tensor<1xf32> : (tensor<3xi64>) -> tensor<?x?x?xf32>
    return %0 : tensor<?x?x?xf32>
  })";
  std::string big = "out of memory: 9223372036854775807 bytes were needed";
  EXPECT_EQ(runAndFail(source, {ints({3}, {int64_t(1) << 40, int64_t(1) << 40, 1})}), big);
  EXPECT_EQ(runAndFail(source, {ints({3}, {int64_t(1) << 32, int64_t(1) << 32, int64_t(1) << 32})}), big);
  // Buffers that do not leave the function as well.
  EXPECT_EQ(runAndFail(R"(func.func @f(%s: tensor<2xi64>) -> tensor<?x?xf32> {
    %0 = onnx.ConstantOfShape %s, dense<3.0> : tensor<1xf32> : (tensor<2xi64>) -> tensor<?x?xf32>
    %1 = onnx.Transpose %0 {perm = array<i64: 1, 0>} : (tensor<?x?xf32>) -> tensor<?x?xf32>
    %2 = onnx.Exp %1 : (tensor<?x?xf32>) -> tensor<?x?xf32>
    return %2 : tensor<?x?xf32>
  })",
                       {ints({2}, {int64_t(1) << 40, int64_t(1) << 40})}),
            big);
}

TEST_F(Abi, NamesTheOperatorThatHasNoLowering) {
  EXPECT_NE(lowerAndFail(R"(func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %0 = qopt.observe %x "layer" ["absmax"] : tensor<?x4xf32>
    return %0 : tensor<?x4xf32>
  })")
                .find("'qopt.observe' op is not supported for operands of types"),
            std::string::npos);
}

} // namespace
