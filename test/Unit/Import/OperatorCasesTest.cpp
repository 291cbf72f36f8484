//===- OperatorCasesTest.cpp - Operators that are written as others -------===//
//
// What the importer makes of a node computes what onnxruntime does: the cases of
// test/Inputs/operator-cases and test/Inputs/stored-cases, evaluated.
//
//===----------------------------------------------------------------------===//
#include "ModelBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Reference/Evaluator.h"
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace mlir;
using namespace qopt;

namespace {

template <typename T>
void read(const std::string &bytes, auto &to) {
  for (size_t i = 0; i + sizeof(T) <= bytes.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + i, sizeof value);
    to.push_back(value);
  }
}

/// What the case gives under `name`.
reference::Tensor tensorOf(const pb::GraphProto &graph, const std::string &name, MLIRContext &context) {
  reference::Tensor result;
  for (const pb::TensorProto &tensor : graph.initializer()) {
    if (tensor.name() != name)
      continue;
    enum DataType { Float = 1, Int32 = 6, Int64 = 7 };
    Type element = Float32Type::get(&context);
    if (tensor.data_type() == Float)
      read<float>(tensor.raw_data(), result.floats);
    if (tensor.data_type() == Int32) {
      read<int32_t>(tensor.raw_data(), result.ints);
      element = IntegerType::get(&context, 32);
    }
    if (tensor.data_type() == Int64) {
      read<int64_t>(tensor.raw_data(), result.ints);
      element = IntegerType::get(&context, 64);
    }
    SmallVector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
    result.type = RankedTensorType::get(dims, element);
    EXPECT_EQ(result.numElements(), static_cast<int64_t>(result.floats.size() + result.ints.size())) << name;
    return result;
  }
  ADD_FAILURE() << "the case has no " << name;
  return result;
}

/// NaN stands for what has no meaning.
void expectClose(const reference::Tensor &want, const reference::Tensor &got, const std::string &name) {
  ASSERT_EQ(want.type, got.type) << name;
  for (int64_t i = 0; i < want.numElements(); ++i) {
    if (!want.isFloat())
      ASSERT_EQ(want.ints[i], got.ints[i]) << name << ", element " << i;
    else if (!std::isnan(want.floats[i]))
      ASSERT_NEAR(want.floats[i], got.floats[i], 1e-5 + 1e-4 * std::abs(want.floats[i])) << name << ", element " << i;
  }
}

void check(const std::filesystem::path &path) {
  SCOPED_TRACE(path.filename().string());
  std::ifstream stream(path, std::ios::binary);
  pb::ModelProto model;
  ASSERT_TRUE(model.ParseFromIstream(&stream));
  const pb::GraphProto &graph = model.graph();
  MLIRContext context(MLIRContext::Threading::DISABLED);
  std::string error;
  ImportOptions options;
  options.checkValues = false; // what means nothing is NaN
  auto module = importOnnx(path.string(), context, options, error);
  ASSERT_TRUE(module) << error;
  std::vector<reference::Tensor> inputs;
  for (const pb::ValueInfoProto &input : graph.input())
    inputs.push_back(tensorOf(graph, "in/" + input.name(), context));
  auto results = reference::evaluate(module->lookupSymbol<func::FuncOp>("forward"), inputs);
  ASSERT_TRUE(succeeded(results));
  for (int i = 0; i < graph.output_size(); ++i)
    expectClose(tensorOf(graph, "out/" + graph.output(i).name(), context), (*results)[i], graph.output(i).name());
}

} // namespace

/// Checks all cases of a folder and counts them.
static int checkAll(const char *folder) {
  int cases = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".onnx") {
      check(entry.path());
      ++cases;
    }
  return cases;
}

TEST(OperatorCases, AllAgree) { EXPECT_GE(checkAll(QOPT_TEST_INPUTS "/operator-cases"), 65); }

TEST(OperatorCases, StoredWeightsAgree) { EXPECT_GE(checkAll(QOPT_TEST_INPUTS "/stored-cases"), 46); }
