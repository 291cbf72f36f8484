//===- Allocation.cpp - Bytes shared out to layers ------------------------===//
//
// The knapsack problem with one choice per layer, by dynamic programming over the sums of bytes
// that no other sum beats.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Allocation.h"
#include <algorithm>
#include <tuple>

using namespace qopt;

namespace {

/// What the layers so far take with some choices.
struct Sum {
  SizedLoss total;
  size_t choice = 0; ///< of the last layer
  size_t before = 0; ///< the sum of the layers before it
};

/// Sums that are kept of one layer.
constexpr size_t kMostSums = 4096;

} // namespace

/// Leaves those that lose less than every smaller one, by rising bytes.
static void removeBeaten(std::vector<Sum> &sums) {
  std::sort(sums.begin(), sums.end(), [](const Sum &a, const Sum &b) {
    return std::tuple(a.total.bytes, a.total.loss, a.before, a.choice) <
           std::tuple(b.total.bytes, b.total.loss, b.before, b.choice);
  });
  size_t kept = 0;
  for (const Sum &sum : sums)
    if (kept == 0 || sum.total.loss < sums[kept - 1].total.loss)
      sums[kept++] = sum;
  sums.resize(kept);
}

/// Leaves the smallest, and of each range of bytes the one that loses least.
static void thin(std::vector<Sum> &sums) {
  if (sums.size() <= kMostSums)
    return;
  int64_t first = sums.front().total.bytes;
  double width = double(sums.back().total.bytes - first) / (kMostSums - 1);
  auto rangeOf = [&](const Sum &sum) { return static_cast<int64_t>(double(sum.total.bytes - first) / width); };
  size_t kept = 1;
  for (size_t i = 1; i < sums.size(); ++i)
    if (i + 1 == sums.size() || rangeOf(sums[i]) != rangeOf(sums[i + 1]))
      sums[kept++] = sums[i];
  sums.resize(kept);
}

std::optional<std::vector<size_t>> qopt::allocate(std::span<const std::vector<SizedLoss>> layers, int64_t budget) {
  // What the layers from each one on take at the least.
  std::vector<int64_t> least(layers.size() + 1);
  for (size_t i = layers.size(); i-- > 0;) {
    auto smallest = std::min_element(layers[i].begin(), layers[i].end(),
                                     [](const SizedLoss &a, const SizedLoss &b) { return a.bytes < b.bytes; });
    least[i] = least[i + 1] + smallest->bytes;
  }
  if (least.front() > budget)
    return std::nullopt;
  std::vector<std::vector<Sum>> sums = {{Sum()}};
  for (size_t i = 0; i < layers.size(); ++i) {
    std::vector<Sum> next;
    for (size_t before = 0; before < sums.back().size(); ++before)
      for (size_t choice = 0; choice < layers[i].size(); ++choice) {
        SizedLoss total = sums.back()[before].total;
        total.bytes += layers[i][choice].bytes;
        total.loss += layers[i][choice].loss;
        if (total.bytes + least[i + 1] <= budget)
          next.push_back({total, choice, before});
      }
    removeBeaten(next);
    thin(next);
    sums.push_back(std::move(next));
  }
  std::vector<size_t> choices(layers.size());
  size_t at = sums.back().size() - 1;
  for (size_t i = layers.size(); i-- > 0;) {
    const Sum &sum = sums[i + 1][at];
    choices[i] = sum.choice;
    at = sum.before;
  }
  return choices;
}
