//===- StagesTest.cpp - A function cut at its observed values -------------===//
#include "qopt/Calibration/Stages.h"
#include "ParseModule.h"

using namespace mlir;
using namespace qopt;

namespace {

using Stages = test::Fixture;

/// Two equal layers y = x + relu(x W) V, a head behind them.
const char *const kTwoLayers = R"(
func.func @f(%x0: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %w0 = onnx.Constant dense<1.0> : tensor<32x64xf32>
  %v0 = onnx.Constant dense<2.0> : tensor<64x32xf32>
  %w1 = onnx.Constant dense<3.0> : tensor<32x64xf32>
  %v1 = onnx.Constant dense<4.0> : tensor<64x32xf32>
  %h = onnx.Constant dense<5.0> : tensor<32x32xf32>
  %a0 = qopt.observe %x0 "w0" ["hessian"] : tensor<?x32xf32>
  %b0 = onnx.MatMul %a0, %w0 {qopt.layer = "w0"} : (tensor<?x32xf32>, tensor<32x64xf32>) -> tensor<?x64xf32>
  %c0 = onnx.Relu %b0 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %d0 = qopt.observe %c0 "v0" ["hessian"] : tensor<?x64xf32>
  %e0 = onnx.MatMul %d0, %v0 {qopt.layer = "v0"} : (tensor<?x64xf32>, tensor<64x32xf32>) -> tensor<?x32xf32>
  %x1 = onnx.Add %x0, %e0 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  %a1 = qopt.observe %x1 "w1" ["hessian"] : tensor<?x32xf32>
  %b1 = onnx.MatMul %a1, %w1 {qopt.layer = "w1"} : (tensor<?x32xf32>, tensor<32x64xf32>) -> tensor<?x64xf32>
  %c1 = onnx.Relu %b1 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %d1 = qopt.observe %c1 "v1" ["hessian"] : tensor<?x64xf32>
  %e1 = onnx.MatMul %d1, %v1 {qopt.layer = "v1"} : (tensor<?x64xf32>, tensor<64x32xf32>) -> tensor<?x32xf32>
  %x2 = onnx.Add %x1, %e1 : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  %y = onnx.MatMul %x2, %h {qopt.layer = "lm_head"} : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
})";

TEST_F(Stages, sharesTheCodeOfEqualLayers) {
  FailureOr<StagePlan> plan = outlineStages(parse(kTwoLayers));
  ASSERT_TRUE(succeeded(plan));
  ASSERT_EQ(plan->stages.size(), 4u);
  EXPECT_EQ(plan->stages[0].function, ""); // the argument itself is observed
  EXPECT_EQ(plan->stages[1].function, plan->stages[3].function);
  EXPECT_NE(plan->stages[1].function, plan->stages[2].function);
  EXPECT_EQ(plan->numDistinct, 2);
  EXPECT_TRUE(succeeded(plan->module->verify()));
}

TEST_F(Stages, carriesWhatIsAlive) {
  auto function = parse(kTwoLayers);
  FailureOr<StagePlan> plan = outlineStages(function);
  ASSERT_TRUE(succeeded(plan));
  Value x0 = function.getArgument(0);
  const Stage &last = plan->stages[2];
  ObserveOp before = plan->stages[1].observe, here = plan->stages[2].observe;
  EXPECT_EQ(last.inputs, (SmallVector<Value>{before.getResult(), x0}));
  EXPECT_EQ(last.outputs, (SmallVector<Value>{here.getInput()}));
  EXPECT_TRUE(llvm::is_contained(last.lastUses, x0));
  EXPECT_TRUE(llvm::is_contained(last.lastUses, before.getResult()));
  EXPECT_TRUE(llvm::is_contained(last.lastUses, here.getInput())); // lives on as the observer
}

TEST_F(Stages, takesWeightsAsArguments) {
  FailureOr<StagePlan> plan = outlineStages(parse(kTwoLayers));
  ASSERT_TRUE(succeeded(plan));
  ASSERT_EQ(plan->stages[1].weights.size(), 1u);
  ASSERT_EQ(plan->stages[3].weights.size(), 1u);
  EXPECT_EQ(plan->stages[1].weights[0].linear->name, "w0");
  EXPECT_EQ(plan->stages[3].weights[0].linear->name, "w1");
  EXPECT_NE(plan->stages[1].weights[0].value, plan->stages[3].weights[0].value);
}

TEST_F(Stages, computesNothingBehindTheLastObserver) {
  FailureOr<StagePlan> plan = outlineStages(parse(kTwoLayers));
  ASSERT_TRUE(succeeded(plan));
  for (const Stage &stage : plan->stages)
    for (const StageWeights &weights : stage.weights)
      EXPECT_NE(weights.linear->name, "lm_head");
}

TEST_F(Stages, keepsSmallConstantsInTheCode) {
  FailureOr<StagePlan> plan = outlineStages(parse(R"(
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x2x2xf32> {
  %shape = onnx.Constant dense<[-1, 2, 2]> : tensor<3xi64>
  %0 = onnx.Reshape %x, %shape : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x2x2xf32>
  %1 = qopt.observe %0 "a" ["absmax"] : tensor<?x2x2xf32>
  return %1 : tensor<?x2x2xf32>
})"));
  ASSERT_TRUE(succeeded(plan));
  EXPECT_TRUE(plan->stages[0].weights.empty());
  EXPECT_EQ(plan->stages[0].inputs.size(), 1u);
}

TEST_F(Stages, lendsAConstantTwiceWhereOnlyOneUseIsALinear) {
  FailureOr<StagePlan> plan = outlineStages(parse(R"(
func.func @f(%x: tensor<?x5xf32>) -> tensor<?x5xf32> {
  %w = onnx.Constant dense<1.0> : tensor<5x5xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "a"} : (tensor<?x5xf32>, tensor<5x5xf32>) -> tensor<?x5xf32>
  %1 = onnx.MatMul %0, %w : (tensor<?x5xf32>, tensor<5x5xf32>) -> tensor<?x5xf32>
  %2 = qopt.observe %1 "b" ["absmax"] : tensor<?x5xf32>
  return %2 : tensor<?x5xf32>
})"));
  ASSERT_TRUE(succeeded(plan));
  ASSERT_EQ(plan->stages[0].weights.size(), 2u);
  EXPECT_TRUE(plan->stages[0].weights[0].linear.has_value());
  EXPECT_FALSE(plan->stages[0].weights[1].linear.has_value());
}

} // namespace
