//===- EvaluatorTest.cpp - What no node case of ONNX covers ---------------===//
//
// The qopt dialect, queries that see no key, and operands that must be refused.
//
//===----------------------------------------------------------------------===//
#include "Parse.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

struct Evaluator : testing::Test {
  test::Ir ir;
  OwningOpRef<ModuleOp> module;

  /// Runs the only function of `source`.
  FailureOr<std::vector<Tensor>> run(StringRef source, ArrayRef<Tensor> inputs) {
    module = parseSourceString<ModuleOp>(source, &ir.context);
    if (!module) {
      ADD_FAILURE() << ir.diagnostics;
      return failure();
    }
    return evaluate(*module->getOps<func::FuncOp>().begin(), inputs);
  }

  Tensor floats(ArrayRef<int64_t> shape, std::vector<double> values) {
    return {RankedTensorType::get(shape, Float32Type::get(&ir.context)), std::move(values), {}};
  }
  Tensor ints(ArrayRef<int64_t> shape, std::vector<int64_t> values, unsigned width = 64) {
    return {RankedTensorType::get(shape, IntegerType::get(&ir.context, width)), {}, std::move(values)};
  }
};

TEST_F(Evaluator, TakesShapesFromTheOperands) {
  auto results = run(R"(func.func @f(%x: tensor<?x?xf32>) -> tensor<?xf32> {
    %shape = onnx.Constant dense<-1> : tensor<1xi64>
    %y = onnx.Reshape %x, %shape : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<?xf32>
    return %y : tensor<?xf32>
  })",
                     {floats({2, 3}, {1, 2, 3, 4, 5, 6})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].type.getShape(), ElementsAre(6));
}

// One query head, two keys; nothing is visible to the first query of batch 0.
TEST_F(Evaluator, AttentionWithoutKeysGivesTheMean) {
  auto results = run(R"(func.func @f(%x: tensor<1x2x1xf32>, %m: tensor<1x1x1x2xi1>) -> tensor<1x2x1xf32> {
    %y = onnx.Attention %x, %x, %x mask(%m) {is_causal = 1 : i64, q_num_heads = 1 : i64, kv_num_heads = 1 : i64}
      : (tensor<1x2x1xf32>, tensor<1x2x1xf32>, tensor<1x2x1xf32>, tensor<1x1x1x2xi1>) -> tensor<1x2x1xf32>
    return %y : tensor<1x2x1xf32>
  })",
                     {floats({1, 2, 1}, {1, 5}), ints({1, 1, 1, 2}, {0, 1}, 1)});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].floats, ElementsAre(3, 5));
}

TEST_F(Evaluator, QuantizesPerToken) {
  auto results = run(R"(func.func @f(%x: tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?xf32>) {
    %c, %s = qopt.dynamic_quantize %x : (tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?xf32>)
    return %c, %s : tensor<?x3xi8>, tensor<?xf32>
  })",
                     {floats({2, 3}, {-2, 1, 0.5, 0, 0, 0})});
  ASSERT_TRUE(succeeded(results));
  // 63.5 goes to the even 64, a row of zeros has scale 0.
  EXPECT_THAT((*results)[0].ints, ElementsAre(-127, 64, 32, 0, 0, 0));
  EXPECT_THAT((*results)[1].floats, ElementsAre(static_cast<float>(2.0f / 127.0f), 0));
}

TEST_F(Evaluator, SplitsOutlierColumns) {
  auto results = run(R"(func.func @f(%x: tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?xf32>, tensor<3xi32>) {
    %c, %s, %o = qopt.split_columns %x {threshold = 6.0 : f32} : (tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?xf32>, tensor<3xi32>)
    return %c, %s, %o : tensor<?x3xi8>, tensor<?xf32>, tensor<3xi32>
  })",
                     {floats({2, 3}, {1, 8, 0.5, 2, 4, -1})});
  ASSERT_TRUE(succeeded(results));
  // Row 1 keeps 4 in its absmax although its column is cleared.
  EXPECT_THAT((*results)[0].ints, ElementsAre(127, 0, 64, 64, 0, -32));
  EXPECT_THAT((*results)[1].floats, ElementsAre(1.0f / 127.0f, 4.0f / 127.0f));
  EXPECT_THAT((*results)[2].ints, ElementsAre(1, -1, -1));
}

TEST_F(Evaluator, MultipliesIntegersWithOutliers) {
  auto results = run(
      R"(func.func @f(%c: tensor<?x2xi8>, %s: tensor<?xf32>, %x: tensor<?x2xf32>, %o: tensor<2xi32>) -> tensor<?x1xf32> {
    %w = onnx.Constant dense<[[3, -4]]> : tensor<1x2xi8>
    %ws = onnx.Constant dense<0.5> : tensor<1xf32>
    %y = qopt.matmul_w8a8 %c, %s, %w, %ws outliers(%x) columns(%o)
      : (tensor<?x2xi8>, tensor<?xf32>, tensor<1x2xi8>, tensor<1xf32>, tensor<?x2xf32>, tensor<2xi32>) -> tensor<?x1xf32>
    return %y : tensor<?x1xf32>
  })",
      {ints({1, 2}, {10, 0}, 8), floats({1}, {0.25}), floats({1, 2}, {2.5, 8}), ints({2}, {1, -1}, 32)});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].floats, ElementsAre(0.25 * 0.5 * 30 + 8 * 0.5 * -4));
}

TEST_F(Evaluator, SplitsAtGivenColumns) {
  auto results =
      run(R"(func.func @f(%x: tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?xf32>, tensor<?x2xf32>, tensor<?x1xf32>) {
    %w = onnx.Constant dense<[[7, 2, 7]]> : tensor<1x3xi8>
    %ws = onnx.Constant dense<0.5> : tensor<1xf32>
    %k = onnx.Constant dense<[[0.25, -3.0]]> : tensor<1x2xf16>
    %c, %s, %o = qopt.split_columns_at %x {columns = array<i32: 0, 2>} : (tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?xf32>, tensor<?x2xf32>)
    %y = qopt.matmul_w8a8 %c, %s, %w, %ws outliers(%o) weights(%k)
      : (tensor<?x3xi8>, tensor<?xf32>, tensor<1x3xi8>, tensor<1xf32>, tensor<?x2xf32>, tensor<1x2xf16>) -> tensor<?x1xf32>
    return %c, %s, %o, %y : tensor<?x3xi8>, tensor<?xf32>, tensor<?x2xf32>, tensor<?x1xf32>
  })",
          {floats({2, 3}, {1, 254, 0.5, 2, 0, -1})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].ints, ElementsAre(0, 127, 0, 0, 0, 0));
  EXPECT_THAT((*results)[1].floats, ElementsAre(2, 0));
  EXPECT_THAT((*results)[2].floats, ElementsAre(1, 0.5, 2, -1));
  EXPECT_THAT((*results)[3].floats, ElementsAre(2 * 0.5 * 127 * 2 + 0.25 - 1.5, 0.5 + 3));
}

TEST_F(Evaluator, ReplacesColumns) {
  auto results = run(R"(func.func @f(%w: tensor<2x3xf32>, %k: tensor<2x2xf32>) -> tensor<2x3xf32> {
    %r = qopt.replace_columns %w, %k {columns = array<i32: 0, 2>} : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x3xf32>
    return %r : tensor<2x3xf32>
  })",
                     {floats({2, 3}, {1, 2, 3, 4, 5, 6}), floats({2, 2}, {10, 20, 30, 40})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].floats, ElementsAre(10, 2, 20, 30, 5, 40));
}

TEST_F(Evaluator, UnpacksGroupsOfFourBits) {
  // Bytes 0x21 and 0x0F: codes 1, 2 and 15 (then padding); groups of 2.
  auto results = run(R"(func.func @f(%x: tensor<?x3xf32>) -> (tensor<?x1xf32>, tensor<1x3xf32>) {
    %w = onnx.Constant dense<[[33, 15]]> : tensor<1x2xi8>
    %s = onnx.Constant dense<[[0.5, 2.0]]> : tensor<1x2xf16>
    %z = onnx.Constant dense<[[1, 5]]> : tensor<1x2xi8>
    %y = qopt.matmul_w4a16 %x, %w, %s, %z {group_size = 2 : i64} : (tensor<?x3xf32>, tensor<1x2xi8>, tensor<1x2xf16>, tensor<1x2xi8>) -> tensor<?x1xf32>
    %d = qopt.dequantize %w, %s {columns = 3, group_size = 2} : (tensor<1x2xi8>, tensor<1x2xf16>) -> tensor<1x3xf32>
    return %y, %d : tensor<?x1xf32>, tensor<1x3xf32>
  })",
                     {floats({1, 3}, {1, 10, 100})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].floats, ElementsAre(0.5 * 10 + 100 * 2.0 * 10));
  EXPECT_THAT((*results)[1].floats, ElementsAre(-3.5, -3, 14));
}

// Activations 1, -2, 4 in groups of 2 and 1: codes 64, -127 and 127, each of its own scale.
TEST_F(Evaluator, MultipliesIntegersByGroups) {
  auto results = run(R"(func.func @f(%x: tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?x2xf32>, tensor<?x1xf32>) {
    %w = onnx.Constant dense<[[33, 15]]> : tensor<1x2xi8>
    %ws = onnx.Constant dense<[[0.5, 2.0]]> : tensor<1x2xf16>
    %z = onnx.Constant dense<[[1, 5]]> : tensor<1x2xi8>
    %c, %s = qopt.dynamic_quantize %x {group_size = 2} : (tensor<?x3xf32>) -> (tensor<?x3xi8>, tensor<?x2xf32>)
    %y = qopt.matmul_w4a8 %c, %s, %w, %ws, %z {group_size = 2, x_group_size = 2} : (tensor<?x3xi8>, tensor<?x2xf32>, tensor<1x2xi8>, tensor<1x2xf16>, tensor<1x2xi8>) -> tensor<?x1xf32>
    return %c, %s, %y : tensor<?x3xi8>, tensor<?x2xf32>, tensor<?x1xf32>
  })",
                     {floats({1, 3}, {1, -2, 4})});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].ints, ElementsAre(64, -127, 127));
  float first = 2.0f / 127, second = 4.0f / 127;
  EXPECT_THAT((*results)[1].floats, ElementsAre(first, second));
  EXPECT_THAT((*results)[2].floats, ElementsAre(std::fma(second * 1270, 2.0f, first * -127 * 0.5f)));
}

TEST_F(Evaluator, RefusesIndicesOutside) {
  EXPECT_TRUE(failed(run(R"(func.func @f(%x: tensor<2xf32>, %i: tensor<1xi64>) -> tensor<1xf32> {
    %y = onnx.Gather %x, %i : (tensor<2xf32>, tensor<1xi64>) -> tensor<1xf32>
    return %y : tensor<1xf32>
  })",
                         {floats({2}, {1, 2}), ints({1}, {2})})));
  EXPECT_THAT(ir.diagnostics, HasSubstr("expected indices in [-2, 1] but got 2"));
}

TEST_F(Evaluator, RefusesToDivideIntegersByZero) {
  EXPECT_TRUE(failed(run(R"(func.func @f(%x: tensor<1xi64>, %y: tensor<1xi64>) -> tensor<1xi64> {
    %z = onnx.Div %x, %y : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
    return %z : tensor<1xi64>
  })",
                         {ints({1}, {1}), ints({1}, {0})})));
  EXPECT_THAT(ir.diagnostics, HasSubstr("cannot divide by 0"));
}

TEST_F(Evaluator, RefusesHugeResults) {
  EXPECT_TRUE(failed(run(R"(func.func @f(%shape: tensor<2xi64>) -> tensor<?x?xf32> {
    %y = onnx.ConstantOfShape %shape, dense<0.0> : tensor<1xf32> : (tensor<2xi64>) -> tensor<?x?xf32>
    return %y : tensor<?x?xf32>
  })",
                         {ints({2}, {1 << 20, 1 << 20})})));
  EXPECT_THAT(ir.diagnostics, HasSubstr("expected at most"));
}

TEST_F(Evaluator, RefusesOperatorsOfOtherDialects) {
  EXPECT_TRUE(failed(run(R"(func.func @f(%x: tensor<2xf32>) -> tensor<2xf32> {
    %y = "test.unknown"(%x) : (tensor<2xf32>) -> tensor<2xf32>
    return %y : tensor<2xf32>
  })",
                         {floats({2}, {1, 2})})));
}

TEST_F(Evaluator, ReadsEveryKindOfConstant) {
  auto results = run(R"(func.func @f() -> (tensor<2xbf16>, tensor<2xi1>, tensor<3xui8>) {
    %a = onnx.Constant dense_resource<r> : tensor<2xbf16>
    %b = onnx.Constant dense<[true, false]> : tensor<2xi1>
    %c = onnx.Constant dense<200> : tensor<3xui8>
    return %a, %b, %c : tensor<2xbf16>, tensor<2xi1>, tensor<3xui8>
  }
  {-# dialect_resources: { builtin: { r: "0x02000000803F40C0" } } #-})",
                     {});
  ASSERT_TRUE(succeeded(results));
  EXPECT_THAT((*results)[0].floats, ElementsAre(1, -3));
  EXPECT_THAT((*results)[1].ints, ElementsAre(1, 0));
  EXPECT_THAT((*results)[2].ints, ElementsAre(200, 200, 200));
}

TEST_F(Evaluator, RefusesResourcesOfTheWrongSize) {
  EXPECT_TRUE(failed(run(R"(func.func @f() -> tensor<3xf32> {
    %a = onnx.Constant dense_resource<r> : tensor<3xf32>
    return %a : tensor<3xf32>
  }
  {-# dialect_resources: { builtin: { r: "0x040000000000803F" } } #-})",
                         {})));
}

} // namespace
