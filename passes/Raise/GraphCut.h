//===- GraphCut.h - Where a computation narrows to one value --------------===//
//
// A rotary embedding or a head repetition is a chain between two values, whatever it is
// made of.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_GRAPHCUT_H
#define QOPT_PASSES_RAISE_GRAPHCUT_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseSet.h"

namespace qopt::raise {

/// The part of a graph between one activation and a value computed from it and
/// from values that are none.
struct Chain {
  /// The activation, then every operator that depends on it, in block order.
  llvm::SmallVector<mlir::Value> values;
  /// Positions in `values` through which every path from first to last goes.
  llvm::SmallVector<size_t> cuts;
  /// Float operands of the chain that do not come from the activation, but for
  /// scalars and constant vectors (biases, factors); and which positions use them.
  llvm::SmallVector<mlir::Value> tables;
  size_t firstUse = 0, lastUse = 0;
};

/// Follows `value` back to where it was last projected, normalized or looked up.
/// Nothing when it comes from several such activations or from too far away.
std::optional<Chain> findChain(mlir::Value value, const llvm::DenseSet<mlir::Value> &activations);

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_GRAPHCUT_H
