//===- FusedEpilogue.h - What follows the products of a fused launch -------===//
//
// Numbers stay in registers from the sums of the products to the last step of a branch.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDEPILOGUE_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDEPILOGUE_H

#include "FusedGroup.h"
#include "llvm/ADT/MapVector.h"

namespace qopt::cuda {

/// What a fused launch gets: the addresses of all memory of the group that is not
/// scratch, and what indices from memory are checked against.
class FusedArguments {
public:
  /// `outside`: values of the group outside of it.
  FusedArguments(Kernel &k, const FusedGroup &group, const mlir::IRMapping &outside);

  llvm::SmallVector<Argument> list;
  /// In the kernel, whose arguments are `args`: the memory behind a value of the group.
  Value address(ValueRange args, Value value) const { return args[addresses.lookup(kernel::getMemory(value))]; }
  /// How many (i64) positions a rotary kernel has, or a cache; columns that
  /// split_columns_at is given.
  Value limit(ValueRange args, mlir::Operation *op) const { return args[limits.lookup(op)]; }
  Value errors(ValueRange args) const { return args.back(); }
  bool isScratch(Value memory) const { return !addresses.contains(memory); }

private:
  llvm::DenseMap<Value, size_t> addresses;
  llvm::DenseMap<mlir::Operation *, size_t> limits;
};

/// The steps of a branch for the column of a lane, in registers; all lanes of a warp
/// take part.
class FusedEpilogue {
public:
  /// `column`: the lane's; may be past those that there are.
  FusedEpilogue(Emitter &t, const FusedArguments &arguments, ValueRange args, const FusedBranch &branch, Value column)
      : t(t), arguments(arguments), args(args), branch(branch), column(column),
        isColumn(t.less(column, branch.columns())) {}

  /// `results`: an element of each product of the branch.
  void run(ValueRange results);

private:
  Value clamped() { return t.min(column, t.i32(branch.columns() - 1)); }
  void step(mlir::linalg::GenericOp loop);
  void step(kernel::RotaryOp rotary);
  void step(kernel::CacheAppendOp append);
  /// Reports a position that is not below the limit of a step.
  Value check(mlir::Operation *step, Value position);
  /// Of what was written to the memory behind a value; null: not by this branch.
  Value elementOf(Value value) const { return elements.lookup(kernel::getMemory(value)); }
  Value address(Value value) const { return arguments.address(args, value); }

  Emitter &t;
  const FusedArguments &arguments;
  ValueRange args;
  const FusedBranch &branch;
  Value column, isColumn;
  llvm::MapVector<Value, Value> elements; ///< of what was written, by memory
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDEPILOGUE_H
