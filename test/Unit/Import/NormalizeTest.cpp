//===- NormalizeTest.cpp - Older operator sets give the newest form -------===//
#include "ModelBuilder.h"

using namespace qopt;

namespace {
class NormalizeTest : public ImportTest {};
} // namespace

TEST_F(NormalizeTest, UnsqueezeAxesBecomeAnOperand) {
  ModelBuilder model(11);
  ModelBuilder::attribute(model.node("Unsqueeze", {"x"}, {"y"}), "axes", {0, -1});
  std::string text = importModel(model);
  expectIn(text, "onnx.Constant dense<[0, -1]> : tensor<2xi64>");
  expectIn(text, "(tensor<?x4xf32>, tensor<2xi64>) -> tensor<1x?x4x1xf32>");
}

TEST_F(NormalizeTest, SqueezeWithAndWithoutAxes) {
  ModelBuilder model(12);
  ModelBuilder::attribute(model.node("Unsqueeze", {"x"}, {"a"}), "axes", {0});
  ModelBuilder::attribute(model.node("Squeeze", {"a"}, {"y"}), "axes", {0});
  expectIn(importModel(model), "(tensor<1x?x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>");

  ModelBuilder newer(13);
  newer.node("Squeeze", {"x", ""}, {"y"});
  EXPECT_EQ(importModel(newer), "error: Squeeze0 (Squeeze): requires axes, as dimension 0 is only known at run time");
}

TEST_F(NormalizeTest, SliceAttributesBecomeOperands) {
  ModelBuilder model(9);
  pb::NodeProto &slice = model.node("Slice", {"x"}, {"y"});
  ModelBuilder::attribute(slice, "starts", {1});
  ModelBuilder::attribute(slice, "ends", {3});
  ModelBuilder::attribute(slice, "axes", {1});
  expectIn(importModel(model), "-> tensor<?x2xf32>");
}

TEST_F(NormalizeTest, SplitSizesAndCounts) {
  ModelBuilder sizes(11);
  ModelBuilder::attribute(sizes.node("Split", {"x"}, {"a", "y"}), "split", {1, 3});
  ModelBuilder::attribute(*sizes.graph().mutable_node(0), "axis", int64_t(1));
  expectIn(importModel(sizes), "-> (tensor<?x1xf32>, tensor<?x3xf32>)");

  ModelBuilder equal(13);
  ModelBuilder::attribute(equal.node("Split", {"x"}, {"a", "y"}), "axis", int64_t(1));
  expectIn(importModel(equal), "num_outputs = 2 : i64} : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>)");

  ModelBuilder wrong(18);
  ModelBuilder::attribute(wrong.node("Split", {"x"}, {"a", "y"}), "num_outputs", int64_t(3));
  EXPECT_EQ(importModel(wrong), "error: Split0 (Split): num_outputs is 3 but the node has 2 outputs");
}

TEST_F(NormalizeTest, ReductionAxesBecomeAnOperand) {
  for (const char *op : {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"}) {
    ModelBuilder model(11);
    ModelBuilder::attribute(model.node(op, {"x"}, {"y"}), "axes", {1});
    ModelBuilder::attribute(*model.graph().mutable_node(0), "keepdims", int64_t(0));
    expectIn(importModel(model), "(tensor<?x4xf32>, tensor<1xi64>) -> tensor<?xf32>");
  }
  // Since 18 (ReduceSum: 13) the attribute does not exist.
  ModelBuilder newer(18);
  ModelBuilder::attribute(newer.node("ReduceMean", {"x"}, {"y"}), "axes", {1});
  EXPECT_EQ(importModel(newer), "error: ReduceMean0 (ReduceMean): attribute axes is not supported");
}

TEST_F(NormalizeTest, OldSoftmaxFlattens) {
  ModelBuilder model(11);
  ModelBuilder::addValue(model.graph().add_input(), "z", 1, {2, 3, 5});
  model.node("Softmax", {"z"}, {"y"}); // axis 1
  std::string text = importModel(model);
  expectIn(text, "onnx.Flatten %arg1 : (tensor<2x3x5xf32>) -> tensor<2x15xf32>");
  expectIn(text, "onnx.Reshape");
  expectIn(text, "-> tensor<2x3x5xf32>");

  ModelBuilder last(11);
  last.node("Softmax", {"x"}, {"y"}); // axis 1 of a matrix is its last
  EXPECT_EQ(importModel(last).find("onnx.Flatten"), std::string::npos);

  ModelBuilder newer(13);
  ModelBuilder::addValue(newer.graph().add_input(), "z", 1, {2, 3, 5});
  newer.node("Softmax", {"z"}, {"y"});
  EXPECT_EQ(importModel(newer).find("onnx.Flatten"), std::string::npos);
}

TEST_F(NormalizeTest, ClipLimitsBecomeOperands) {
  ModelBuilder model(6 + 1);
  ModelBuilder::attribute(model.node("Clip", {"x"}, {"y"}), "max", 2.0f);
  std::string text = importModel(model);
  expectIn(text, "onnx.Clip %arg0 max(%0)");
  expectIn(text, "dense<2.000000e+00> : tensor<f32>");
}

TEST_F(NormalizeTest, TransposeDefaultReverses) {
  ModelBuilder model;
  model.node("Transpose", {"x"}, {"y"});
  expectIn(importModel(model), "perm = array<i64: 1, 0>} : (tensor<?x4xf32>) -> tensor<4x?xf32>");
}

TEST_F(NormalizeTest, IdentityAndDropoutPassThrough) {
  ModelBuilder model(12);
  model.node("Identity", {"x"}, {"a"});
  ModelBuilder::attribute(model.node("Dropout", {"a"}, {"b", "mask"}), "seed", int64_t(1));
  model.node("Relu", {"b"}, {"y"});
  expectIn(importModel(model), "onnx.Relu %arg0 :");
  // The mask keeps everything.
  ModelBuilder masked(12);
  masked.node("Dropout", {"x"}, {"b", "mask"});
  ModelBuilder::attribute(masked.node("Cast", {"mask"}, {"y"}), "to", int64_t(1));
  expectIn(importModel(masked), "dense<true>");
}

TEST_F(NormalizeTest, ConstantsOfEveryForm) {
  ModelBuilder model;
  ModelBuilder::attribute(model.node("Constant", {}, {"i"}), "value_int", int64_t(7));
  ModelBuilder::attribute(model.node("Constant", {}, {"f"}), "value_float", 0.5f);
  ModelBuilder::attribute(model.node("Constant", {}, {"is"}), "value_ints", {-1, 2});
  pb::AttributeProto *floats = ModelBuilder::add(model.node("Constant", {}, {"fs"}), "value_floats", 6);
  floats->add_floats(1.5f);
  pb::TensorProto *value = ModelBuilder::add(model.node("Constant", {}, {"t"}), "value", 4)->mutable_t();
  value->set_data_type(1);
  value->add_float_data(0.25f);
  model.node("Reshape", {"x", "is"}, {"a"});
  model.node("Mul", {"a", "f"}, {"b"});
  model.node("Mul", {"b", "t"}, {"c"});
  model.node("Mul", {"c", "fs"}, {"y"});
  std::string text = importModel(model);
  expectIn(text, "dense<5.000000e-01> : tensor<f32>");
  expectIn(text, "dense<[-1, 2]> : tensor<2xi64>");
  expectIn(text, "dense<1.500000e+00> : tensor<1xf32>");
  expectIn(text, "dense<2.500000e-01> : tensor<f32>");
  EXPECT_EQ(text.find("dense<7>"), std::string::npos) << "a constant without users stays";

  ModelBuilder strings;
  ModelBuilder::add(strings.node("Constant", {}, {"y"}), "value_string", 3)->set_s("a");
  EXPECT_EQ(importModel(strings), "error: Constant0 (Constant): attribute value_string is not supported");
}

TEST_F(NormalizeTest, CastsNameTheirType) {
  ModelBuilder model;
  ModelBuilder::attribute(model.node("Cast", {"x"}, {"a"}), "to", int64_t(10));
  model.node("CastLike", {"a", "x"}, {"y"});
  std::string text = importModel(model);
  expectIn(text, "onnx.Cast %arg0 {to = f16}");
  expectIn(text, "{to = f32} : (tensor<?x4xf16>) -> tensor<?x4xf32>");

  ModelBuilder unknown;
  ModelBuilder::attribute(unknown.node("Cast", {"x"}, {"y"}), "to", int64_t(99));
  EXPECT_EQ(importModel(unknown), "error: Cast0 (Cast): element type 99 is not supported");
}

TEST_F(NormalizeTest, OperatorsExistSinceTheirSet) {
  ModelBuilder model(22);
  model.raw<float>("w", 1, {4}, {1, 1, 1, 1});
  model.node("RMSNormalization", {"x", "w"}, {"y"});
  EXPECT_EQ(importModel(model), "error: RMSNormalization0 (RMSNormalization): exists since operator set 23 but the "
                                "model imports 22");
}

TEST_F(NormalizeTest, AttentionHasItsOptionalParts) {
  ModelBuilder model(23);
  for (const char *name : {"q", "k", "v", "pk", "pv"})
    ModelBuilder::addValue(model.graph().add_input(), name, 1, {1, name[0] == 'q' ? 4 : 2, -1, 8});
  pb::NodeProto &attention = model.node("Attention", {"q", "k", "v", "", "pk", "pv"}, {"y", "present"});
  ModelBuilder::attribute(attention, "is_causal", int64_t(1));
  expectIn(importModel(model), "past_key(%arg4) past_value(%arg5) {is_causal = 1 : i64}");
}

TEST_F(NormalizeTest, ContribOperatorsBecomeStandardOnes) {
  ModelBuilder model;
  pb::OperatorSetIdProto *microsoft = model.model.add_opset_import();
  microsoft->set_domain("com.microsoft");
  microsoft->set_version(1);
  model.raw<float>("g", 1, {4}, {1, 1, 1, 1});
  model.raw<float>("w", 1, {8, 4}, std::vector<float>(32, 1));
  model.node("SkipSimplifiedLayerNormalization", {"x", "x", "g"}, {"a", "", "", "sum"}).set_domain("com.microsoft");
  pb::NodeProto &product = model.node("FusedMatMul", {"a", "w"}, {"b"});
  product.set_domain("com.microsoft");
  ModelBuilder::attribute(product, "transB", int64_t(1));
  ModelBuilder::attribute(product, "alpha", 0.5f);
  model.node("QuickGelu", {"b"}, {"y"}).set_domain("com.microsoft");
  std::string text = importModel(model);
  expectIn(text, "onnx.Add %arg0, %arg0");
  expectIn(text, "onnx.RMSNormalization");
  expectIn(text, "perm = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>");
  expectIn(text, "onnx.Mul");
  expectIn(text, "onnx.Swish");
}

//===----------------------------------------------------------------------===//
// Shapes computed from shapes
//===----------------------------------------------------------------------===//

TEST_F(NormalizeTest, ComputedIntegersBecomeConstants) {
  // x[:, :8 / 4] as TorchScript writes it, with a divisor that is computed, too.
  ModelBuilder model;
  model.raw<int64_t>("eight", 7, {}, {8});
  model.raw<int64_t>("two", 7, {}, {2});
  model.node("Add", {"two", "two"}, {"four"});
  model.node("Div", {"eight", "four"}, {"half"});
  model.raw<int64_t>("zero", 7, {1}, {0});
  model.node("Unsqueeze", {"half", "zero"}, {"end"});
  model.raw<int64_t>("axis", 7, {1}, {1});
  model.node("Slice", {"x", "zero", "end", "axis"}, {"y"});
  std::string text = importModel(model);
  expectIn(text, "dense<2> : tensor<1xi64>");
  expectIn(text, "-> tensor<?x2xf32>");
  EXPECT_EQ(text.find("onnx.Div"), std::string::npos) << "dead integers stay";
}
