//===- ControlFlowTest.cpp - Graphs inside of nodes, calls, versions ------===//
#include "ModelBuilder.h"
#include "mlir/IR/Diagnostics.h"

using namespace qopt;

namespace {

class ControlFlowTest : public ImportTest {
protected:
  static pb::NodeProto &addNode(pb::GraphProto &graph, const std::string &op, const std::vector<std::string> &inputs,
                                const std::string &output) {
    pb::NodeProto &node = *graph.add_node();
    node.set_op_type(op);
    for (const std::string &input : inputs)
      node.add_input(input);
    node.add_output(output);
    return node;
  }
  static pb::GraphProto &graphIn(pb::NodeProto &node, const std::string &name) {
    return *ModelBuilder::add(node, name, 5)->mutable_g();
  }
  /// A graph that gives op(x).
  static void addBranch(pb::NodeProto &node, const std::string &name, const std::string &op) {
    pb::GraphProto &graph = graphIn(node, name);
    addNode(graph, op, {"x"}, "inner");
    graph.add_output()->set_name("inner");
  }
  static pb::FunctionProto &addFunction(ModelBuilder &model, const std::string &name) {
    pb::FunctionProto &function = *model.model.add_functions();
    function.set_name(name);
    function.set_domain("local");
    function.add_opset_import()->set_version(13);
    auto &import = *function.add_opset_import();
    import.set_domain("local");
    import.set_version(1);
    if (model.model.opset_import_size() == 1) {
      auto &own = *model.model.add_opset_import();
      own.set_domain("local");
      own.set_version(1);
    }
    return function;
  }
};

/// A function of one node, Softmax over `axis`, which the call gives or not.
void defineSoftmax(pb::FunctionProto &function) {
  function.add_input("in");
  function.add_output("out");
  pb::AttributeProto &fallback = *function.add_attribute_proto();
  fallback.set_name("dim");
  fallback.set_type(2);
  fallback.set_i(-1);
  pb::NodeProto &node = *function.add_node();
  node.set_op_type("Softmax");
  node.add_input("in");
  node.add_output("out");
  pb::AttributeProto &axis = *node.add_attribute();
  axis.set_name("axis");
  axis.set_type(2);
  axis.set_ref_attr_name("dim");
}

} // namespace

TEST_F(ControlFlowTest, FunctionsAreInlined) {
  ModelBuilder model;
  defineSoftmax(addFunction(model, "Normalize"));
  pb::NodeProto &given = model.node("Normalize", {"x"}, {"a"});
  given.set_domain("local");
  ModelBuilder::attribute(given, "dim", int64_t(0));
  model.node("Normalize", {"a"}, {"y"}).set_domain("local");
  std::string text = importModel(model);
  expectIn(text, "onnx.Softmax %arg0 {axis = 0 : i64}");
  expectIn(text, "onnx.Softmax %0 : ");
}

TEST_F(ControlFlowTest, FunctionsThatCallThemselvesAreRefused) {
  ModelBuilder model;
  pb::FunctionProto &function = addFunction(model, "Again");
  function.add_input("in");
  function.add_output("out");
  pb::NodeProto &node = *function.add_node();
  node.set_op_type("Again");
  node.set_domain("local");
  node.add_input("in");
  node.add_output("out");
  model.node("Again", {"x"}, {"y"}).set_domain("local");
  expectIn(importModel(model), "more than 64 graphs and calls in each other");
}

TEST_F(ControlFlowTest, ErrorsInFunctionsNameTheCall) {
  ModelBuilder model;
  pb::FunctionProto &function = addFunction(model, "Odd");
  function.add_output("out");
  pb::NodeProto &node = *function.add_node();
  node.set_op_type("Unheard");
  node.add_output("out");
  model.node("Odd", {}, {"y"}).set_domain("local");
  std::string text = importModel(model);
  expectIn(text, "error: Odd0, in function Odd: Odd0/out: operator Unheard");
  expectIn(text, "is not supported");
}

TEST_F(ControlFlowTest, ConstantsChooseABranch) {
  ModelBuilder model;
  model.raw<char>("c", 9, {}, {1});
  pb::NodeProto &choice = model.node("If", {"c"}, {"y"});
  addBranch(choice, "then_branch", "Relu");
  addBranch(choice, "else_branch", "Loop"); // is not looked at
  std::string text = importModel(model);
  expectIn(text, "onnx.Relu %arg0");
  EXPECT_EQ(text.find("Where"), std::string::npos);
}

TEST_F(ControlFlowTest, TheRunTimeChoosesAmongEqualShapes) {
  for (bool isStatic : {true, false}) {
    ModelBuilder model;
    ModelBuilder::addValue(model.graph().add_input(), "c", 9, {});
    pb::NodeProto &choice = model.node("If", {"c"}, {"y"});
    if (isStatic)
      model.graph()
          .mutable_input(0)
          ->mutable_type()
          ->mutable_tensor_type()
          ->mutable_shape()
          ->mutable_dim(0)
          ->set_dim_value(2);
    addBranch(choice, "then_branch", "Relu");
    addBranch(choice, "else_branch", "Neg");
    expectIn(importModel(model),
             isStatic ? "onnx.Where %arg1" : "error: If0 (If): which branch is taken is only known");
  }
}

TEST_F(ControlFlowTest, LoopsOfKnownLengthAreUnrolled) {
  for (bool isKnown : {true, false}) {
    ModelBuilder model;
    if (isKnown)
      model.raw<int64_t>("n", 7, {}, {3});
    else
      ModelBuilder::addValue(model.graph().add_input(), "n", 7, {});
    pb::NodeProto &loop = model.node("Loop", {"n", "", "x"}, {"y", "all"});
    pb::GraphProto &body = graphIn(loop, "body");
    for (const char *name : {"i", "go", "state"})
      body.add_input()->set_name(name);
    addNode(body, "Relu", {"state"}, "next");
    for (const char *name : {"go", "next", "i"})
      body.add_output()->set_name(name);
    std::string text = importModel(model);
    if (!isKnown) {
      expectIn(text, "error: Loop0 (Loop): is not supported: its trip count is only known at run time");
      continue;
    }
    expectIn(text, "onnx.Relu %1");
    EXPECT_EQ(text.find("onnx.Relu %3"), std::string::npos);
  }
}

TEST_F(ControlFlowTest, ScansTakeSlices) {
  ModelBuilder model;
  pb::NodeProto &scan = model.node("Scan", {"s", "x"}, {"y"});
  model.raw<float>("s", 1, {}, {0});
  ModelBuilder::attribute(scan, "num_scan_inputs", int64_t(1));
  ModelBuilder::attribute(scan, "scan_input_axes", {1});
  pb::GraphProto &body = graphIn(scan, "body");
  for (const char *name : {"sum", "column"})
    body.add_input()->set_name(name);
  addNode(body, "Add", {"sum", "column"}, "next");
  body.add_output()->set_name("next");
  std::string text = importModel(model);
  size_t adds = 0;
  for (size_t at = text.find("onnx.Add"); at != std::string::npos; at = text.find("onnx.Add", at + 1))
    ++adds;
  EXPECT_EQ(adds, 4u);
}

TEST_F(ControlFlowTest, NewerVersionsAreTakenWithAWarning) {
  ModelBuilder model(99);
  model.model.set_ir_version(77);
  model.node("Relu", {"x"}, {"y"});
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  std::vector<std::string> warnings;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    warnings.push_back(diagnostic.str());
    return mlir::success();
  });
  std::string error;
  EXPECT_TRUE(importOnnx(write("new.onnx", model.bytes()), context, {}, error)) << error;
  ASSERT_EQ(warnings.size(), 1u);
  expectIn(warnings[0], "the model is of IR version 77 (14) and operator set 99 (28), newer than");

  ModelBuilder other(99);
  other.node("Unheard", {"x"}, {"y"});
  EXPECT_FALSE(importOnnx(write("new.onnx", other.bytes()), context, {}, error));
  expectIn(error, "operator Unheard of domain \"\", operator set 99, is not supported");
}
