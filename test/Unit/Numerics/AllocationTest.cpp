//===- AllocationTest.cpp - Bytes shared out to layers --------------------===//
//
// Against all combinations, and with more layers than those can be counted of.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Allocation.h"
#include "qopt/Support/Random.h"
#include "gtest/gtest.h"
#include <limits>
#include <numeric>

using namespace qopt;

namespace {

using Layers = std::vector<std::vector<SizedLoss>>;

SizedLoss sum(const Layers &layers, const std::vector<size_t> &choices) {
  SizedLoss total;
  for (size_t i = 0; i < layers.size(); ++i) {
    total.bytes += layers[i][choices[i]].bytes;
    total.loss += layers[i][choices[i]].loss;
  }
  return total;
}

/// The least loss of all combinations that fit.
double leastLoss(const Layers &layers, int64_t budget, size_t layer = 0, double loss = 0) {
  if (budget < 0)
    return std::numeric_limits<double>::infinity();
  if (layer == layers.size())
    return loss;
  double least = std::numeric_limits<double>::infinity();
  for (const SizedLoss &choice : layers[layer])
    least = std::min(least, leastLoss(layers, budget - choice.bytes, layer + 1, loss + choice.loss));
  return least;
}

/// Losses that fall with the size, as those of more bits do.
Layers random(size_t count, uint64_t seed) {
  Layers layers(count);
  for (std::vector<SizedLoss> &choices : layers) {
    int64_t weights = 1 + splitmix64(seed) % 1000;
    double loss = double(1 + splitmix64(seed) % 1000);
    for (int64_t bits : {2, 3, 4, 8})
      choices.push_back({weights * bits, loss / double(1 << 2 * bits)});
  }
  return layers;
}

TEST(Allocation, FindsTheLeastLoss) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Layers layers = random(6, seed);
    int64_t smallest = sum(layers, std::vector<size_t>(6, 0)).bytes,
            largest = sum(layers, std::vector<size_t>(6, 3)).bytes;
    EXPECT_FALSE(allocate(layers, smallest - 1));
    EXPECT_EQ(allocate(layers, largest), std::vector<size_t>(6, 3));
    for (int64_t budget = smallest; budget < largest; budget += (largest - smallest) / 10 + 1) {
      std::optional<std::vector<size_t>> choices = allocate(layers, budget);
      ASSERT_TRUE(choices);
      EXPECT_LE(sum(layers, *choices).bytes, budget);
      EXPECT_DOUBLE_EQ(sum(layers, *choices).loss, leastLoss(layers, budget));
    }
  }
}

TEST(Allocation, TakesManyLayers) {
  Layers layers = random(100, 1);
  int64_t budget = sum(layers, std::vector<size_t>(100, 2)).bytes; // four bits each
  std::optional<std::vector<size_t>> choices = allocate(layers, budget);
  ASSERT_TRUE(choices);
  EXPECT_LE(sum(layers, *choices).bytes, budget);
  EXPECT_LT(sum(layers, *choices).loss, sum(layers, std::vector<size_t>(100, 2)).loss);
}

TEST(Allocation, PrefersTheSmallerOfEqualLosses) {
  Layers layers = {{{8, 1}, {4, 1}}};
  EXPECT_EQ(allocate(layers, 100), std::vector<size_t>{1});
}

} // namespace
