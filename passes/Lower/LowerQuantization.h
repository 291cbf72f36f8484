//===- LowerQuantization.h - Groups of codes in loops ---------------------===//
//
// What the loops of quantized values and of quantized products share.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_LOWERQUANTIZATION_H
#define QOPT_PASSES_LOWER_LOWERQUANTIZATION_H

#include "OnnxLowering.h"

namespace qopt::lowering {

/// A tensor while its rows are taken apart.
struct Rows {
  mlir::Value tensor;
  Dims dims;

  /// All dimensions but the last `count`.
  Dims leading(size_t count = 1) const { return Dims(llvm::ArrayRef(dims).drop_back(count)); }
};

/// Rows of K numbers as [..., ceil(K / size), size], filled up with zeros. K is a constant.
Rows splitGroups(OnnxLowering &state, const Rows &rows, int64_t size);
/// The other way: the first `columns` of each row of [..., groups, size].
Rows joinGroups(OnnxLowering &state, const Rows &groups, int64_t columns);
/// The first `columns` of each row.
Rows takeColumns(OnnxLowering &state, const Rows &rows, int64_t columns);

/// Codes of four bits less their zero points, as i8 [N, groups, groupSize]; what lies beyond
/// the columns is not specified. `zeros` may be null: 8.
Rows unpackCodes(OnnxLowering &state, mlir::Value codes, mlir::Value zeros, int64_t columns, int64_t groupSize);

/// Weights as `qopt.dequantize` has them in groups.
struct GroupedWeights {
  mlir::Value codes, scale, zeros; ///< zeros may be null
  int64_t columns, groupSize;
  mlir::DenseF32ArrayAttr table = {};
  bool isBytes = false, isFloat8 = false;
};

/// The same as casts of the quant dialect; none where it has no type for them, as for tables, and groups that do not
/// divide the columns.
std::optional<Rows> castStorage(OnnxLowering &state, const GroupedWeights &weights);

/// The weights [N, columns] that these codes stand for, in f32.
Rows dequantizeGroups(OnnxLowering &state, const GroupedWeights &weights);

/// What a code of eight bits stands for, in f32.
mlir::Value numberOf(mlir::ImplicitLocOpBuilder &b, mlir::Value code, bool isFloat8);

/// The map to the loops at `positions`, of `loops` ones.
inline mlir::AffineMap pick(OnnxLowering &state, size_t loops, llvm::ArrayRef<int64_t> positions) {
  llvm::SmallVector<mlir::AffineExpr> expressions;
  for (int64_t position : positions)
    expressions.push_back(state.b.getAffineDimExpr(position));
  return mlir::AffineMap::get(loops, 0, expressions, state.b.getContext());
}

/// 0, 1, ... `count` - 1, and then `more`.
inline llvm::SmallVector<int64_t> upTo(int64_t count, llvm::ArrayRef<int64_t> more = {}) {
  auto result = llvm::to_vector(llvm::seq<int64_t>(0, count));
  llvm::append_range(result, more);
  return result;
}

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_LOWERQUANTIZATION_H
