//===- CalibratorTest.cpp - Measure, quantize, go on ----------------------===//
//
// Codes and ranges against what lib/Numerics makes of the same numbers.
//
//===----------------------------------------------------------------------===//
#include "CalibrationModel.h"
#include "qopt/Numerics/Gptq.h"
#include "qopt/Numerics/Observers.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

namespace {

/// relu(x W), W [K, N].
Matrix<float> reluProduct(const Matrix<float> &x, const Matrix<float> &w) {
  Matrix<float> y(x.rows, w.cols);
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t n = 0; n < w.cols; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < x.cols; ++k)
        sum += double(x(t, k)) * w(k, n);
      y(t, n) = static_cast<float>(std::max(sum, 0.0));
    }
  return y;
}

GroupCodes solve(const Matrix<float> &x, const Matrix<float> &xFloat, const Matrix<float> &w, GptqOptions gptq) {
  Hessian hessian;
  accumulateHessian(hessian, x, xFloat, {}, {});
  GptqReport report;
  return *(*GptqSolver::create(std::move(hessian), gptq, {}))->quantize(transposed(w), report, {});
}

void expectCodes(func::FuncOp function, StringRef layer, const GroupCodes &expected) {
  Matrix<uint8_t> packed = packInt4(expected.codes);
  std::vector<char> codes = stored(function, layer).first;
  EXPECT_EQ(std::vector<uint8_t>(codes.begin(), codes.end()), packed.values) << layer.str();
}

/// What kGptq says, for lib/Numerics.
GptqOptions numericOptions() {
  GptqOptions gptq;
  gptq.groups.groupSize = 3;
  gptq.groups.float16Scales = true;
  return gptq;
}

TEST_F(Calibration, quantizesLaterLayersForWhatTheQuantizedOnesGive) {
  auto function = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(function)) << error;
  GptqOptions gptq = numericOptions();
  Matrix<float> x = inputs();
  GroupCodes first = solve(x, x, up, gptq);
  expectCodes(function, "up", first);
  Matrix<float> upQuantized(kMiddle, kHidden);
  dequantizeGroups(first, upQuantized);
  expectCodes(function, "down", solve(reluProduct(x, transposed(upQuantized)), reluProduct(x, up), down, gptq));
  EXPECT_TRUE(function.getOps<ObserveOp>().empty());
}

// `beside` is quantized first, so `down` makes up for it, of enough tokens.
TEST_F(Calibration, makesUpForErrorsInWhatTheOutputIsAddedTo) {
  Matrix<float> beside(kHidden, kHidden); // no integers, which four bits hold
  for (size_t i = 0; i < beside.values.size(); ++i)
    beside.values[i] = 9 * std::sin(static_cast<float>(i * i));
  for (float &weight : down.values)
    weight /= 64; // so that the errors are large beside it
  for (bool hasEnough : {false, true}) {
    if (hasEnough)
      for (int i = 0; i < 20; ++i)
        windows.push_back(windows[i]);
    func::FuncOp function = model("hessian", kGptq, &beside);
    ASSERT_TRUE(calibrate(function)) << error;
    // The same with lib/Numerics.
    GptqOptions gptq = numericOptions();
    Matrix<float> x = inputs();
    auto sums = [&](const Matrix<float> &weights) {
      Matrix<float> s = x;
      for (int64_t t = 0; t < x.rows; ++t)
        for (int64_t n = 0; n < kHidden; ++n)
          for (int64_t k = 0; k < kHidden; ++k)
            s(t, n) += x(t, k) * weights(k, n);
      return s;
    };
    auto rounded = [](const GroupCodes &codes) {
      Matrix<float> weights(codes.codes.rows, codes.codes.cols);
      dequantizeGroups(codes, weights);
      return transposed(weights);
    };
    Matrix<float> s = sums(rounded(solve(x, x, beside, gptq))), sFloat = sums(beside);
    Matrix<float> b = reluProduct(s, rounded(solve(s, sFloat, up, gptq))), bFloat = reluProduct(sFloat, up);
    Matrix<float> residual = sFloat, weights = transposed(down);
    for (size_t i = 0; i < residual.values.size(); ++i)
      residual.values[i] -= s.values[i];
    Hessian hessian;
    accumulateHessian(hessian, b, bFloat, {}, {}, {weights, residual});
    GptqReport report;
    GroupCodes with = *(*GptqSolver::create(std::move(hessian), gptq, {}))->quantize(weights, report, {});
    GroupCodes without = solve(b, bFloat, down, gptq);
    EXPECT_NE(with.codes.values, without.codes.values);
    expectCodes(function, "down", hasEnough ? with : without);
  }
}

TEST_F(Calibration, needsNoFloatModelWithoutFloatTarget) {
  auto function = model("hessian", R"(kind = "gptq-int4", groupSize = 3, floatTarget = 0.0)");
  ASSERT_TRUE(calibrate(function)) << error;
  GptqOptions gptq = numericOptions();
  gptq.floatTarget = 0;
  Matrix<float> x = inputs();
  Matrix<float> upQuantized(kMiddle, kHidden);
  dequantizeGroups(solve(x, x, up, gptq), upQuantized);
  Matrix<float> middle = reluProduct(x, transposed(upQuantized));
  expectCodes(function, "down", solve(middle, middle, down, gptq));
}

TEST_F(Calibration, dependsOnNothingButTheTokens) {
  auto expected = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(expected)) << error;
  auto expectSame = [&](const char *what) {
    auto function = model("hessian", kGptq);
    ASSERT_TRUE(calibrate(function)) << error;
    for (const char *layer : {"up", "down"})
      EXPECT_EQ(stored(function, layer), stored(expected, layer)) << what << ", " << layer;
  };
  options.batchSize = 2;
  expectSame("other batches");
  options.threads = 3;
  expectSame("threads");
  options.maxMemory = 100;
  expectSame("a temporary file");
}

TEST_F(Calibration, givesPaddingNoWeight) {
  windows[1].resize(2);
  windows[3].resize(5);
  options.batchSize = 1;
  auto alone = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(alone)) << error;
  options.batchSize = 8;
  auto padded = model("hessian", kGptq);
  ASSERT_TRUE(calibrate(padded)) << error;
  for (const char *layer : {"up", "down"})
    EXPECT_EQ(stored(padded, layer), stored(alone, layer)) << layer;
  EXPECT_EQ(reports.back().tokens, 5 * 7 - 7);
}

TEST_F(Calibration, reportsEveryLayer) {
  ASSERT_TRUE(calibrate(model("hessian", kGptq))) << error;
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].name, "up");
  EXPECT_EQ(reports[0].scheme, "gptq-int4");
  EXPECT_EQ(reports[0].outFeatures, kMiddle);
  EXPECT_EQ(reports[0].inFeatures, kHidden);
  EXPECT_EQ(reports[0].tokens, 35);
  EXPECT_GE(reports[0].bitsPerWeight, 4 + 16.0 / 3);
  EXPECT_GT(*reports[0].sqnrDb, 10);
  EXPECT_NEAR(*reports[0].damping, 0.01, 1e-12);
  EXPECT_FALSE(reports[0].fallback);
  EXPECT_TRUE(warning.empty()) << warning;
}

TEST_F(Calibration, warnsWhenTokensAreFewerThanInputs) {
  windows = {{1, 2, 3}};
  ASSERT_TRUE(calibrate(model("hessian", kGptq))) << error;
  EXPECT_EQ(warning, "only 3 calibration tokens for the 6 inputs of layer \"up\": its codes are a guess");
}

TEST_F(Calibration, saysWhichHessianDoesNotFitBeforeAnythingRuns) {
  options.freeMemory = 1000;
  auto function = model("hessian", kGptq);
  EXPECT_FALSE(calibrate(function));
  // Of K = 10 inputs: H, C - H and the factor once in double or float32 each.
  EXPECT_EQ(error,
            "'onnx.MatMul' op needs 2000 bytes for the Hessian of the 10 inputs of layer \"down\", but only 1000 "
            "bytes of memory are free");
  EXPECT_TRUE(reports.empty());
  options.freeMemory = 2000;
  EXPECT_TRUE(calibrate(function)) << error;
}

TEST_F(Calibration, findsTheRangeThatQuantizedLayersGive) {
  auto function = model("absmax", R"(kind = "int8-static", observer = absmax)");
  options.batchSize = 2;
  ASSERT_TRUE(calibrate(function)) << error;
  std::vector<float> found;
  for (ObserveOp observe : function.getOps<ObserveOp>())
    found.push_back(observe.getAbsmax()->convertToFloat());
  ASSERT_EQ(found.size(), 2u);
  Matrix<float> x = inputs();
  auto absMax = [](const Matrix<float> &m) {
    float largest = 0;
    for (float value : m.values)
      largest = std::max(largest, std::fabs(value));
    return largest;
  };
  EXPECT_EQ(found[0], absMax(x));
  for (float &value : x.values)
    value = std::nearbyint(value / (found[0] / 127)) * (found[0] / 127);
  Matrix<float> upQuantized(kMiddle, kHidden);
  dequantizeChannels(quantizeChannels(transposed(up)), upQuantized);
  EXPECT_NEAR(found[1], absMax(reluProduct(x, transposed(upQuantized))), 1e-4);
}

TEST_F(Calibration, clipsWhereTheSquaredErrorIsLeast) {
  for (int64_t token = 0; token < embedding.rows; ++token)
    for (int64_t k = 0; k < kHidden; ++k)
      embedding(token, k) = std::sin(float(3 * token + k));
  embedding(10, 0) = 10; // once among a thousand others
  windows = {std::vector<int32_t>(1000, 3), {5, 10, 7}};
  auto function = model("absmax", R"(kind = "int8-static")");
  ASSERT_TRUE(calibrate(function)) << error;
  Matrix<float> x = inputs();
  HistogramObserver expected;
  expected.observe(x);
  ObserveOp first = *function.getOps<ObserveOp>().begin();
  EXPECT_FLOAT_EQ(first.getAbsmax()->convertToFloat() / 127, expected.int8Scale());
  EXPECT_LT(first.getAbsmax()->convertToFloat(), *std::max_element(x.values.begin(), x.values.end()));
}

TEST_F(Calibration, keepsTheColumnsThatReachTheThreshold) {
  windows = {{1, 2, 3, 4}, {5, 6}};
  for (int32_t token = 0; token < kVocabulary; ++token)
    for (int64_t k = 0; k < kHidden; ++k)
      embedding(token, k) = 1 + k % 2;
  embedding(3, 1) = -6; // at the threshold
  embedding(6, 4) = 50;
  embedding(0, 5) = 50; // what the shorter window is filled up with
  options.batchSize = 2;
  func::FuncOp function = model("column-absmax", R"(kind = "llm-int8", threshold = 6.0, outliers = static)");
  ASSERT_TRUE(calibrate(function)) << error;
  SplitCodes expected = quantizeChannelsLlmInt8(transposed(up), std::vector<int64_t>{1, 4});
  bool seen = false;
  function.walk([&](ReplaceColumnsOp op) {
    if (op.getResult().getType().getDimSize(0) != up.cols)
      return;
    seen = true;
    EXPECT_EQ(op.getColumns(), ArrayRef<int32_t>({1, 4}));
    EXPECT_TRUE(op.getValues().getType().getElementType().isF16());
  });
  EXPECT_TRUE(seen);
  auto [codes, scales] = stored(function, "up");
  EXPECT_EQ(std::vector<int8_t>(codes.begin(), codes.end()), expected.rest.codes.values);
  EXPECT_EQ(reports[0].name, "up");
  EXPECT_EQ(reports[0].outlierColumns, 2);
  EXPECT_EQ(reports[0].tokens, 6);
  EXPECT_DOUBLE_EQ(reports[0].bitsPerWeight, (8 * 60 + 32 * 10 + 16 * 20) / 60.0);
  function.walk([](ObserveOp op) { ADD_FAILURE() << "left over at " << op.getName().str(); });
}

TEST_F(Calibration, keepsNoColumnBelowTheThreshold) {
  func::FuncOp function = model("column-absmax", R"(kind = "llm-int8", threshold = 1.0e+9, outliers = static)");
  ASSERT_TRUE(calibrate(function)) << error;
  function.walk([](ReplaceColumnsOp) { ADD_FAILURE(); });
  EXPECT_EQ(reports[0].outlierColumns, 0);
  auto [codes, scales] = stored(function, "up");
  EXPECT_EQ(std::vector<int8_t>(codes.begin(), codes.end()), quantizeChannelsLlmInt8(transposed(up)).codes.values);
}

TEST_F(Calibration, averagesTheRangeAsQuantoDoes) {
  auto function = model("absmax", R"(kind = "int8-static", observer = "moving-average")");
  options.batchSize = 1;
  ASSERT_TRUE(calibrate(function)) << error;
  float average = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    float largest = 0;
    for (int32_t token : windows[i])
      for (int64_t k = 0; k < kHidden; ++k)
        largest = std::max(largest, std::fabs(embedding(token, k)));
    average = i == 0 ? largest / 127 : 0.9f * average + 0.1f * (largest / 127);
  }
  ObserveOp first = *function.getOps<ObserveOp>().begin();
  EXPECT_NEAR(first.getAbsmax()->convertToFloat() / 127, average, 1e-7);
}

TEST_F(Calibration, namesTheLayerWhoseInputsOverflow) {
  up(0, 0) = 3e38f;
  up(1, 0) = 3e38f;
  auto function = model("absmax", R"(kind = "float")");
  EXPECT_FALSE(calibrate(function));
  EXPECT_NE(error.find("calibration of \"down\": "), std::string::npos) << error;
  EXPECT_NE(error.find("activations are infinite or not a number"), std::string::npos) << error;
}

} // namespace
