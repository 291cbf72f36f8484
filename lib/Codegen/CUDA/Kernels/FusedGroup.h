//===- FusedGroup.h - Groups of kernels that one launch can do -------------===//
//
// A group (Kernels.h) read as what a launch for a single row has to do: one input row,
// prepared by every block for itself; products of it, each of some blocks; and steps
// that follow column by column. At one row every memref of a group is a vector, and
// its element c is of column c.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H

#include "MatmulRows.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace qopt::cuda {

/// A call of the group's function.
struct FusedCall {
  mlir::Operation *op = nullptr;
  mlir::func::FuncOp callee;
  unsigned firstResult = 0; ///< operands from here on are written

  explicit operator bool() const { return op; }
  /// "" for a loop.
  llvm::StringRef kernel() const;
  /// The memory of an operand: an argument of the group's function.
  Value memory(unsigned operand) const;
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

struct FusedGroup {
  /// Reads the body of a group. Nothing if one launch cannot do it; fails after a
  /// diagnostic on a malformed declaration.
  static mlir::FailureOr<std::optional<FusedGroup>> read(mlir::func::FuncOp function);

  mlir::func::FuncOp function;
  FusedCall norm, quantization; ///< null if there is none
  llvm::SmallVector<FusedBranch> branches; ///< with as many products each
  Value x;                      ///< [R,K], an argument

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

/// Launches norm and quantization of all rows as one, where that is possible; whether it
/// is. `k` stands in the group's function.
bool launchPreparation(Kernel &k, const FusedGroup &group);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H
