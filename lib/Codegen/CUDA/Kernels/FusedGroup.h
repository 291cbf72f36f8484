//===- FusedGroup.h - Groups of kernels that one launch can do -------------===//
//
// A stage of a group (kernel.stage) as what a launch for a single row has to do: one input
// row, prepared by every block for itself; products of it, each of some blocks; and steps
// that follow column by column. At one row every memref of a group is a vector, and
// its element c is of column c.
//
// A stage behind another one is a launch of its own: it quantizes rows that must be
// complete.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H

#include "MatmulRows.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace qopt::cuda {

/// Shared memory that every GPU from sm_80 on gives a block that asks for it.
inline constexpr int64_t kMostSharedBytes = 96 * 1024;

struct FusedProduct {
  kernel::ProductOpInterface op;
  ProductForm form;

  const Product &product() const { return *form.product; }
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
  llvm::SmallVector<FusedProduct> products;   ///< with as many columns
  llvm::SmallVector<mlir::Operation *> steps; ///< linalg.generic, rotary and cache_append
  std::optional<Pairing> pairing;

  int64_t columns() const { return products[0].product().columns; }
  /// Blocks of the launch, 32 columns each.
  int64_t units() const { return (columns() + kWarpColumns - 1) / kWarpColumns; }
  /// The two blocks of packed columns of a unit; the second one may be past the end.
  std::pair<Value, Value> blocksOf(Emitter &t, Value unit) const;
};

struct FusedGroup {
  /// Nothing if one launch cannot do all of the stage.
  static std::optional<FusedGroup> read(kernel::StageOp stage);

  /// Arguments of the group that the launch reads or writes.
  llvm::SmallVector<mlir::BlockArgument> memory;
  mlir::Operation *norm;                   ///< null if there is none
  mlir::Operation *quantization;           ///< null if there is none
  llvm::SmallVector<FusedBranch> branches; ///< with as many products each
  Value x;                                 ///< [R,K], all of an argument

  /// The product with most columns: all others load and multiply like it.
  const Product &product() const;
  int64_t productsPerBranch() const { return branches[0].products.size(); }
  /// Whether products, or what follows them, write this memory.
  bool isWritten(Value memory) const;
  /// Words (i32) of one part of the row in f16; 0 if it stays as it is.
  int64_t halfWords() const;
};

/// The launch of a group for its one row. `outside`: values of the group outside of it.
void launchFused(Kernel &k, const FusedGroup &group, const mlir::IRMapping &outside, llvm::StringRef suffix);

/// Byte offsets in the shared memory of a block of a fused launch.
struct FusedLayout {
  explicit FusedLayout(const FusedGroup &group);

  int64_t bytes = 0;              ///< of all
  int64_t sums;                   ///< of the norm, of maxima, of the warps' products
  int64_t scale, outliers, marks; ///< of the quantization
  int64_t row, codes;             ///< normalized, quantized
  int64_t high, low;              ///< both parts of the row in f16

private:
  int64_t take(int64_t size);
};

/// A launch for many rows of what makes them, rms_norm or a loop, and their quantization.
struct Preparation {
  mlir::Operation *maker;
  mlir::Operation *quantization; ///< quantize or dynamic_quantize
  int64_t width;                 ///< of the rows

  /// Of a stage and the one before it, if there is one. Nothing where the two must stay apart.
  static std::optional<Preparation> find(kernel::StageOp stage, kernel::StageOp before);
  /// `outside`: values of the group outside of it.
  void launch(Kernel &k, const mlir::IRMapping &outside, llvm::StringRef suffix) const;

private:
  int64_t threads() const;
  int64_t sharedBytes() const;
  void makeRow(Emitter &t, ValueRange args, Value row, Value staged) const;
};

/// Whether any operand of the operation is of this memory; whether a destination is.
bool uses(mlir::Operation *op, Value memory);
bool writes(mlir::Operation *op, Value memory);

/// Whether all operands of a loop are f32 in memory, and it uses nothing else but constants.
bool isFloatLoop(mlir::linalg::GenericOp loop);
/// Clones the scalar code of a loop; `element` gives what an operand has. The results.
Values cloneScalars(Emitter &t, mlir::linalg::GenericOp loop, llvm::function_ref<Value(mlir::OpOperand &)> element);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_FUSEDGROUP_H
