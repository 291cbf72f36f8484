//===- ProbeTest.cpp - Slices of graphs -----------------------------------===//
#include "qopt/Reference/Probe.h"
#include "Parse.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

constexpr const char *kSource =
    R"(func.func @f(%ids: tensor<?x?xi64>, %x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?x?xi64>) {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %a = onnx.Mul %x, %w : (tensor<?xf32>, tensor<3xf32>) -> tensor<3xf32>
  %b = onnx.Add %a, %x : (tensor<3xf32>, tensor<?xf32>) -> tensor<3xf32>
  %c = onnx.Neg %b : (tensor<3xf32>) -> tensor<?xf32>
  %s = onnx.Shape %ids : (tensor<?x?xi64>) -> tensor<2xi64>
  %t = onnx.Mul %s, %s : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %z = onnx.ConstantOfShape %t, dense<7> : tensor<1xi64> : (tensor<2xi64>) -> tensor<?x?xi64>
  return %c, %z : tensor<?xf32>, tensor<?x?xi64>
})";

struct Probe : testing::Test {
  test::Ir ir;
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kSource, &ir.context);
  func::FuncOp function = *module->getOps<func::FuncOp>().begin();

  Tensor floats(std::vector<double> values) {
    return {RankedTensorType::get(values.size(), Float32Type::get(&ir.context)), values, {}};
  }
  RankedTensorType ints(ArrayRef<int64_t> shape) {
    return RankedTensorType::get(shape, IntegerType::get(&ir.context, 64));
  }
  Value returned(unsigned i) { return function.front().getTerminator()->getOperand(i); }
};

TEST_F(Probe, SliceStartsAtGivenValues) {
  Slice slice;
  Value b = returned(0).getDefiningOp()->getOperand(0), a = b.getDefiningOp()->getOperand(0);
  slice.set(a, floats({10, 20, 30}));
  slice.set(function.getArgument(1), floats({1, 1, 1}));
  FailureOr<Tensor> result = slice.get(returned(0));
  ASSERT_TRUE(succeeded(result));
  EXPECT_THAT(result->floats, ElementsAre(-11, -21, -31));
}

TEST_F(Probe, SliceNamesAMissingInput) {
  Slice slice;
  EXPECT_TRUE(failed(slice.get(returned(0))));
  EXPECT_THAT(ir.diagnostics, HasSubstr("depends on an input that was not given"));
}

TEST_F(Probe, QuietHidesDiagnostics) {
  Quiet quiet(&ir.context);
  EXPECT_TRUE(failed(Slice().get(returned(0))));
  EXPECT_EQ(ir.diagnostics, "");
}

TEST_F(Probe, CloseIsRelativeToTheLargest) {
  EXPECT_TRUE(isClose(floats({100, 0}), floats({100, 0.1}), 1e-3));
  EXPECT_FALSE(isClose(floats({100, 0}), floats({100, 0.2}), 1e-3));
  EXPECT_FALSE(isClose(floats({100, 0}), floats({100, NAN}), 1e-3));
  EXPECT_FALSE(isClose(floats({0}), floats({0, 0}), 1e-3));
}

} // namespace
