//===- RowsBuilder.h - Tensors in the shapes that kernels take --------------===//
//
// What the conversion of every operator needs: matrices of rows out of tensors of any
// rank and back, heads, destinations for results, and checks of sizes that only the
// running program knows.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_ROWSBUILDER_H
#define QOPT_PASSES_LOWER_ROWSBUILDER_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qopt/Dialect/Types.h"

namespace qopt::lowering {

constexpr int64_t kUnknown = mlir::ShapedType::kDynamic;

inline bool isFloatTensor(mlir::Value tensor) { return typeOf(tensor).getElementType().isF32(); }

/// The size of the last dimension; 0 where it is unknown or there is none.
inline int64_t widthOf(mlir::Value tensor) {
  mlir::RankedTensorType type = typeOf(tensor);
  return type.getRank() == 0 || mlir::ShapedType::isDynamic(type.getShape().back()) ? 0 : type.getShape().back();
}

struct RowsBuilder : mlir::ImplicitLocOpBuilder {
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  mlir::Value dim(mlir::Value tensor, int64_t i);
  /// The same as an attribute where the size is known.
  mlir::OpFoldResult size(mlir::Value tensor, int64_t i);
  /// The tensor with exactly this shape; sizes that become known are checked when
  /// the program runs. `sizes`: the leading dimensions, where better known than from
  /// the tensor.
  mlir::Value withShape(mlir::Value tensor, llvm::ArrayRef<int64_t> shape, mlir::ValueRange sizes = {});
  /// [..., K] as [R, K]; rank 1 is one row. K is known.
  mlir::Value toRows(mlir::Value tensor, int64_t width);
  /// Back: [R, N] to the dimensions of `like` but the last `dropped`, and N, as `type`.
  mlir::Value fromRows(mlir::Value rows, mlir::Value like, int64_t dropped, mlir::Type type);
  /// The last dimension as [heads, size].
  mlir::Value splitHeads(mlir::Value tensor, int64_t heads);
  /// All dimensions as one.
  mlir::Value flatten(mlir::Value tensor);
  /// The program fails unless both sizes (index values) are equal.
  void requireEqual(mlir::Value a, mlir::Value b);

  /// A destination for results of these sizes.
  mlir::Value empty(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type element);
  /// A destination [R, width] for as many rows as `rows` has.
  mlir::Value emptyRows(mlir::Value rows, int64_t width, mlir::Type element);
  /// A destination [R].
  mlir::Value emptyPerRow(mlir::Value rows, mlir::Type element);
};

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_ROWSBUILDER_H
