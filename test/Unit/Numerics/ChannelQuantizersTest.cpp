//===- ChannelQuantizersTest.cpp - int8 against quanto and bitsandbytes ---===//
#include "TestUtils.h"
#include <algorithm>
#include <cfloat>
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::test;

namespace {

Matrix<float> storiesWeights(const std::string &name, int64_t rows) {
  Matrix<float> result;
  result.values = readTensor<float>("numerics/stories260K-layer0.safetensors", name);
  result.rows = rows;
  result.cols = int64_t(result.values.size()) / rows;
  return result;
}

class AgainstPackages : public testing::TestWithParam<std::pair<const char *, int64_t>> {};

TEST_P(AgainstPackages, quantoBitForBit) {
  std::string name = GetParam().first;
  ChannelCodes result = quantizeChannels(storiesWeights(name, GetParam().second));
  const char *file = "references/stories260K/quanto_int8.safetensors";
  EXPECT_EQ(result.codes.values, readTensor<int8_t>(file, name + ".data"));
  EXPECT_EQ(result.scales, readTensor<float>(file, name + ".scale"));
}

TEST_P(AgainstPackages, bitsandbytesBitForBit) {
  std::string name = GetParam().first;
  ChannelCodes result = quantizeChannelsLlmInt8(storiesWeights(name, GetParam().second));
  const char *file = "references/stories260K/bnb_int8.safetensors";
  EXPECT_EQ(result.codes.values, readTensor<int8_t>(file, name + ".CB"));
  std::vector<float> absMax = readTensor<float>(file, name + ".SCB");
  ASSERT_EQ(result.scales.size(), absMax.size());
  for (size_t n = 0; n < absMax.size(); ++n)
    EXPECT_EQ(result.scales[n], absMax[n] / 127.0f) << n;
}

INSTANTIATE_TEST_SUITE_P(Stories, AgainstPackages,
                         testing::Values(std::pair("model.layers.0.mlp.gate_proj", 172),
                                         std::pair("model.layers.0.mlp.down_proj", 64),
                                         std::pair("model.layers.0.self_attn.q_proj", 64)));

TEST(ChannelQuantizers, errorIsAtMostHalfAStep) {
  Matrix<float> weights = randomMatrix(37, 53, 1), back(37, 53);
  for (const ChannelCodes &result : {quantizeChannels(weights), quantizeChannelsLlmInt8(weights)}) {
    dequantizeChannels(result, back);
    for (int64_t n = 0; n < 37; ++n)
      for (int64_t k = 0; k < 53; ++k)
        EXPECT_LE(std::fabs(back(n, k) - weights(n, k)),
                  result.scales[n] * 0.502f + std::fabs(weights(n, k)) * 0x1p-11f);
  }
}

TEST(ChannelQuantizers, extremeRowsGetUsableScales) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  Matrix<float> weights(7, 2);
  weights.values = {0, 0, 1e-45f, -1e-42f, FLT_MAX, -FLT_MAX, kNan, 1, kInf, -1, kNan, kNan, 1e-8f, -0.0f};
  for (const ChannelCodes &result : {quantizeChannels(weights), quantizeChannelsLlmInt8(weights)}) {
    for (float scale : result.scales)
      EXPECT_TRUE(std::isnormal(scale) && scale > 0) << scale;
    EXPECT_EQ(result.scales[0], 1.0f);
    EXPECT_EQ(result.codes(0, 0), 0);
    EXPECT_EQ(result.codes(2, 0), 127);
    EXPECT_EQ(result.codes(2, 1), -127);
  }
}

/// The definition, column by column: what is not kept is quantized as if the rest were all.
TEST(ChannelQuantizers, keepsColumns) {
  Matrix<float> weights = randomMatrix(19, 23, 3);
  for (const std::vector<int64_t> &columns : {std::vector<int64_t>{}, {4}, {0, 7, 8, 22}}) {
    for (int64_t n = 0; n < weights.rows; ++n)
      for (int64_t column : columns)
        weights(n, column) = 90.0f + n; // would be the largest of its row
    Matrix<float> others(weights.rows, 23 - columns.size());
    std::vector<int64_t> ordinary;
    for (int64_t k = 0; k < 23; ++k)
      if (std::find(columns.begin(), columns.end(), k) == columns.end())
        ordinary.push_back(k);
    for (int64_t n = 0; n < weights.rows; ++n)
      for (size_t i = 0; i < ordinary.size(); ++i)
        others(n, i) = weights(n, ordinary[i]);
    ChannelCodes expected = quantizeChannelsLlmInt8(others);
    SplitCodes split = quantizeChannelsLlmInt8(weights, columns);
    EXPECT_EQ(split.rest.scales, expected.scales);
    EXPECT_EQ(split.columns, columns);
    Matrix<float> back(weights.rows, 23), all(others.rows, others.cols);
    dequantizeSplit(split, back);
    dequantizeChannels(expected, all);
    for (int64_t n = 0; n < weights.rows; ++n) {
      for (size_t i = 0; i < ordinary.size(); ++i) {
        EXPECT_EQ(split.rest.codes(n, ordinary[i]), expected.codes(n, i));
        EXPECT_EQ(back(n, ordinary[i]), all(n, i));
      }
      for (size_t i = 0; i < columns.size(); ++i) {
        EXPECT_EQ(split.rest.codes(n, columns[i]), 0);
        EXPECT_EQ(split.kept(n, i), 90.0f + n);
        EXPECT_EQ(back(n, columns[i]), 90.0f + n);
      }
    }
  }
}

TEST(ChannelQuantizers, keptColumnsAreFloat16WhereTheyFit) {
  Matrix<float> weights(1, 3);
  weights.values = {2049, 1, 0.1f};
  std::vector<int64_t> columns{0, 2};
  EXPECT_EQ(quantizeChannelsLlmInt8(weights, columns).kept.values, (std::vector<float>{2048, float(_Float16(0.1f))}));
  weights(0, 0) = 70000;
  EXPECT_EQ(quantizeChannelsLlmInt8(weights, columns).kept.values, (std::vector<float>{70000, 0.1f}));
  // A row of which nothing is left.
  weights(0, 1) = 0;
  EXPECT_EQ(quantizeChannelsLlmInt8(weights, columns).rest.scales[0], 1.0f);
}

TEST(ChannelQuantizers, acceptsEmptyMatrices) {
  EXPECT_EQ(quantizeChannels(Matrix<float>(0, 4)).codes.rows, 0);
  EXPECT_EQ(quantizeChannels(Matrix<float>(3, 0)).scales.size(), 3u);
}

TEST(ChannelQuantizers, float16RoundsToEven) {
  // 2049 lies between two float16; 3 * 2^-25 between two subnormals, but for a power of two.
  Matrix<float> weights(2, 2);
  weights.values = {2049, 2051, 0x3p-25f, 0x1p-24f};
  ChannelCodes result = quantizeChannelsLlmInt8(weights);
  EXPECT_EQ(result.scales[0], 2052.0f / 127.0f);
  EXPECT_EQ(result.scales[1], 0x3p-25f / 127.0f);
  EXPECT_EQ(result.codes(1, 1), 85);
}

} // namespace
