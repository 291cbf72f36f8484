//===- LayerLoop.h - A loop in place of equal layers ------------------------===//
//
// How equal layers become one loop, once it is known where they are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_LAYERLOOP_H
#define QOPT_PASSES_LOWER_LAYERLOOP_H

#include "mlir/IR/Operation.h"

namespace qopt::lowering {

/// Whether an operation has no place in the order of what happens to memory, so that it can be
/// made again where its result is needed. What else a function does are its steps.
bool isExpression(mlir::Operation *op);

/// `count` layers of `period` steps each, from step number `first` on.
struct LayerRange {
  int64_t first, period, count;
};

/// Makes a qopt.repeat of layers whose steps have equal hashes. `mayCopy`: what a layer leaves
/// to the next one may be copied at its end, where it is written while what was given to the
/// layer is still needed. Fails, and leaves all as it is, where the layers are no loop.
/// Operations that nothing uses may be left.
mlir::LogicalResult makeLoop(llvm::ArrayRef<mlir::Operation *> steps, const LayerRange &layers, bool mayCopy);

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_LAYERLOOP_H
