//===- RaiseTest.cpp - A raised model computes what it did ----------------===//
//
// The embedded models, evaluated before and after raising on two rows, one of them
// padded on the left. What was not raised would be found in the operators that are
// left.
//
//===----------------------------------------------------------------------===//
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Import/Import.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Reference/Evaluator.h"

#include "gtest/gtest.h"
#include <cmath>
#include <map>
#include <set>

using namespace mlir;
using namespace qopt;
using reference::Tensor;

namespace {

struct Raise : testing::TestWithParam<const char *> {
  static void SetUpTestSuite() {
    registerQoptPasses();
    registerPipelines();
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;

  void import(const std::string &model) {
    context.loadDialect<func::FuncDialect, onnx::OnnxDialect, QoptDialect>();
    std::string error;
    module = importOnnx(QOPT_TEST_INPUTS "/" + model + "/model.onnx", context, {}, error);
    ASSERT_TRUE(module) << error;
  }

  LogicalResult raise() {
    PassManager pm(&context);
    return failed(parsePassPipeline("qopt-raise", pm)) ? failure() : pm.run(*module);
  }

  Tensor ints(std::vector<int64_t> values) {
    auto type = RankedTensorType::get({2, static_cast<int64_t>(values.size()) / 2}, IntegerType::get(&context, 64));
    return {type, {}, std::move(values)};
  }

  FailureOr<std::vector<Tensor>> run() {
    func::FuncOp function = *module->getOps<func::FuncOp>().begin();
    return reference::evaluate(function, {ints({1, 403, 407, 261, 19, 300, 7, 99, 0, 0, 0, 1, 420, 30, 267, 5}),
                                          ints({1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1})});
  }

  std::map<std::string, int> countOperators() {
    std::map<std::string, int> counts;
    module->walk([&](Operation *op) { ++counts[op->getName().getStringRef().str()]; });
    return counts;
  }
};

TEST_P(Raise, KeepsTheFunction) {
  import(GetParam());
  auto before = run();
  ASSERT_TRUE(succeeded(before));
  ASSERT_TRUE(succeeded(raise()));
  auto after = run();
  ASSERT_TRUE(succeeded(after));
  ASSERT_EQ((*before)[0].type, (*after)[0].type);
  double largest = 0;
  for (int64_t i = 0; i < (*before)[0].numElements(); ++i)
    largest = std::max(largest, std::abs((*before)[0].floats[i] - (*after)[0].floats[i]));
  // Also where a padded query sees no key. Float rounding of logits around 20.
  EXPECT_LT(largest, 1e-5 * 20);
}

TEST_P(Raise, LeavesStandardOperatorsOnly) {
  import(GetParam());
  ASSERT_TRUE(succeeded(raise()));
  std::map<std::string, int> counts = countOperators();
  int layers = counts["onnx.Attention"];
  EXPECT_GE(layers, 4);
  EXPECT_EQ(counts["onnx.RotaryEmbedding"], 2 * layers);
  EXPECT_EQ(counts["onnx.RMSNormalization"], 2 * layers + 1);
  EXPECT_EQ(counts["onnx.Swish"], layers);
  EXPECT_EQ(counts["onnx.MatMul"], 7 * layers + 1);
  EXPECT_EQ(counts["onnx.Reshape"] + counts["onnx.Transpose"] + counts["onnx.Expand"] + counts["onnx.Softmax"], 0);

  std::set<std::string> names;
  module->walk([&](onnx::MatMulOp op) {
    if (auto name = getAttr<attrs::Layer>(op))
      names.insert(name.str());
  });
  EXPECT_EQ(static_cast<int>(names.size()), 7 * layers + 1);
  EXPECT_TRUE(names.count("model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(names.count("model.layers.3.mlp.down_proj"));
  EXPECT_TRUE(names.count("lm_head"));
}

INSTANTIATE_TEST_SUITE_P(Models, Raise, testing::Values("stories260K", "tiny-llama"),
                         [](const auto &info) { return info.index == 0 ? "stories260K" : "tinyLlama"; });

} // namespace
