//===- ShapesTest.cpp - Shape operators, compiled -------------------------===//
#include "HostTest.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

using Shapes = HostTest;

TEST_F(Shapes, ReshapeToHeadsAndBack) {
  check(R"(func.func @f(%x: tensor<?x?x12xf32>) -> (tensor<?x?x3x4xf32>, tensor<?x3x?x4xf32>, tensor<?x12xf32>) {
    %s = onnx.Constant dense<[0, 0, 3, 4]> : tensor<4xi64>
    %flat = onnx.Constant dense<[-1, 12]> : tensor<2xi64>
    %0 = onnx.Reshape %x, %s : (tensor<?x?x12xf32>, tensor<4xi64>) -> tensor<?x?x3x4xf32>
    %1 = onnx.Transpose %0 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x3x4xf32>) -> tensor<?x3x?x4xf32>
    %2 = onnx.Reshape %x, %flat : (tensor<?x?x12xf32>, tensor<2xi64>) -> tensor<?x12xf32>
    return %0, %1, %2 : tensor<?x?x3x4xf32>, tensor<?x3x?x4xf32>, tensor<?x12xf32>
  })",
        {randomFloats({2, 5, 12})}, 0);
}

TEST_F(Shapes, ShapesComputedFromShapes) {
  check(R"(func.func @f(%x: tensor<?x?x6xf32>) -> (tensor<?x?x2x3xf32>, tensor<?xf32>, tensor<3xi64>) {
    %i0 = onnx.Constant dense<0> : tensor<i64>
    %i1 = onnx.Constant dense<1> : tensor<i64>
    %axis = onnx.Constant dense<0> : tensor<1xi64>
    %tail = onnx.Constant dense<[2, -1]> : tensor<2xi64>
    %one = onnx.Constant dense<-1> : tensor<1xi64>
    %s = onnx.Shape %x : (tensor<?x?x6xf32>) -> tensor<3xi64>
    %a = onnx.Gather %s, %i0 : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
    %b = onnx.Gather %s, %i1 : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
    %a1 = onnx.Unsqueeze %a, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
    %b1 = onnx.Unsqueeze %b, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
    %new = onnx.Concat %a1, %b1, %tail {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<2xi64>) -> tensor<4xi64>
    %0 = onnx.Reshape %x, %new : (tensor<?x?x6xf32>, tensor<4xi64>) -> tensor<?x?x2x3xf32>
    %1 = onnx.Reshape %x, %one : (tensor<?x?x6xf32>, tensor<1xi64>) -> tensor<?xf32>
    return %0, %1, %s : tensor<?x?x2x3xf32>, tensor<?xf32>, tensor<3xi64>
  })",
        {randomFloats({2, 5, 6})}, 0);
}

TEST_F(Shapes, ReshapeReadsItsShapeFromAnInput) {
  StringRef source = R"(func.func @f(%x: tensor<?x6xf32>, %s: tensor<2xi64>) -> tensor<?x?xf32> {
    %0 = onnx.Reshape %x, %s : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
    return %0 : tensor<?x?xf32>
  })";
  check(source, {randomFloats({2, 6}), ints({2}, {3, 4})}, 0);
  check(source, {randomFloats({2, 6}), ints({2}, {0, 6})}, 0);
  check(source, {randomFloats({2, 6}), ints({2}, {-1, 4})}, 0);
  check(source, {randomFloats({2, 6}), ints({2}, {-1, 0})}, 0);
  check(source, {randomFloats({2, 6}), ints({2}, {0, -1})}, 0);
  EXPECT_EQ(runAndFail(source, {randomFloats({2, 6}), ints({2}, {5, 3})}), "sizes 12 and 15 should be equal");
}

TEST_F(Shapes, SqueezeFlattenExpand) {
  check(R"(func.func @f(%x: tensor<?x1x3xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x4x3xf32>) {
    %axes = onnx.Constant dense<1> : tensor<1xi64>
    %shape = onnx.Constant dense<[1, 4, 3]> : tensor<3xi64>
    %0 = onnx.Squeeze %x, %axes : (tensor<?x1x3xf32>, tensor<1xi64>) -> tensor<?x3xf32>
    %1 = onnx.Flatten %x {axis = 1 : i64} : (tensor<?x1x3xf32>) -> tensor<?x3xf32>
    %2 = onnx.Expand %x, %shape : (tensor<?x1x3xf32>, tensor<3xi64>) -> tensor<?x4x3xf32>
    return %0, %1, %2 : tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x4x3xf32>
  })",
        {randomFloats({2, 1, 3})}, 0);
}

TEST_F(Shapes, ConstantOfShape) {
  check(R"(func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %s = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
    %0 = onnx.ConstantOfShape %s, dense<3.0> : tensor<1xf32> : (tensor<2xi64>) -> tensor<?x2xf32>
    return %0 : tensor<?x2xf32>
  })",
        {randomFloats({7, 2})}, 0);
}

TEST_F(Shapes, EmptyTensors) {
  check(R"(func.func @f(%x: tensor<?x4xf32>) -> tensor<?x2x2xf32> {
    %s = onnx.Constant dense<[0, 2, 2]> : tensor<3xi64>
    %0 = onnx.Exp %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
    %1 = onnx.Reshape %0, %s : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x2x2xf32>
    return %1 : tensor<?x2x2xf32>
  })",
        {floats({0, 4}, {})}, 0);
}

} // namespace
