//===- GptqTile.h - The rows of W that one thread works on ----------------===//
//
// Rows of W never influence each other, so GPTQ, polishing and refit all run on a
// tile of rows from start to end. A tile is stored with one row per column of W,
// rows of W side by side: the inner loops run over rows and the products with H
// are plain GEMMs.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_GPTQTILE_H
#define QOPT_LIB_NUMERICS_GPTQTILE_H

#include "GptqFactor.h"
#include "GroupScales.h"

namespace qopt {

/// Rows of W per tile; fixed, because the shape of a product decides its rounding.
constexpr int64_t kTileRows = 256;
/// Rows whose block of columns fits the first-level cache.
constexpr int64_t kCacheRows = 32;

struct GptqTile {
  int64_t rows = 0; ///< rows of W in this tile
  int64_t groupSize = 0;
  int maxCode = 15;
  bool float16Scales = false; ///< as in GroupOptions
  // By position in the factor's order, [K][rows].
  std::vector<double> target; ///< what the codes are to reproduce: W, or W with the float target
  std::vector<double> codes;  ///< code - zero, integers
  std::vector<double> errors; ///< target - scale * codes
  // By group of columns of W, [G][rows].
  std::vector<float> scales;
  std::vector<float> lows; ///< the least code - zero, that is -zero

  GptqTile(int64_t rows, int64_t cols, int64_t groupSize, int maxCode)
      : rows(rows), groupSize(groupSize), maxCode(maxCode), target(rows * cols), codes(rows * cols),
        errors(rows * cols), scales((cols + groupSize - 1) / groupSize * rows), lows(scales.size()) {}

  int64_t groups() const { return int64_t(scales.size()) / rows; }
};

/// Chooses the scales of one group for all rows; values(k) is the group's k-th
/// column as an array of `tile.rows` doubles.
template <typename Values>
void chooseScales(GptqTile &tile, const GroupScaler &scaler, const float *importance, int64_t group, int64_t count,
                  Values values) {
  std::vector<float> row(count);
  for (int64_t r = 0; r < tile.rows; ++r) {
    for (int64_t k = 0; k < count; ++k)
      row[k] = float(values(k)[r]);
    GroupParams params = scaler.choose(row, importance + group * tile.groupSize);
    tile.scales[group * tile.rows + r] = params.scale;
    tile.lows[group * tile.rows + r] = float(-params.zero);
  }
}

/// errors = target - scale * codes, after the scales changed.
void recomputeErrors(const GptqFactor &factor, GptqTile &tile);

/// Quantizes column after column. With `dynamic`, a group's scales are chosen when
/// its first column is reached, from the weights as the reference has updated them
/// by then: with the errors of earlier blocks of `blockSize` columns, not of the
/// block at hand. Fills codes and errors.
void gptqSweep(const GptqFactor &factor, GptqTile &tile, int64_t blockSize, const GroupScaler *dynamic,
               const float *importance);

/// One pass of coordinate descent on tr(E H E^T) over the codes, in order.
void polishSweep(const GptqFactor &factor, GptqTile &tile);

/// The scales that minimise tr(E H E^T) for given codes, row by row.
class ScaleRefit {
public:
  /// `targetByColumn` is the tile's target by column of W, [K][rows]. Refers to its arguments.
  ScaleRefit(const Matrix<double> &h, const GptqFactor &factor, const GptqTile &tile,
             const std::vector<double> &targetByColumn);
  /// Changes scales (and zero points where a scale turns negative), never for the worse.
  void run(GptqTile &tile) const;

private:
  void solveRow(GptqTile &tile, int64_t row, std::vector<double> &a, std::vector<double> &b) const;

  const Matrix<double> &h;
  const GptqFactor &factor;
  std::vector<double> product; ///< (H + added) target, by column of W
};

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_GPTQTILE_H
