//===- SamplesTest.cpp - Token windows as a function's inputs -------------===//
#include "qopt/Calibration/Samples.h"
#include "ParseModule.h"

using namespace qopt;

namespace {

using Samples = test::Fixture;
using Windows = std::vector<std::vector<int32_t>>;

template <typename T>
std::vector<T> values(const qrt::Tensor &tensor) {
  return {tensor.data<T>(), tensor.data<T>() + tensor.numElements()};
}

TEST_F(Samples, fillsShorterWindowsOnTheRight) {
  auto function = parse(R"(func.func @f(%a: tensor<?x?xi64> {onnx.name = "tokens", qopt.role = #qopt.role<token_ids>},
      %b: tensor<?x?xi32> {qopt.role = #qopt.role<attention_mask>}, %c: tensor<?x?xi64> {qopt.role = #qopt.role<position_ids>},
      %d: tensor<?x2x?x4xf32> {qopt.role = #qopt.role<past_key>}) { return })");
  Result<std::vector<SampleBatch>> batches = makeBatches(function, Windows{{5, 6, 7}, {8}, {9, 10}}, 2);
  ASSERT_TRUE(bool(batches)) << batches.error().message;
  ASSERT_EQ(batches->size(), 2u);
  const SampleBatch &first = (*batches)[0], &second = (*batches)[1];
  EXPECT_EQ(first.positions, 6);
  EXPECT_EQ(first.tokens, 4);
  EXPECT_EQ(first.mask, (std::vector<uint8_t>{1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(values<int64_t>(first.inputs[0]), (std::vector<int64_t>{5, 6, 7, 8, 0, 0}));
  EXPECT_EQ(values<int32_t>(first.inputs[1]), (std::vector<int32_t>{1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(values<int64_t>(first.inputs[2]), (std::vector<int64_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(first.inputs[3].dims(), (std::vector<int64_t>{2, 2, 0, 4}));
  EXPECT_TRUE(second.mask.empty());
  EXPECT_EQ(second.inputs[0].dims(), (std::vector<int64_t>{1, 2}));
}

TEST_F(Samples, keepsToTheShapeThatTheModelPrescribes) {
  auto function = parse("func.func @f(%a: tensor<2x4xi64> {qopt.role = #qopt.role<token_ids>}) { return }");
  Result<std::vector<SampleBatch>> batches = makeBatches(function, Windows{{1, 2, 3}, {4}, {5, 6, 7, 8}}, 8);
  ASSERT_TRUE(bool(batches));
  ASSERT_EQ(batches->size(), 2u);
  EXPECT_EQ((*batches)[1].mask, (std::vector<uint8_t>{1, 1, 1, 1, 0, 0, 0, 0}));
  Result<std::vector<SampleBatch>> tooLong = makeBatches(function, Windows{{1, 2, 3, 4, 5}}, 8);
  ASSERT_FALSE(bool(tooLong));
  EXPECT_EQ(tooLong.error().message, "a calibration window of 5 tokens is longer than the model's 4");
}

TEST_F(Samples, rejectsWhatItCannotUse) {
  auto function = parse("func.func @f(%a: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>}) { return }");
  Result<std::vector<SampleBatch>> none = makeBatches(function, Windows{}, 8),
                                   empty = makeBatches(function, Windows{{}}, 8);
  ASSERT_FALSE(bool(none));
  EXPECT_EQ(none.error().message, "requires calibration data");
  ASSERT_FALSE(bool(empty));
  EXPECT_EQ(empty.error().message, "calibration window 0 is empty");
  auto pixels = parse(R"(func.func @f(%a: tensor<?x3x8x8xf32> {onnx.name = "pixels"}) { return })");
  Result<std::vector<SampleBatch>> other = makeBatches(pixels, Windows{{1}}, 8);
  ASSERT_FALSE(bool(other));
  EXPECT_EQ(other.error().message, "no calibration values can be made for input \"pixels\" (argument 0, role other)");
}

} // namespace
