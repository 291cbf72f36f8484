//===- ShapeAnalysis.h - Which dimensions are equal -----------------------===//
//
// Exporters compute the operands of Reshape, Expand or Slice from the shapes of
// other tensors. While a graph is imported this analysis follows such integers, and
// dimensions that are only known at run time as symbols, forward through the
// operations. So [batch, length, -1, 32] as new shape of [batch, length, 256] is
// known to have 8 as its third dimension, whatever batch and length are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_SHAPEANALYSIS_H
#define QOPT_LIB_IMPORT_SHAPEANALYSIS_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include <map>
#include <optional>

namespace qopt {

/// An integer that a tensor holds, or a dimension of a tensor.
struct Extent {
  enum Kind { Unknown, Constant, Symbol } kind = Unknown;
  /// The constant, or the number of the symbol: equal symbols are equal numbers of
  /// at least 0 at run time.
  int64_t value = 0;

  static Extent constant(int64_t value) { return {Constant, value}; }
  bool isConstant() const { return kind == Constant; }
  bool isConstant(int64_t number) const { return kind == Constant && value == number; }
  bool isKnown() const { return kind != Unknown; }
  /// Two unknown extents may differ.
  bool isSameAs(const Extent &other) const { return isKnown() && kind == other.kind && value == other.value; }
};

using Extents = llvm::SmallVector<Extent, 4>;

class ShapeAnalysis {
public:
  /// Names the dimensions of a graph input; inputs share a dimension's symbol where
  /// they share its name, and "" is a symbol of its own.
  void addInput(mlir::Value input, mlir::ArrayAttr dimNames);
  /// Follows `op`, whose operands are known, and makes the types of its results more
  /// precise where it can.
  void addOperation(mlir::Operation *op);
  /// The elements of an integer tensor of rank 0 or 1 where all are known now.
  std::optional<llvm::SmallVector<int64_t>> constantContents(mlir::Value value) const;

private:
  Extents dimsOf(mlir::Value value);
  const Extents *contentsOf(mlir::Value value) const;
  Extent newSymbol() { return {Extent::Symbol, nextSymbol++}; }
  /// The symbol of `operation` (one of + * /) on two extents, folded where possible.
  Extent combine(char operation, Extent a, Extent b);
  Extent broadcast(llvm::ArrayRef<Extent> extents);
  Extents broadcastDims(mlir::ValueRange operands, size_t drop = 0);
  std::optional<Extents> inferDims(mlir::Operation *op);
  std::optional<Extents> inferContents(mlir::Operation *op);
  std::optional<Extents> reshapedDims(mlir::Operation *op);

  llvm::DenseMap<mlir::Value, Extents> dims, contents;
  llvm::StringMap<Extent> named;
  std::map<std::tuple<char, int, int64_t, int, int64_t>, Extent> combined;
  int64_t nextSymbol = 0;
};

} // namespace qopt

#endif // QOPT_LIB_IMPORT_SHAPEANALYSIS_H
