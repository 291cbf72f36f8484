//===- GroupBuilder.h - Building kernel.group --------------------------------===//
//
// What a group reads or writes becomes an argument of it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_GROUPBUILDER_H
#define QOPT_PASSES_LOWER_GROUPBUILDER_H

#include "qopt/Dialect/Kernel/Kernel.h"

namespace qopt::lowering {

/// An operation that is going to be in a group.
struct Step {
  mlir::Operation *op;
  kernel::KernelRole role;
  kernel::MemoryAccess access;
};
/// The steps of a stage, in the order of the program.
using Stage = llvm::SmallVector<Step>;

/// Whether anybody but these stages reads or writes the memory.
bool isUsedOutside(mlir::Value memory, llvm::ArrayRef<Stage> stages);

/// Moves the operations of the stages, which follow each other, into a group where the last
/// one stands.
kernel::GroupOp buildGroup(llvm::ArrayRef<Stage> stages);

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_GROUPBUILDER_H
