//===- Outliers.h - Outlier columns at the end of an int8 product ----------===//
//
// LLM.int8 gives outlier columns of x codes 0 and adds their products in f16 (kOutlierUnit
// in qopt/Dialect/Kernel/Kernel.h), in the epilogue of the product that multiplied the rest:
// the sums are still in registers.
//
//   rows   A thread has one sum or a few and goes through the outliers in their order,
//          kAhead at a time, so that their loads are under way together.
//   tiles  Tensor cores, 16 outliers at a time, on the very registers that hold the sums.
//          The lane gathers its operands itself: outliers are few of the columns.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_OUTLIERS_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_OUTLIERS_H

#include "MatmulProduct.h"

namespace qopt::cuda {

/// Where outliers and their weights are. Values are those of one thread.
class Outliers {
public:
  explicit Outliers(Emitter &t) : t(t) {}
  virtual ~Outliers() = default;

  Emitter &t;
  /// Weights count in scales of their columns.
  bool unscaled = false;
  /// Weights are what f16 holds.
  bool fitsHalf = true;

  /// Stands for outlier i (i32) below; negative past the last one.
  virtual Value entry(Value i) const = 0;
  /// Of a row of x, f32. Entries are not negative here and below.
  virtual Value activation(Value row, Value entry) const = 0;
  /// Of one column, f32.
  virtual Value weight(Value column, Value entry) const = 0;
  /// Of the four columns from 4 `quarter` on of a packed block, f32.
  virtual Values weights(Value block, Value quarter, Value entry) const = 0;
};

/// Columns that were found at run time: `list` [inputs] of their numbers, then -1; x is
/// [R, inputs], weights are the codes of packed w with `words` words per column.
class ListedOutliers : public Outliers {
public:
  ListedOutliers(Emitter &t, Value x, Value list, Value w, int64_t inputs, int64_t words)
      : Outliers(t), x(x), list(list), w(w), inputs(inputs), words(words) {
    unscaled = true;
  }
  Value entry(Value i) const override;
  Value activation(Value row, Value entry) const override;
  Value weight(Value column, Value entry) const override;
  Values weights(Value block, Value quarter, Value entry) const override;

private:
  Value x, list, w;
  int64_t inputs, words;
};

/// Columns that calibration chose, `count` (i32) of them: x [R, count], w [blocks, count,
/// 16] of `element`, f16 or f32.
class KeptOutliers : public Outliers {
public:
  KeptOutliers(Emitter &t, Value x, Value w, Value count, Type element)
      : Outliers(t), x(x), w(w), count(count), element(element) {
    fitsHalf = element.isF16();
  }
  Value entry(Value i) const override;
  Value activation(Value row, Value entry) const override;
  Value weight(Value column, Value entry) const override;
  Values weights(Value block, Value quarter, Value entry) const override;

private:
  Value weightRow(Value block, Value entry) const;

  Value x, w, count;
  Type element;
};

/// sums [rows][columns] += products of the outliers, one after the other. Sums and weights
/// are in one unit: neither of them scaled, or both. `loop`: goes through the entries in
/// another way.
void addOutliers(const Outliers &outliers, ValueRange rows, ValueRange columns, Values &sums,
                 const OutlierLoop &loop = nullptr);

/// The same for the sums [rows][8] of a lane of a tile, where weights fit f16.
void addOutlierTiles(const Outliers &outliers, const WeightPlace &place, ValueRange rows, Values &sums);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_OUTLIERS_H
