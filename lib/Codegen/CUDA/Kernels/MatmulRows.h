//===- MatmulRows.h - The loop of products of few rows ---------------------===//
//
// The launch of few rows runs it, and the fused launch of a group for its one row.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULROWS_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULROWS_H

#include "MatmulProduct.h"

namespace qopt::cuda {

/// Warps of a block, which share columns: a thread per sum.
inline constexpr int64_t kRowWarps = kFewRows * kWarpColumns / kWarp;

/// Bytes of shared memory in which warps that add up integers of `rows` rows meet.
constexpr int64_t orderedBytes(int64_t rows) { return 2 * rows * kRowWarps * kWarpColumns * 4; }

class RowsThread : protected ProductThread {
protected:
  RowsThread(Emitter &t, const Product &p, ValueRange args) : ProductThread(t, p, args), unit(p.rowUnit()) {}

  /// Of `splits` warps that take turns with units of inputs, the one numbered `split`.
  struct Turn {
    Value split;
    int64_t splits;
  };
  /// The lane's row of x in any memory, which is there if `isRow`.
  struct Source {
    Value x, isRow;
    Value low = Value(); ///< if x is in f16, in the order of HalfRows: what x lacks
  };
  /// Weights of the warp's first unit, for multiplyRows.
  Values loadFirst(const WeightPlace &place, const Turn &turn) { return loadUnit(place, turn.split); }
  /// The warp's sums: two vectors of four, columns 8 inGroup .. 8 inGroup + 7 of row
  /// `group`.
  Values multiplyRows(const WeightPlace &place, const Turn &turn, const Source &source, Values first);

  /// What one thread for each sum adds up: the row and the column that it has, both clamped;
  /// where the warps of its turn have their integers of this row, counted in rows of columns
  /// from the first warp's row 0 on; and whether the thread has any.
  struct OrderedSum {
    Value row, column, place, isOne;
  };
  /// For integer sums of groups: the total of the thread. Warps add up units side by side, one
  /// each, and meet in `memory` behind each round; what groups come to is added in their order.
  Value multiplyInOrder(const WeightPlace &place, const Turn &turn, const Source &source, Values first,
                        const OrderedSum &sum, int64_t rows, Value memory);

private:
  Values loadScales(const OrderedSum &sum, const Turn &turn, Value round);
  Values addRound(const OrderedSum &sum, int64_t rows, const Turn &turn, Value round, ValueRange scales, Value memory,
                  ValueRange carried);
  Values loadUnit(const WeightPlace &place, Value at);
  Values multiplyUnit(const Source &source, Value at, ValueRange raw, Values sums);
  void multiplyHalfChunk(const Source &source, Value chunk, ValueRange raw, Values &sums);

  int64_t unit; ///< chunks
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_MATMULROWS_H
