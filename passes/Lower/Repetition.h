//===- Repetition.h - Where a list of operations repeats itself -----------===//
//
// Layers of a model are not marked anywhere: they are found as runs of operations that are
// the same again and again, whatever these compute.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_REPETITION_H
#define QOPT_PASSES_LOWER_REPETITION_H

#include "mlir/IR/Operation.h"

namespace qopt::lowering {

/// What `op` uses from outside of itself, its regions included, in an order that is the same
/// for equal operations.
llvm::SmallVector<mlir::OpOperand *> outerOperands(mlir::Operation *op);

/// Whether two operations differ at most in what they use from outside, and not in its types.
bool areAlike(mlir::Operation *left, mlir::Operation *right);

/// `length` operations from number `first` on of which each is like the one `period` before.
struct Run {
  int64_t first, period, length;
};

/// The runs of at least `least` periods, those that cover most before others and shorter
/// periods before longer ones.
llvm::SmallVector<Run> findRuns(llvm::ArrayRef<mlir::Operation *> ops, int64_t least);

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_REPETITION_H
