//===- Codes.h - int8 codes of activations ---------------------------------===//
//
// What quantizes on a GPU, alone or as part of a larger launch, makes its codes with these.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_CODES_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_CODES_H

#include "Kernel.h"

namespace qopt::cuda {

/// int8 codes of floats (a scalar or a vector) that are already divided by their
/// scale; 0 for NaN. Bit by bit those of the CPU's kernels.
Value toCodes(Emitter &t, Value v);

/// Codes of a row's elements, in this order of roundings: (x * 127) / absmax. Where
/// absmax is 0, so are x and the code.
Value toRowCodes(Emitter &t, Value v, Value absmax);

/// Magnitudes from which on an element is an outlier; infinity where 0 says that there are
/// none.
float outlierThreshold(kernel::SplitColumnsOp op);

/// A row of `width` floats at `address`, cut into pieces of up to four for the threads
/// of a block. Where it fits, every thread keeps its pieces in registers from the first
/// pass over the row to the next; longer rows are read again.
class RowPieces {
public:
  RowPieces(Emitter &t, Value address, int64_t width, int64_t threads);

  /// The block size for rows of this width.
  static int64_t threadsFor(int64_t width);

  /// body(piece number (i32), piece, carried values).
  Values fold(ValueRange initial, llvm::function_ref<Values(Value, Value, ValueRange)> body);
  void forEach(llvm::function_ref<void(Value, Value)> body);

  int64_t lanes() const { return numLanes; }
  /// Of codes of a piece.
  Type codesType() { return t.vector(t.getI8Type(), numLanes); }

private:
  Value read(Value i);

  Emitter &t;
  Value address, thread;
  int64_t numLanes, numPieces, threads;
  Type type;
  Values kept; ///< empty: not kept
};

/// Codes of a row by a block with a given scale; `codes` in any memory.
void quantizeRow(Emitter &t, RowPieces &pieces, Value scale, Value codes);

/// Codes of a row by a block with the row's own scale, which is stored, too.
struct DynamicRow {
  Value codes, scale; ///< addresses in any memory
  int64_t threads;
  Value scratch; ///< 4 bytes of shared memory per warp, free again after the next barrier
  /// Elements of this magnitude and more do not count for the scale.
  std::optional<float> threshold = std::nullopt;
  /// Nor do elements without codes.
  bool onlyFree = false;

  /// `isFree(i, piece)`: which elements of a piece have codes; the others get 0. Null: all.
  void run(Emitter &t, RowPieces &pieces, llvm::function_ref<Value(Value, Value)> isFree = nullptr) const;
};

/// Codes of a row by a block with a scale for each group of inputs.
struct GroupedRow {
  Value codes, scales; ///< addresses in any memory
  int64_t width, groupSize, threads;

  void run(Emitter &t, Value row) const;
};

/// A row whose outliers are in given columns: `list` (i32) has `count` (i32) of them.
struct GivenOutliers {
  Value list, count;
  Value outliers; ///< f32 [count], in any memory
  Value marks;    ///< shared memory, a byte per element of the row

  /// Copies the outliers of row x and quantizes the rest of it.
  void run(Emitter &t, Value x, RowPieces &pieces, DynamicRow quantization) const;
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_CODES_H
