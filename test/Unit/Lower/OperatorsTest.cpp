//===- OperatorsTest.cpp - Movement, indexing, reductions, products -------===//
#include "HostTest.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

using Operators = HostTest;

TEST_F(Operators, Movement) {
  check(
      R"(func.func @f(%x: tensor<?x6xf32>, %y: tensor<?x2xf32>) -> (tensor<?x8xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x?xf32>, tensor<?x6xf32>) {
    %one = onnx.Constant dense<1> : tensor<1xi64>
    %big = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
    %m1 = onnx.Constant dense<-1> : tensor<1xi64>
    %least = onnx.Constant dense<-9223372036854775807> : tensor<1xi64>
    %0 = onnx.Concat %x, %y {axis = -1 : i64} : (tensor<?x6xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
    %1:2 = onnx.Split %x {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x6xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>)
    %2 = onnx.Slice %x, %one, %big axes(%one) steps(%one) : (tensor<?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
    %3 = onnx.Slice %x, %m1, %least axes(%one) steps(%m1) : (tensor<?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x6xf32>
    return %0, %1#0, %1#1, %2, %3 : tensor<?x8xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x?xf32>, tensor<?x6xf32>
  })",
      {randomFloats({3, 6}), randomFloats({3, 2})}, 0);
}

TEST_F(Operators, SliceOfComputedBounds) {
  StringRef source = R"(func.func @f(%x: tensor<?x6xf32>, %s: tensor<1xi64>, %e: tensor<1xi64>) -> tensor<?x6xf32> {
    %zero = onnx.Constant dense<0> : tensor<1xi64>
    %0 = onnx.Slice %x, %s, %e axes(%zero) : (tensor<?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x6xf32>
    return %0 : tensor<?x6xf32>
  })";
  for (auto [start, end] : {std::pair<int64_t, int64_t>{1, 3}, {-2, 100}, {-100, -1}, {3, 1}, {7, 9}})
    check(source, {randomFloats({4, 6}), ints({1}, {start}), ints({1}, {end})}, 0);
}

TEST_F(Operators, RangeTriluTileCumSum) {
  check(
      R"(func.func @f(%n: tensor<i64>, %x: tensor<?x?xf32>) -> (tensor<?xi64>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>) {
    %zero = onnx.Constant dense<0> : tensor<i64>
    %one = onnx.Constant dense<1> : tensor<i64>
    %reps = onnx.Constant dense<[2, 3]> : tensor<2xi64>
    %0 = onnx.Range %zero, %n, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
    %1 = onnx.Trilu %x, %one {upper = 1 : i64} : (tensor<?x?xf32>, tensor<i64>) -> tensor<?x?xf32>
    %2 = onnx.Tile %x, %reps : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
    %3 = onnx.CumSum %x, %zero : (tensor<?x?xf32>, tensor<i64>) -> tensor<?x?xf32>
    %4 = onnx.CumSum %x, %one {exclusive = 1 : i64, reverse = 1 : i64} : (tensor<?x?xf32>, tensor<i64>) -> tensor<?x?xf32>
    return %0, %1, %2, %3, %4 : tensor<?xi64>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>
  })",
      {ints({}, {7}), randomFloats({4, 5})}, 1e-6);
}

constexpr StringLiteral kGather = R"(func.func @f(%x: tensor<?x5xf32>, %i: tensor<?x?xi64>) -> tensor<?x?x5xf32> {
    %0 = onnx.Gather %x, %i {axis = 0 : i64} : (tensor<?x5xf32>, tensor<?x?xi64>) -> tensor<?x?x5xf32>
    return %0 : tensor<?x?x5xf32>
  })";

TEST_F(Operators, GatherChecksItsIndices) {
  check(kGather, {randomFloats({7, 5}), ints({2, 3}, {0, 6, -1, -7, 3, 3})}, 0);
  check(kGather, {floats({0, 5}, {}), ints({0, 3}, {})}, 0);
  EXPECT_EQ(runAndFail(kGather, {randomFloats({7, 5}), ints({1, 2}, {1, 7})}), "index 7 is out of range for 7 rows");
  EXPECT_EQ(runAndFail(kGather, {randomFloats({7, 5}), ints({1, 2}, {-8, 1})}), "index -8 is out of range for 7 rows");
  EXPECT_EQ(runAndFail(kGather, {floats({0, 5}, {}), ints({1, 1}, {0})}), "index 0 is out of range for 0 rows");
}

TEST_F(Operators, GatherElementsAndTuples) {
  check(R"(func.func @f(%x: tensor<?x4xf32>, %i: tensor<?x2xi64>, %t: tensor<?x2xi64>, %u: tensor<?xf32>)
      -> (tensor<?x2xf32>, tensor<?xf32>, tensor<?x4xf32>) {
    %0 = onnx.GatherElements %x, %i {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
    %1 = onnx.GatherND %x, %t : (tensor<?x4xf32>, tensor<?x2xi64>) -> tensor<?xf32>
    %2 = onnx.ScatterND %x, %t, %u : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?xf32>) -> tensor<?x4xf32>
    return %0, %1, %2 : tensor<?x2xf32>, tensor<?xf32>, tensor<?x4xf32>
  })",
        {randomFloats({3, 4}), ints({3, 2}, {0, 3, -1, 2, 1, 1}), ints({2, 2}, {0, 1, 2, -1}), randomFloats({2})}, 0);
}

TEST_F(Operators, Reductions) {
  for (StringRef name : {"ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd"})
    for (StringRef axes : {"-1", "0"}) {
      std::string source = ("func.func @f(%x: tensor<?x?x4xf32>) -> tensor<?x?x?xf32> {\n"
                            "  %a = onnx.Constant dense<" +
                            axes +
                            "> : tensor<1xi64>\n"
                            "  %0 = onnx." +
                            name +
                            " %x, %a {keepdims = 1 : i64} : (tensor<?x?x4xf32>, tensor<1xi64>) -> tensor<?x?x?xf32>\n"
                            "  return %0 : tensor<?x?x?xf32>\n}")
                               .str();
      check(source, {randomFloats({3, 50, 4})}, 2e-7);
    }
  check(
      R"(func.func @f(%x: tensor<?x?xf32>, %n: tensor<?xi64>) -> (tensor<f32>, tensor<i64>, tensor<?x?xf32>, tensor<?x?xf32>) {
    %0 = onnx.ReduceSum %x {keepdims = 0 : i64} : (tensor<?x?xf32>) -> tensor<f32>
    %1 = onnx.ReduceMax %n {keepdims = 0 : i64} : (tensor<?xi64>) -> tensor<i64>
    %2 = onnx.Softmax %x {axis = -1 : i64} : (tensor<?x?xf32>) -> tensor<?x?xf32>
    %3 = onnx.Softmax %x {axis = 0 : i64} : (tensor<?x?xf32>) -> tensor<?x?xf32>
    return %0, %1, %2, %3 : tensor<f32>, tensor<i64>, tensor<?x?xf32>, tensor<?x?xf32>
  })",
      {randomFloats({9, 33}, 20), ints({4}, {-3, 5, 2, 4})}, 3e-7);
}

TEST_F(Operators, Products) {
  check(
      R"(func.func @f(%a: tensor<?x3x?x8xf32>, %b: tensor<?x1x8x?xf32>, %v: tensor<8xf32>) -> (tensor<?x3x?x?xf32>, tensor<?x3x?xf32>) {
    %0 = onnx.MatMul %a, %b : (tensor<?x3x?x8xf32>, tensor<?x1x8x?xf32>) -> tensor<?x3x?x?xf32>
    %1 = onnx.MatMul %a, %v : (tensor<?x3x?x8xf32>, tensor<8xf32>) -> tensor<?x3x?xf32>
    return %0, %1 : tensor<?x3x?x?xf32>, tensor<?x3x?xf32>
  })",
      {randomFloats({2, 3, 5, 8}), randomFloats({2, 1, 8, 7}), randomFloats({8})}, 1e-6);
  check(R"(func.func @f(%a: tensor<?x5xf32>, %b: tensor<?x?xf32>, %c: tensor<?xf32>) -> tensor<5x?xf32> {
    %0 = onnx.Gemm %a, %b, %c {transA = 1 : i64, transB = 1 : i64, alpha = 2.0 : f32, beta = 0.5 : f32} : (tensor<?x5xf32>, tensor<?x?xf32>, tensor<?xf32>) -> tensor<5x?xf32>
    return %0 : tensor<5x?xf32>
  })",
        {randomFloats({6, 5}), randomFloats({4, 6}), randomFloats({4})}, 1e-6);
}

} // namespace
