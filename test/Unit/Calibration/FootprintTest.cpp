//===- FootprintTest.cpp - What Llama-3.2-1B takes ------------------------===//
//
// From its shapes alone, beside what packages say that it takes in their formats.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Weights.h"
#include "gtest/gtest.h"

using namespace qopt;

namespace {

constexpr int64_t kVocabulary = 128256, kHidden = 2048, kInner = 8192, kKeys = 512, kLayers = 16, kGroup = 128;
/// Of a layer: q, o; k, v; gate, up; down.
constexpr struct {
  int64_t outFeatures, inFeatures, count;
} kLinears[] = {{kHidden, kHidden, 2}, {kKeys, kHidden, 2}, {kInner, kHidden, 2}, {kHidden, kInner, 1}};

/// Sum over all linears.
template <typename Of>
int64_t sum(Of of) {
  int64_t total = 0;
  for (auto [outFeatures, inFeatures, count] : kLinears)
    total += kLayers * count * of(outFeatures, inFeatures);
  return total;
}

// Embedding and norms in bfloat16, and the frequencies of rotary angles.
constexpr int64_t kEmbedding = kVocabulary * kHidden * 2, kNorms = (2 * kLayers + 1) * kHidden * 2, kAngles = 128;

int64_t channelBytes(int64_t outFeatures, int64_t inFeatures) {
  return storedBytes(ChannelCodes{Matrix<int8_t>(outFeatures, inFeatures), std::vector<float>(outFeatures)});
}

int64_t groupBytes(int64_t outFeatures, int64_t inFeatures) {
  int64_t groups = inFeatures / kGroup;
  return storedBytes(GroupCodes{4, kGroup, Matrix<uint8_t>(outFeatures, inFeatures),
                                Matrix<float>(outFeatures, groups, 1), Matrix<uint8_t>(outFeatures, groups, 8)});
}

TEST(Footprint, int8IsThatOfBitsandbytes) {
  // get_memory_footprint() counts no scales.
  int64_t scales = sum([](int64_t outFeatures, int64_t) { return outFeatures * 4; });
  EXPECT_EQ(scales, 1507328);
  EXPECT_EQ(kEmbedding + kNorms + kAngles + sum(channelBytes) - scales, 1498550400);
}

TEST(Footprint, int4IsThatOfGptq) {
  EXPECT_EQ(sum(groupBytes), 501743616); // as MatMulNBits
  int64_t weights = sum([](int64_t outFeatures, int64_t inFeatures) { return outFeatures * inFeatures; });
  EXPECT_EQ(weights, 973078528);
  EXPECT_DOUBLE_EQ(8.0 * double(sum(groupBytes)) / double(weights), 4.125);
  // A checkpoint also has zero points of four bits and the group of each input.
  int64_t zeros = weights / kGroup / 2;
  int64_t indices = sum([](int64_t, int64_t inFeatures) { return inFeatures * 4; });
  EXPECT_EQ(kEmbedding + kNorms + kAngles + sum(groupBytes) + zeros + indices, 1032327296);
  // GPTQModel's calculate_bits_per_weight counts 4 bits for the index of a group, too, and rounds up by .1.
  EXPECT_DOUBLE_EQ((4.0 * kGroup + 16 + 4 + 4) / kGroup + 0.1, 4.2875);
}

TEST(Footprint, zeroPointsCountWhereAModuleKeepsThem) {
  GroupCodes codes{4, 4, Matrix<uint8_t>(2, 8), Matrix<float>(2, 2, 1), Matrix<uint8_t>(2, 2, 8)};
  EXPECT_EQ(storedBytes(codes), 2 * 4 + 4 * 2);
  codes.zeros(1, 0) = 7; // a bit of the scale
  EXPECT_EQ(storedBytes(codes), 2 * 4 + 4 * 2);
  codes.zeros(1, 0) = 3;
  codes.scales(0, 0) = 1e-9f; // not in float16
  EXPECT_EQ(storedBytes(codes), 2 * 4 + 4 * 4 + 4);
}

} // namespace
