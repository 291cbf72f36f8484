//===- ModelBuilder.h - Small ONNX models for tests -----------------------===//
#ifndef QOPT_TEST_UNIT_IMPORT_MODELBUILDER_H
#define QOPT_TEST_UNIT_IMPORT_MODELBUILDER_H

#include "../Support/TemporaryDirectory.h"
#include "mlir/IR/BuiltinOps.h"
#include "onnx.pb.h"
#include "qopt/Import/Import.h"
#include <gtest/gtest.h>

namespace qopt {

/// A model under construction: x is float [N, 4], y the output.
class ModelBuilder {
public:
  explicit ModelBuilder(int64_t opset = 21) {
    model.set_ir_version(10);
    model.add_opset_import()->set_version(opset);
    addValue(graph().add_input(), "x", 1, {-1, 4});
    addValue(graph().add_output(), "y", 1, {});
    graph().mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  }

  pb::GraphProto &graph() { return *model.mutable_graph(); }

  /// -1 is the symbol N.
  static void addValue(pb::ValueInfoProto *value, const std::string &name, int type, const std::vector<int64_t> &dims) {
    value->set_name(name);
    value->mutable_type()->mutable_tensor_type()->set_elem_type(type);
    auto *shape = value->mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int64_t dim : dims)
      if (dim < 0)
        shape->add_dim()->set_dim_param("N");
      else
        shape->add_dim()->set_dim_value(dim);
  }

  pb::TensorProto &tensor(const std::string &name, int type, const std::vector<int64_t> &dims) {
    pb::TensorProto *tensor = graph().add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(type);
    for (int64_t dim : dims)
      tensor->add_dims(dim);
    return *tensor;
  }

  template <typename T>
  pb::TensorProto &raw(const std::string &name, int type, const std::vector<int64_t> &dims,
                       const std::vector<T> &values) {
    pb::TensorProto &result = tensor(name, type, dims);
    result.set_raw_data(values.data(), values.size() * sizeof(T));
    return result;
  }

  pb::NodeProto &node(const std::string &op, const std::vector<std::string> &inputs,
                      const std::vector<std::string> &outputs) {
    pb::NodeProto *node = graph().add_node();
    node->set_name(op + std::to_string(graph().node_size() - 1));
    node->set_op_type(op);
    for (const std::string &input : inputs)
      node->add_input(input);
    for (const std::string &output : outputs)
      node->add_output(output);
    return *node;
  }

  template <std::same_as<int64_t> T>
  static void attribute(pb::NodeProto &node, const std::string &name, T value) {
    pb::AttributeProto *attribute = add(node, name, 2);
    attribute->set_i(value);
  }
  template <std::same_as<float> T>
  static void attribute(pb::NodeProto &node, const std::string &name, T value) {
    add(node, name, 1)->set_f(value);
  }
  static void attribute(pb::NodeProto &node, const std::string &name, std::initializer_list<int64_t> values) {
    pb::AttributeProto *attribute = add(node, name, 7);
    for (int64_t value : values)
      attribute->add_ints(value);
  }
  static pb::AttributeProto *add(pb::NodeProto &node, const std::string &name, int type) {
    pb::AttributeProto *attribute = node.add_attribute();
    attribute->set_name(name);
    attribute->set_type(type);
    return attribute;
  }

  std::string bytes() const { return model.SerializeAsString(); }

  pb::ModelProto model;
};

/// Imports files of a temporary directory.
class ImportTest : public ::testing::Test {
protected:
  std::string write(const std::string &name, const std::string &bytes) { return directory.write(name, bytes); }

  /// The text of the imported module, or "error: " and the message without the path.
  std::string importFile(const std::string &path) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    std::string error;
    auto module = importOnnx(path, context, {}, error);
    if (!module) {
      EXPECT_EQ(error.find('\n'), std::string::npos) << error;
      EXPECT_TRUE(error.starts_with(path + ": ")) << error;
      return "error: " + error.substr(std::min(error.size(), path.size() + 2));
    }
    EXPECT_EQ(error, "");
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream, mlir::OpPrintingFlags().useLocalScope());
    return text;
  }
  std::string importModel(const ModelBuilder &model) { return importFile(write("model.onnx", model.bytes())); }

  TemporaryDirectory directory;
};

/// EXPECT that `text` contains `part`.
inline void expectIn(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << "expected: " << part << "\nin: " << text;
}

} // namespace qopt

#endif // QOPT_TEST_UNIT_IMPORT_MODELBUILDER_H
