//===- GptqPolish.cpp - Coordinate descent on the codes -------------------===//
//
// GPTQ decides each code once, seeing only the errors made before it. Here each
// code is decided again, given all others: the objective tr(E H E^T) as a function
// of column k alone is a parabola with its minimum (E H)_k / H_kk further on, so
// the code nearest to that minimum is the best one and no step makes it worse.
//
// Few codes change in a pass, so E H is not computed for it: it is at hand, and each
// change adds a row of H to it.
//
//===----------------------------------------------------------------------===//
#include "GptqTile.h"
#include <algorithm>
#include <cmath>

using namespace qopt;

namespace {

/// Columns that are decided before the rest of E H follows.
constexpr int64_t kBlock = 128;
/// Columns of E H per piece: kBlock rows of H of that many columns stay in the cache for
/// all rows of the tile.
constexpr int64_t kPiece = 256;

struct Change {
  int64_t column;
  float delta; ///< what was added to the error
};

/// Decides the `count` columns of a block again for one row. `h` is the block on the
/// diagonal of H, `inverse` one over its diagonal; `gradients` of the block follow at once.
/// Returns the number of `changes`; `gain` gets by how much the objective fell.
QOPT_CPU_CLONES int64_t decideBlock(int64_t count, const float *__restrict h, int64_t stride,
                                    const float *__restrict inverse, const float *__restrict scales,
                                    const float *__restrict lows, float maxCode, float *__restrict codes,
                                    float *__restrict gradients, Change *__restrict changes, double &gain) {
  int64_t number = 0;
  for (int64_t k = 0; k < count; ++k) {
    float step = gradients[k] * inverse[k], scale = scales[k];
    if (!(std::fabs(step) > 0.5f * scale))
      continue;
    float best = roundEven(clampTo(codes[k] + step / scale, lows[k], lows[k] + maxCode));
    float delta = (codes[k] - best) * scale;
    if (!(delta != 0))
      continue;
    const float *__restrict row = h + k * stride;
    gain -= double(delta) * (2 * double(gradients[k]) + double(delta) * double(row[k]));
    codes[k] = best;
    for (int64_t j = 0; j < count; ++j)
      gradients[j] += delta * row[j];
    changes[number++] = {k, delta};
  }
  return number;
}

/// gradients += delta * row of H, for all changes.
QOPT_CPU_CLONES void addChanges(int64_t count, const Change *__restrict changes, int64_t number,
                                const float *__restrict h, int64_t stride, float *__restrict gradients) {
  int64_t i = 0;
  for (; i + 4 <= number; i += 4) {
    const float *__restrict h0 = h + changes[i].column * stride, *__restrict h1 = h + changes[i + 1].column * stride;
    const float *__restrict h2 = h + changes[i + 2].column * stride, *__restrict h3 =
                                                                         h + changes[i + 3].column * stride;
    float d0 = changes[i].delta, d1 = changes[i + 1].delta, d2 = changes[i + 2].delta, d3 = changes[i + 3].delta;
    for (int64_t j = 0; j < count; ++j)
      gradients[j] += (d0 * h0[j] + d1 * h1[j]) + (d2 * h2[j] + d3 * h3[j]);
  }
  for (; i < number; ++i) {
    const float *__restrict row = h + changes[i].column * stride;
    float delta = changes[i].delta;
    for (int64_t j = 0; j < count; ++j)
      gradients[j] += delta * row[j];
  }
}

} // namespace

void qopt::polishCodes(MatrixRef<const float> h, PolishTile &tile) {
  int64_t size = h.rows, rows = tile.rows();
  std::vector<Change> changes(rows * kBlock);
  std::vector<int64_t> numbers(rows);
  std::vector<float> inverse(kBlock), scales(kBlock), lows(kBlock);
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    int64_t end = std::min(begin + kBlock, size), count = end - begin;
    for (int64_t k = 0; k < count; ++k)
      inverse[k] = 1.0f / h(begin + k, begin + k);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = begin; k < end;) {
        int64_t group = k / tile.groupSize, last = std::min(end, (group + 1) * tile.groupSize);
        std::fill(scales.begin() + (k - begin), scales.begin() + (last - begin), tile.scales(r, group));
        std::fill(lows.begin() + (k - begin), lows.begin() + (last - begin), tile.lows(r, group));
        k = last;
      }
      double gain = 0;
      numbers[r] =
          decideBlock(count, &h(begin, begin), size, inverse.data(), scales.data(), lows.data(), float(tile.maxCode),
                      tile.codes.row(r) + begin, tile.gradients.row(r) + begin, changes.data() + r * kBlock, gain);
      tile.values[r] -= gain;
    }
    for (int64_t piece = 0; piece < size; piece += kPiece) {
      // Two pieces lie left and right of the block that has been updated already.
      for (auto [first, last] : {std::pair(piece, std::min(piece + kPiece, begin)),
                                 std::pair(std::max(piece, end), std::min(piece + kPiece, size))})
        for (int64_t r = 0; first < last && r < rows; ++r)
          addChanges(last - first, changes.data() + r * kBlock, numbers[r], &h(begin, first), size,
                     tile.gradients.row(r) + first);
    }
  }
}
