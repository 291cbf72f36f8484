//===- FusedGroup.h - Groups of kernels that one launch can do -------------===//
//
// A group (Kernels.h) read as what a launch for a single row has to do: one input row,
// prepared by every block for itself; products of it, each of some blocks; and steps
// that follow column by column. At one row every memref of a group is a vector, and
// its element c is of column c.
//
// Where a group goes on with the quantization of what its steps have made, what follows
// is a launch of its own: all columns come before.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H

#include "MatmulRows.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace qopt::cuda {

/// Shared memory that every GPU from sm_80 on gives a block that asks for it.
inline constexpr int64_t kMostSharedBytes = 96 * 1024;

/// The memory behind views.
Value memoryOf(Value value);

/// A call of the group's function.
struct FusedCall {
  mlir::Operation *op = nullptr;
  mlir::func::FuncOp callee;
  unsigned firstResult = 0; ///< operands from here on are written

  explicit operator bool() const { return op; }
  /// "" for a loop.
  llvm::StringRef kernel() const;
  /// The memory of an operand: an argument of the group's function.
  Value memory(unsigned operand) const { return memoryOf(op->getOperand(operand)); }
  /// Whether any operand, from number `from` on, is of this memory.
  bool uses(Value memory, unsigned from = 0) const;
  bool writes(Value memory) const { return uses(memory, firstResult); }
};

struct FusedProduct {
  FusedCall call;
  ProductDeclaration declaration;

  const Product &product() const { return *declaration.product; }
};

/// Something done with the results of products.
struct FusedStep {
  FusedCall call;
  mlir::linalg::GenericOp loop; ///< all that the callee does; null: the kernel rotary or cache_append
};

/// How rotary pairs the columns of heads.
struct Pairing {
  int64_t headSize = 0, rotated = 0;
  bool interleaved = false;

  bool operator==(const Pairing &) const = default;
  int64_t half() const { return rotated / 2; }
  /// The halves lie in two blocks of packed columns.
  bool isFar() const { return !interleaved && half() % 16 == 0; }
  /// Both columns of a pair can be those of one warp.
  bool isPossible() const;
};

/// Products that the same blocks compute, and what is done with their results.
struct FusedBranch {
  llvm::SmallVector<FusedProduct> products; ///< with as many columns
  llvm::SmallVector<FusedStep> steps;
  std::optional<Pairing> pairing;

  int64_t columns() const { return products[0].product().columns; }
  /// Blocks of the launch, 32 columns each.
  int64_t units() const { return (columns() + kWarpColumns - 1) / kWarpColumns; }
  /// The two blocks of packed columns of a unit; the second one may be past the end.
  std::pair<Value, Value> blocksOf(Emitter &t, Value unit) const;
};

/// Calls of a group, in order.
using Calls = llvm::SmallVector<FusedCall>;

/// The calls of a group, cut where a row must be complete.
llvm::SmallVector<Calls> cutGroup(mlir::func::FuncOp function);

struct FusedGroup {
  /// Reads one of the parts of a group. Nothing if one launch cannot do it; fails after a
  /// diagnostic on a malformed declaration.
  static mlir::FailureOr<std::optional<FusedGroup>> read(mlir::func::FuncOp function, llvm::ArrayRef<Calls> parts,
                                                         const Calls &part);

  /// Arguments of the group's function that the launch reads or writes.
  llvm::SmallVector<mlir::BlockArgument> memory;
  FusedCall norm, quantization;            ///< null if there is none
  llvm::SmallVector<FusedBranch> branches; ///< with as many products each
  Value x;                                 ///< [R,K], all of an argument

  /// The product with most columns: all others load and multiply like it.
  const Product &product() const;
  int64_t productsPerBranch() const { return branches[0].products.size(); }
  bool isWritten(Value memory) const;
  /// Byte offsets in the shared memory of a block; of the row in f16 both parts.
  struct Layout {
    int64_t sums, scale, outliers, marks, row, codes, high, low, bytes;
  };
  Layout layout() const;
  /// Words (i32) of one part of the row in f16; 0 if it stays as it is.
  int64_t halfWords() const;
};

/// A launch for many rows of what makes them, rms_norm or a loop, and their quantization.
struct Preparation {
  FusedCall maker, quantization;
  mlir::linalg::GenericOp loop; ///< null: rms_norm
  int64_t width;                ///< of the rows

  /// Two calls of a group, one behind the other. Nothing where they must stay apart.
  static std::optional<Preparation> find(const Calls &calls, size_t maker);
  void launch(Kernel &k, llvm::StringRef suffix) const;

private:
  int64_t threads() const;
  int64_t sharedBytes() const;
  void makeRow(Emitter &t, ValueRange args, Value row, Value staged) const;
};

/// What a function does if that is one elementwise loop on f32; its arguments are the
/// operands.
mlir::linalg::GenericOp loopOf(mlir::func::FuncOp callee);
/// Clones the scalar code of a loop; `element` gives what an operand has. The results.
Values cloneScalars(Emitter &t, mlir::linalg::GenericOp loop, llvm::function_ref<Value(mlir::OpOperand &)> element);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H
