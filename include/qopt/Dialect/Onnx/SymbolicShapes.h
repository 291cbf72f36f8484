//===- SymbolicShapes.h - Shapes as expressions of dimensions' names ------===//
//
// Exporters compute the operands of Reshape, Expand or Slice from the shapes of other
// tensors. Here such integers, and dimensions that only the run time knows, are
// polynomials of the inputs' dimensions. Two dimensions are equal where their polynomials
// are, which is a proof: nothing is tried out. So [batch, length, -1, 32] as new shape of
// [batch, length, 256] has 8 as its third dimension, whatever batch and length are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_SYMBOLICSHAPES_H
#define QOPT_DIALECT_ONNX_SYMBOLICSHAPES_H

#include "mlir/Analysis/DataFlow/SparseAnalysis.h"
#include "qopt/Dialect/Onnx/ShapeMath.h"
#include "llvm/ADT/StringMap.h"
#include <map>
#include <vector>

namespace qopt::onnx {

/// What a polynomial is made of: a number of at least 0 that is known at run time only.
struct Atom {
  enum Kind : uint8_t { Dimension, Quotient, Minimum, Maximum, Broadcast } kind = Dimension;
  mlir::Value value;              ///< of a Dimension, with its position
  int64_t position = 0;           ///< a Dimension's
  Extent first = {}, second = {}; ///< the operands of the others
};

/// The symbols of one function: `Extent::value` of a Symbol is the number of a polynomial.
class Symbols {
public:
  /// Atoms in ascending order, as often as they are factors; empty for the constant term.
  using Monomial = llvm::SmallVector<int, 2>;
  using Polynomial = std::map<Monomial, int64_t>;

  /// Dimension `position` of a value. The first value with a name is where it is read.
  Extent dimension(mlir::Value value, int64_t position, llvm::StringRef name = "");
  Extent add(Extent a, Extent b, int64_t factor = 1);
  Extent mul(Extent a, Extent b);
  /// a / b where nothing remains, whatever the symbols are.
  std::optional<Extent> divideExactly(Extent a, Extent b);
  /// An operation that is no polynomial; the same operands give the same symbol.
  Extent operation(Atom::Kind kind, Extent a, Extent b);
  /// Whether a number is known to be at least 0; symbols of dimensions are.
  bool isNonNegative(Extent extent) const;

  Polynomial polynomialOf(Extent extent) const;
  const Atom &atom(int number) const { return atoms[number]; }

private:
  Extent intern(Polynomial polynomial);
  int addAtom(Atom atom);

  std::vector<Atom> atoms;
  std::vector<Polynomial> polynomials;
  std::map<Polynomial, int64_t> numbers;
  std::map<std::pair<void *, int64_t>, Extent> dimensions;
  std::map<std::tuple<int, int, int64_t, int, int64_t>, Extent> operations;
  llvm::StringMap<Extent> named;
};

/// What is known of a value of the graph.
struct ShapeInfo {
  bool isReached = false; ///< false: no operation has said anything yet
  Extents dims;
  std::optional<Extents> contents;

  bool operator==(const ShapeInfo &other) const {
    return isReached == other.isReached && dims == other.dims && contents == other.contents;
  }
  /// What holds for both.
  static ShapeInfo join(const ShapeInfo &a, const ShapeInfo &b);
  void print(llvm::raw_ostream &os) const;
};
using ShapeLattice = mlir::dataflow::Lattice<ShapeInfo>;

/// Follows dimensions and small integers forward through a function, by what operators say
/// of themselves.
class ShapeAnalysis : public mlir::dataflow::SparseForwardDataFlowAnalysis<ShapeLattice> {
public:
  ShapeAnalysis(mlir::DataFlowSolver &solver, Symbols &symbols, const llvm::DenseMap<mlir::Value, Extents> &inputs)
      : SparseForwardDataFlowAnalysis(solver), symbols(symbols), inputs(inputs) {}

  mlir::LogicalResult visitOperation(mlir::Operation *op, llvm::ArrayRef<const ShapeLattice *> operands,
                                     llvm::ArrayRef<ShapeLattice *> results) override;
  void setToEntryState(ShapeLattice *lattice) override;

private:
  ShapeInfo infoOf(mlir::Value value, llvm::ArrayRef<Extent> dims);

  Symbols &symbols;
  const llvm::DenseMap<mlir::Value, Extents> &inputs; ///< dimensions of arguments
};

} // namespace qopt::onnx

#endif // QOPT_DIALECT_ONNX_SYMBOLICSHAPES_H
