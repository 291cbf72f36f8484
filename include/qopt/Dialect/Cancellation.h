//===- Cancellation.h - A compilation that is no longer wanted ------------===//
//
// A flag that the caller of a compilation sets, from any thread, hangs on the MLIR context.
// Passes that have not begun are skipped then; long loops ask for it; and whoever runs a
// pipeline fails, as nothing is to be done with what it left.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_CANCELLATION_H
#define QOPT_DIALECT_CANCELLATION_H

#include <atomic>

namespace mlir {
class MLIRContext;
} // namespace mlir

namespace qopt {

/// From now on `context` heeds `flag`, which must outlive it. Before any pass runs.
void heedCancellation(mlir::MLIRContext &context, const std::atomic<bool> &flag);

/// Whether there is such a flag, and it is set.
bool isCancelled(mlir::MLIRContext &context);

} // namespace qopt

#endif // QOPT_DIALECT_CANCELLATION_H
