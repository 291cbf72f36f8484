//===- SmallFloatsTest.cpp - float8 and tables of 16 numbers ---------------===//
//
// The agreement with the packages on whole models is test/Integration/methods.test; here are
// the values that models do not have.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/SmallFloats.h"
#include "TestUtils.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt;

namespace {

Matrix<float> makeRow(std::vector<float> values) {
  Matrix<float> row(1, static_cast<int64_t>(values.size()));
  row.values = std::move(values);
  return row;
}

TEST(Float8, isReadBackAsItWas) {
  for (int bits = 0; bits < 256; ++bits)
    if ((bits & 0x7F) != 0x7F)
      EXPECT_EQ(toFloat8(fromFloat8(static_cast<uint8_t>(bits))), bits);
}

TEST(Float8, roundsToTheNearest) {
  // Between any two neighbours: the nearer one, the even one in the middle.
  for (int bits = 0; bits < 0x7E; ++bits) {
    float low = fromFloat8(static_cast<uint8_t>(bits)), high = fromFloat8(static_cast<uint8_t>(bits + 1));
    float middle = (low + high) / 2;
    EXPECT_EQ(toFloat8(middle), bits + bits % 2);
    EXPECT_EQ(toFloat8(std::nextafter(middle, low)), bits);
    EXPECT_EQ(toFloat8(std::nextafter(-middle, -high)), 0x80 | (bits + 1));
  }
  EXPECT_EQ(toFloat8(1e9f), 0x7E);
  EXPECT_EQ(toFloat8(-INFINITY), 0xFE);
  EXPECT_EQ(toFloat8(NAN), 0);
}

TEST(Float8, hasAScalePerRow) {
  Matrix<float> weights(2, 3);
  weights.values = {224, -448, 1, 0, 0, 0};
  for (Float8Scales kind : {Float8Scales::Row, Float8Scales::Tensor, Float8Scales::Block}) {
    Float8Codes codes = quantizeFloat8(weights, kind);
    EXPECT_EQ(codes.scales.values, (std::vector<float>{1, 1}));
    Matrix<float> back(2, 3);
    dequantizeFloat8(codes, back);
    EXPECT_EQ(back.values, weights.values);
  }
}

TEST(Float8, hasAScalePerBlock) {
  Matrix<float> weights(130, 200, 1.0f);
  weights(129, 0) = 448;
  weights(0, 150) = -56;
  Float8Codes codes = quantizeFloat8(weights, Float8Scales::Block);
  EXPECT_EQ(codes.groupSize, 128);
  EXPECT_FLOAT_EQ(codes.scales(0, 0), 1 / 448.0f);
  EXPECT_EQ(codes.scales(127, 1), 1 / 8.0f);
  EXPECT_EQ(codes.scales(128, 0), 1);
  EXPECT_FLOAT_EQ(codes.scales(129, 1), 1 / 448.0f);
}

TEST(Tables, takeTheLowerEntryInTheMiddle) {
  float middle = (kNf4[8] + kNf4[9]) / 2;
  TableCodes codes = quantizeNf4(makeRow({1, middle, std::nextafter(middle, 1.0f), -1, 0}), 64, false, {});
  EXPECT_EQ(codes.codes.values, (std::vector<uint8_t>{15, 8, 9, 0, 7}));
  EXPECT_EQ(codes.scales.values, std::vector<float>{1});
}

TEST(Tables, haveCodesOfTheirOwnOrder) {
  TableCodes codes = quantizeFp4(makeRow({12, -12, 8, 6, 0, 0.02f, -0.02f}), 64, false, {});
  EXPECT_EQ(codes.codes.values, (std::vector<uint8_t>{3, 11, 2, 5, 0, 8, 0}));
}

TEST(Tables, haveAShortLastBlockAndBlocksOfZeros) {
  TableCodes codes = quantizeNf4(makeRow({2, -1, 0, 0, 4}), 2, false, {});
  EXPECT_EQ(codes.scales.values, (std::vector<float>{2, 1, 4}));
  Matrix<float> back(1, 5);
  dequantizeTable(codes, back);
  EXPECT_EQ(back.values[0], 2);
  EXPECT_EQ(back.values[2], 0);
  EXPECT_EQ(back.values[4], 4);
}

TEST(Tables, nestScales) {
  Matrix<float> weights(8, 64);
  for (int64_t i = 0; i < 512; ++i)
    weights.values[i] = i % 64 ? 0.0f : 1 + static_cast<float>(i / 64) / 8;
  TableCodes plain = quantizeNf4(weights, 64, false, {}), nested = quantizeNf4(weights, 64, true, {});
  EXPECT_EQ(plain.codes.values, nested.codes.values);
  for (int64_t n = 0; n < 8; ++n)
    EXPECT_NEAR(nested.scales(n, 0), plain.scales(n, 0), 0.01);
}

TEST(E2m1, roundsHalvesToEven) {
  // A largest magnitude of 6 has scale 1 by all rules but Ceil, which wants 2.
  Matrix<float> row = makeRow({6, 0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5, -0.25f, -5});
  for (MxRule rule : {MxRule::Even, MxRule::Floor, MxRule::Rceil}) {
    TableCodes codes = quantizeMxfp4(row, 32, rule, {});
    EXPECT_EQ(codes.scales.values, std::vector<float>{1});
    EXPECT_EQ(codes.codes.values, (std::vector<uint8_t>{7, 0, 2, 2, 4, 4, 6, 6, 8, 14}));
  }
  EXPECT_EQ(quantizeMxfp4(row, 32, MxRule::Ceil, {}).scales.values, std::vector<float>{2});
}

TEST(E2m1, scalesByPowersOfTwo) {
  auto scale = [](float largest, MxRule rule) { return quantizeMxfp4(makeRow({largest}), 32, rule, {}).scales(0, 0); };
  EXPECT_EQ(scale(7, MxRule::Floor), 1); // saturates to 6
  EXPECT_EQ(scale(7, MxRule::Even), 2);  // 1.75 goes up
  EXPECT_EQ(scale(6.9f, MxRule::Even), 1);
  EXPECT_EQ(scale(6.1f, MxRule::Rceil), 2);
  EXPECT_EQ(scale(8, MxRule::Ceil), 2);
  EXPECT_EQ(scale(8.1f, MxRule::Ceil), 4);
  EXPECT_EQ(scale(0, MxRule::Even), 1);
  EXPECT_EQ(scale(1e-40f, MxRule::Even), 0x1p-126f);
}

TEST(E2m1, hasTwoLevelsOfScales) {
  // The largest block gets 448 units of e4m3, so that its 6 is the largest weight.
  Matrix<float> weights(1, 32);
  weights.values[0] = 6;
  weights.values[16] = 3;
  TableCodes codes = quantizeNvfp4(weights, 16, {});
  Matrix<float> back(1, 32);
  dequantizeTable(codes, back);
  EXPECT_FLOAT_EQ(back.values[0], 6);
  EXPECT_FLOAT_EQ(back.values[16], 3);
  EXPECT_EQ(codes.codes.values[1], 0);
}

TEST(AffineGroups, spanWhatTheWeightsTake) {
  AffineCodes codes = quantizeMinMax(makeRow({1, 16, 4, 5, 5}), 4, 3, {});
  EXPECT_EQ(codes.codes.values, (std::vector<uint8_t>{0, 15, 3, 0, 0}));
  EXPECT_EQ(codes.scales.values, (std::vector<float>{1, 1}));
  Matrix<float> back(1, 5);
  dequantizeAffine(codes, back);
  EXPECT_EQ(back.values, (std::vector<float>{1, 16, 4, 5, 5}));
}

TEST(AffineGroups, ofHqqKeepNarrowRanges) {
  // Below 1e-4 the scale is 1, and every weight becomes their mean.
  AffineCodes codes = quantizeHqq(makeRow({3, 3.00005f}), 4, 64, {});
  EXPECT_EQ(codes.scales(0, 0), 1);
  Matrix<float> back(1, 2);
  dequantizeAffine(codes, back);
  EXPECT_NEAR(back.values[0], 3, 1e-3);
}

TEST(ChannelSteps, areThoseOfThePackages) {
  Matrix<float> row = makeRow({127.5f, -127.5f, 0.5f, 1.5f});
  ChannelCodes torchao = quantizeChannels(row, ChannelSteps::Steps127Half);
  EXPECT_EQ(torchao.scales, std::vector<float>{1});
  EXPECT_EQ(torchao.codes.values, (std::vector<int8_t>{127, -128, 0, 2}));
  row = makeRow({128, -128, 0.5f, -1.5f});
  ChannelCodes eetq = quantizeChannels(row, ChannelSteps::Steps128);
  EXPECT_EQ(eetq.scales, std::vector<float>{1});
  EXPECT_EQ(eetq.codes.values, (std::vector<int8_t>{127, -128, 1, -2}));
  EXPECT_EQ(quantizeChannels(makeRow({0, 0}), ChannelSteps::Steps128).codes.values, (std::vector<int8_t>{0, 0}));
}

} // namespace
