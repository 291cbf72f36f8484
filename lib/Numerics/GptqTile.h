//===- GptqTile.h - The rows of W that one thread works on ----------------===//
//
// Rows of W never influence each other, so GPTQ, polishing and refit all run on a
// tile of rows from start to end. The sweep goes from column to column and wants the
// rows of one column side by side; polishing goes from row to row and wants the columns
// of one row side by side. So a tile has two forms.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_NUMERICS_GPTQTILE_H
#define QOPT_LIB_NUMERICS_GPTQTILE_H

#include "GptqShared.h"

namespace qopt {

/// Rows of W per tile; fixed, because the shape of a product decides its rounding.
constexpr int64_t kTileRows = 256;

/// Gives a matrix another size with the memory that it has; elements are anything.
template <typename T>
void resize(Matrix<T> &matrix, int64_t rows, int64_t cols) {
  matrix.rows = rows, matrix.cols = cols;
  matrix.values.resize(rows * cols);
}

/// The tile while it is quantized column by column. T is float, or double where codes
/// have to be those of the reference.
template <typename T>
struct SweepTile {
  int64_t rows = 0; ///< rows of W in this tile
  int64_t groupSize = 0;
  int maxCode = 15;
  // By position in the factor's order, [K][rows].
  std::vector<T> target;   ///< what the codes are to reproduce: W, or W with the float target
  std::vector<T> codes;    ///< code - zero, integers
  std::vector<T> errors;   ///< target - scale * codes
  std::vector<T> products; ///< E R, whose squares sum up to the objective
  // By group of columns of W, [G][rows].
  std::vector<float> scales;
  std::vector<float> lows; ///< the least code - zero, that is -zero

  /// The sizes of another tile; memory stays.
  void reset(int64_t newRows, int64_t cols, int64_t newGroupSize, int newMaxCode) {
    rows = newRows, groupSize = newGroupSize, maxCode = newMaxCode;
    for (std::vector<T> *values : {&target, &codes, &errors, &products})
      values->resize(rows * cols);
    for (std::vector<float> *values : {&scales, &lows})
      values->resize((cols + groupSize - 1) / groupSize * rows);
  }
  int64_t groups() const { return int64_t(scales.size()) / rows; }
  void setParams(int64_t group, int64_t row, GroupParams params) {
    scales[group * rows + row] = params.scale;
    lows[group * rows + row] = float(-params.zero);
  }
};

/// Quantizes column after column; `upper` is R, `order` the column of W at each position.
/// With `dynamic`, a group's scales are chosen when its first column is reached, from the
/// weights as the reference has updated them by then: with the errors of earlier blocks of
/// `blockSize` columns, not of the block at hand. Fills codes, errors and products.
template <typename T>
void gptqSweep(MatrixRef<const T> upper, const std::vector<int64_t> &order, SweepTile<T> &tile, int64_t blockSize,
               const GroupScaler *dynamic, const float *importance);

/// The tile while all its codes are known and are improved; everything by column of W.
struct PolishTile {
  int64_t groupSize = 0;
  int maxCode = 15;
  bool float16Scales = false; ///< as in GroupOptions
  Matrix<float> target;       ///< [rows, K]
  Matrix<float> codes;        ///< [rows, K], code - zero
  Matrix<float> gradients;    ///< [rows, K], E H with the damped H: kept up to date by all who change codes or scales
  Matrix<float> scales, lows; ///< [rows, G]
  std::vector<double> values; ///< the objective e H e^T of each row, likewise
  Matrix<float> errors;       ///< [rows, K], where refitting needs memory
  std::vector<float> partial; ///< likewise

  int64_t rows() const { return codes.rows; }
  int64_t groups() const { return scales.cols; }
};

/// One pass of coordinate descent on tr(E H E^T) over the codes. `h` is the damped H.
void polishCodes(MatrixRef<const float> h, PolishTile &tile);

/// The scales that minimise tr(E H E^T) for given codes, row by row. Changes scales (and
/// zero points where a scale turns negative), never for the worse.
void refitScales(MatrixRef<const float> h, PolishTile &tile);

/// The memory of one tile after another: to get it from the system costs as much as some
/// steps. T as in SweepTile.
template <typename T>
struct TileMemory {
  SweepTile<T> sweep;
  PolishTile polish; ///< whose target is that of the tile from the start
};

/// (C - H) (H + damp)^-1, which saves a solution for each row of W where there are more
/// than K; empty where there are not.
Matrix<float> shareShift(const GptqShared &shared, int64_t rows, const ParallelFor &parallelFor);

/// Quantizes the rows of `weights` from `first` on into `result` and `losses`, both of all
/// rows. `upper` is R in the precision to work with, `shift` of shareShift(). A loss is
/// e H e^T without damping.
template <typename T>
void quantizeTile(const GptqShared &shared, MatrixRef<const T> upper, const Matrix<float> &shift,
                  MatrixRef<const float> weights, const GroupScaler &scaler, TileMemory<T> &memory, GroupCodes &result,
                  int64_t first, double *losses);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_GPTQTILE_H
