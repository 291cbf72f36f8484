//===- ImportTest.cpp - What an imported model looks like -----------------===//
#include "ModelBuilder.h"
#include "qopt/Dialect/Onnx/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include <cstdio>
#include <unistd.h>

using namespace qopt;

TEST_F(ImportTest, NamesAndSymbols) {
  ModelBuilder model;
  model.graph().mutable_output(0)->Clear();
  ModelBuilder::addValue(model.graph().mutable_output(0), "y", 1, {-1, 4});
  pb::NodeProto &node = model.node("Relu", {"x"}, {"y"});
  pb::StringStringEntryProto *scope = node.add_metadata_props();
  scope->set_key("pkg.torch.onnx.name_scopes");
  scope->set_value("['', 'model', 'model.layers.0', \"model.layers.0.mlp\", 'relu']");
  std::string text = importModel(model);
  expectIn(text, "@forward(%arg0: tensor<?x4xf32> {onnx.dims = [\"N\", \"\"], onnx.name = \"x\"}) -> "
                 "(tensor<?x4xf32> {onnx.dims = [\"N\", \"\"], onnx.name = \"y\"})");
  expectIn(text, "onnx.Relu %arg0 {onnx.scope = \"model.layers.0.mlp\"}");
}

TEST_F(ImportTest, ScopeFromNamespace) {
  ModelBuilder model;
  pb::StringStringEntryProto *scope = model.node("Relu", {"x"}, {"y"}).add_metadata_props();
  scope->set_key("namespace");
  scope->set_value(": a.Llama/model: a.Model/model.norm: a.Norm/relu: aten.relu");
  expectIn(importModel(model), "{onnx.scope = \"model.norm\"}");
  scope->set_value("relu: aten.relu");
  EXPECT_EQ(importModel(model).find("onnx.scope"), std::string::npos);
}

TEST_F(ImportTest, UnsortedGraphsAreSortedAsLittleAsPossible) {
  ModelBuilder model;
  model.node("Neg", {"b"}, {"y"});
  model.node("Abs", {"x"}, {"a"});
  model.node("Relu", {"a"}, {"b"});
  std::string text = importModel(model);
  size_t abs = text.find("onnx.Abs"), relu = text.find("onnx.Relu"), neg = text.find("onnx.Neg");
  EXPECT_LT(abs, relu);
  EXPECT_LT(relu, neg);
  EXPECT_NE(neg, std::string::npos);
}

TEST_F(ImportTest, ElementsOfEveryForm) {
  ModelBuilder model;
  model.raw<float>("f", 1, {2}, {1, 2});
  pb::TensorProto &half = model.tensor("h", 10, {1});
  half.add_int32_data(0x3e00);
  pb::TensorProto &flag = model.tensor("b", 9, {3});
  for (int value : {1, 0, 1})
    flag.add_int32_data(value);
  model.tensor("i", 7, {1}).add_int64_data(-9);
  model.tensor("u", 13, {1}).add_uint64_data(~uint64_t(0));
  model.raw<uint8_t>("u8", 2, {2}, {200, 1});
  model.tensor("d", 11, {}).add_double_data(0.125);
  for (const char *name : {"f", "h", "b", "i", "u", "u8", "d"})
    ModelBuilder::addValue(model.graph().add_output(), name, 0, {});
  for (int i = 1; i < model.graph().output_size(); ++i)
    model.graph().mutable_output(i)->clear_type();
  model.node("Relu", {"x"}, {"y"});
  std::string text = importModel(model);
  expectIn(text, "dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>");
  expectIn(text, "dense<1.500000e+00> : tensor<1xf16>");
  expectIn(text, "dense<[true, false, true]> : tensor<3xi1>");
  expectIn(text, "dense<-9> : tensor<1xi64>");
  expectIn(text, "dense<18446744073709551615> : tensor<1xui64>");
  expectIn(text, "dense<[200, 1]> : tensor<2xui8>");
  expectIn(text, "dense<1.250000e-01> : tensor<f64>");
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static llvm::ArrayRef<char> weightOf(mlir::ModuleOp module) {
  llvm::ArrayRef<char> data;
  module.walk([&](onnx::ConstantOp op) {
    if (auto resource = llvm::dyn_cast<mlir::DenseResourceElementsAttr>(op.getValue()))
      data = resource.getRawHandle().getBlob()->getData();
  });
  return data;
}

TEST_F(ImportTest, UnalignedWeightsAreCopied) {
  // Names of growing length move the data through every alignment.
  for (size_t length = 1; length <= 8; ++length) {
    ModelBuilder model;
    std::vector<float> values(64);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i);
    std::string name(length, 'w');
    model.raw<float>(name, 1, {4, 16}, values);
    model.node("MatMul", {"x", name}, {"y"});
    mlir::MLIRContext context;
    std::string error;
    auto module = importOnnx(write("model.onnx", model.bytes()), context, {}, error);
    ASSERT_TRUE(module) << error;
    llvm::ArrayRef<char> data = weightOf(*module);
    ASSERT_EQ(data.size(), 256u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data.data()) % alignof(float), 0u);
    EXPECT_EQ(reinterpret_cast<const float *>(data.data())[63], 63.0f);
  }
}

/// Memory that belongs to no file, in bytes.
static int64_t anonymousMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:"))
      return std::stoll(line.substr(8)) * 1024;
  return -1;
}

TEST_F(ImportTest, WeightsStayInTheFile) {
  constexpr int64_t kRows = 1 << 14, kColumns = 1 << 12, kBytes = kRows * kColumns * 4; // 256 MiB
  ModelBuilder model;
  ModelBuilder::addValue(model.graph().add_input(), "z", 1, {1, kRows});
  pb::TensorProto &w = model.tensor("w", 1, {kRows, kColumns});
  model.node("MatMul", {"z", "w"}, {"y"});
  ImportOptions options;
  options.checkValues = false;
  auto check = [&](const std::string &path) {
    int64_t before = anonymousMemory();
    mlir::MLIRContext context;
    std::string error;
    auto module = importOnnx(path, context, options, error);
    ASSERT_TRUE(module) << error;
    EXPECT_EQ(static_cast<int64_t>(weightOf(*module).size()), kBytes);
    EXPECT_LT(anonymousMemory() - before, 32 << 20);
  };

  // External: a file of holes.
  w.set_data_location(1);
  pb::StringStringEntryProto *entry = w.add_external_data();
  entry->set_key("location");
  entry->set_value("w.bin");
  write("w.bin", "");
  ASSERT_EQ(::truncate(directory.file("w.bin").c_str(), kBytes), 0);
  check(write("external.onnx", model.bytes()));

  // Inside: the model as before, with raw_data of holes as the last field of the
  // tensor, the tensor the last of the graph, the graph the last of the model.
  pb::ModelProto shell = model.model;
  shell.clear_graph();
  pb::GraphProto graph = model.graph();
  graph.clear_initializer();
  w.clear_external_data();
  w.clear_data_location();
  auto varint = [](uint64_t value) {
    std::string text;
    for (; value >= 0x80; value >>= 7)
      text += static_cast<char>(value | 0x80);
    return text + static_cast<char>(value);
  };
  std::string tensorHead = w.SerializeAsString() + "\x4a" + varint(kBytes);
  std::string graphHead = graph.SerializeAsString() + "\x2a" + varint(tensorHead.size() + kBytes) + tensorHead;
  std::string head = shell.SerializeAsString() + "\x3a" + varint(graphHead.size() + kBytes) + graphHead;
  std::string path = write("inside.onnx", head);
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(head.size()) + kBytes), 0);
  if (head.size() % 4 == 0)
    check(path);
  else { // an aligned start: bytes that protobuf skips
    std::string doc =
        "\x32" + varint((4 - (head.size() + 2) % 4) % 4) + std::string((4 - (head.size() + 2) % 4) % 4, ' ');
    path = write("aligned.onnx", doc + head);
    ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(doc.size() + head.size()) + kBytes), 0);
    check(path);
  }
}
