//===- ConstantsTest.cpp - Looking at constant data -----------------------===//
//
// Every form that a constant may have gives the same numbers.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Constants.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace qopt;

namespace {

class ConstantsTest : public testing::Test {
protected:
  ConstantsTest() { context.loadDialect<onnx::OnnxDialect, QoptDialect>(); }

  RankedTensorType tensor(ArrayRef<int64_t> shape, Type element) { return RankedTensorType::get(shape, element); }

  template <typename T>
  ElementsAttr resource(RankedTensorType type, ArrayRef<T> values) {
    ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
    return DenseResourceElementsAttr::get(type, "w", HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64, false));
  }

  MLIRContext context;
  Builder b{&context};
};

TEST_F(ConstantsTest, ReadsFloatsOfEveryForm) {
  std::vector<float> expected = {1.5f, -2.0f, 0.25f};
  auto f32 = tensor({3}, b.getF32Type());
  EXPECT_EQ(viewConstant(DenseElementsAttr::get(f32, ArrayRef<float>(expected))).readAs<float>(), expected);
  EXPECT_EQ(viewConstant(resource<float>(f32, expected)).readAs<float>(), expected);
  uint16_t half[] = {0x3E00, 0xC000, 0x3400}, brain[] = {0x3FC0, 0xC000, 0x3E80};
  EXPECT_EQ(viewConstant(resource<uint16_t>(tensor({3}, b.getF16Type()), half)).readAs<float>(), expected);
  EXPECT_EQ(viewConstant(resource<uint16_t>(tensor({3}, b.getBF16Type()), brain)).readAs<float>(), expected);
  EXPECT_EQ(viewConstant(resource<uint16_t>(tensor({3}, b.getBF16Type()), brain)).readAs<double>(),
            (std::vector<double>{1.5, -2, 0.25}));
}

TEST_F(ConstantsTest, WritesOutSplats) {
  ConstantView view = viewConstant(DenseElementsAttr::get(tensor({2, 2}, b.getF32Type()), 3.0f));
  EXPECT_TRUE(view.isSplat);
  EXPECT_EQ(view.bytes.size(), 4u);
  EXPECT_EQ(view.readAs<float>(), std::vector<float>(4, 3.0f));
  EXPECT_EQ(view.expanded().size(), 16u);
  EXPECT_FALSE(view.viewAs<float>());
  ConstantView empty = viewConstant(DenseElementsAttr::get(tensor({0}, b.getF32Type()), ArrayRef<float>()));
  EXPECT_TRUE(empty.isComplete());
  EXPECT_EQ(empty.readAs<float>(), std::vector<float>());
}

TEST_F(ConstantsTest, ReadsIntegers) {
  int8_t bytes[] = {-1, 5};
  EXPECT_EQ(viewConstant(resource<int8_t>(tensor({2}, b.getI8Type()), bytes)).readAs<int64_t>(),
            (std::vector<int64_t>{-1, 5}));
  EXPECT_EQ(viewConstant(resource<int8_t>(tensor({2}, b.getIntegerType(8, false)), bytes)).readAs<int64_t>(),
            (std::vector<int64_t>{255, 5}));
  EXPECT_FALSE(viewConstant(resource<int8_t>(tensor({2}, b.getI8Type()), bytes)).readAs<float>());
}

TEST_F(ConstantsTest, ReadsBooleans) {
  bool values[] = {true, false, true};
  auto type = tensor({3}, b.getI1Type());
  std::vector<int64_t> expected = {1, 0, 1};
  ConstantView packed = viewConstant(DenseElementsAttr::get(type, ArrayRef<bool>(values)));
  EXPECT_EQ(packed.readAs<int64_t>(), expected);
  EXPECT_EQ(packed.expanded(), (std::vector<char>{1, 0, 1}));
  EXPECT_EQ(viewConstant(resource<bool>(type, values)).readAs<int64_t>(), expected);
  EXPECT_EQ(viewConstant(DenseElementsAttr::get(type, true)).readAs<int64_t>(), std::vector<int64_t>(3, 1));
}

TEST_F(ConstantsTest, SeesMissingData) {
  float two[] = {1, 2};
  ConstantView view = viewConstant(resource<float>(tensor({3}, b.getF32Type()), two));
  EXPECT_FALSE(view.isComplete());
  EXPECT_EQ(view.expandedBytes(), 12);
  EXPECT_FALSE(view.readAs<float>());
  EXPECT_FALSE(view.viewAs<float>());
}

TEST_F(ConstantsTest, FindsConstantsAndTheirNames) {
  OwningOpRef<ModuleOp> module(ModuleOp::create(UnknownLoc::get(&context)));
  OpBuilder builder = OpBuilder::atBlockBegin(module->getBody());
  Location loc = builder.getUnknownLoc();
  uint16_t half[] = {0x3C00};
  ElementsAttr value = resource<uint16_t>(tensor({1}, b.getF16Type()), half);
  Value constant = onnx::ConstantOp::create(builder, loc, value);
  Value parameter = ParameterOp::create(builder, loc, "named", value);
  Value cast = onnx::CastOp::create(builder, loc, tensor({1}, b.getF32Type()), constant, TypeAttr::get(b.getF32Type()));
  EXPECT_TRUE(matchConstant(constant)->name.starts_with("w"));
  EXPECT_EQ(matchConstant(parameter)->name, "named");
  EXPECT_FALSE(matchConstant(cast));
  EXPECT_FALSE(matchConstant(Value()));
  EXPECT_EQ(matchWeight(cast)->readAs<float>(), std::vector<float>{1.0f});
}

TEST_F(ConstantsTest, NamesElementTypes) {
  EXPECT_EQ(toElementType(b.getF32Type()), ElementType::F32);
  EXPECT_EQ(toElementType(b.getI1Type()), ElementType::Bool);
  EXPECT_EQ(toElementType(b.getIntegerType(8, false)), ElementType::U8);
  EXPECT_EQ(toElementType(b.getI64Type()), ElementType::I64);
  EXPECT_EQ(toElementType(b.getF64Type()), std::nullopt);
  EXPECT_EQ(toElementType(b.getIntegerType(32, false)), std::nullopt);
}

} // namespace
