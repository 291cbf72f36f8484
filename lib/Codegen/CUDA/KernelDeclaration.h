//===- KernelDeclaration.h - What a kernel's declaration says --------------===//
//
// The generators for CUDA read declarations, which DeclareKernels.h makes of the
// operations of the kernel dialect.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELDECLARATION_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELDECLARATION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinTypes.h"

namespace qopt {

/// StringAttr on a declaration: which kernel it is.
inline constexpr llvm::StringLiteral kKernelAttr = "qopt.kernel";
/// DictionaryAttr on a declaration: what its types do not say.
inline constexpr llvm::StringLiteral kKernelConfigAttr = "qopt.config";

/// UnitAttr on a private function with a body: a sequence of kernels that a target may
/// compute in one go instead (of a `kernel.group`). Whatever a target does,
/// what the caller sees must be what the body computes.
inline constexpr llvm::StringLiteral kGroupAttr = "qopt.group";
/// UnitAttr on an argument of such a function: memory that nobody reads afterwards, so
/// it need not be written.
inline constexpr llvm::StringLiteral kScratchAttr = "qopt.scratch";

/// How many of the last operands a kernel that makes codes writes; 0 for other kernels.
unsigned countQuantizationResults(llvm::StringRef kernel);

/// What a declaration of matmul_w8a8 says, and where its result is.
struct MatmulW8A8Form {
  /// Where the weights of outlier columns are: nowhere, in the codes (columns found at run
  /// time, in a list), or kept apart (columns found by calibration).
  enum Outliers { None, Listed, Kept };

  int64_t inputs, columns;
  bool perToken;
  Outliers outliers = None;
  mlir::Type keptElement; ///< f16 or f32, of kept weights
  unsigned result;
};

struct KernelDeclaration {
  explicit KernelDeclaration(mlir::func::FuncOp function) : function(function) {}

  mlir::func::FuncOp function;

  unsigned numOperands() { return function.getNumArguments(); }
  mlir::MemRefType type(unsigned i) { return llvm::cast<mlir::MemRefType>(function.getFunctionType().getInput(i)); }
  int64_t size(unsigned i, unsigned dim) { return type(i).getDimSize(dim); }

  /// Checks that the operands are contiguous memrefs of these ranks. Emits a
  /// diagnostic otherwise.
  mlir::LogicalResult expectRanks(llvm::ArrayRef<int64_t> ranks);
  /// Checks that an operand has exactly these sizes and this element type; `?` matches
  /// anything.
  mlir::LogicalResult expectShape(unsigned i, llvm::ArrayRef<int64_t> shape, mlir::Type element);

  /// Checks all operands of matmul_w8a8.
  mlir::FailureOr<MatmulW8A8Form> expectMatmulW8A8();
  /// Checks all operands of split_columns_at; K.
  mlir::FailureOr<int64_t> expectSplitColumnsAt();
  /// Checks all operands of cache_append.
  mlir::LogicalResult expectCacheAppend();

  /// Checks that operand `i` is one number of tokens in a cache, [1] i64.
  mlir::LogicalResult expectPast(unsigned i);

  // Entries of `qopt.config`.
  bool flag(llvm::StringRef name);
  int64_t integer(llvm::StringRef name, int64_t otherwise);
  float real(llvm::StringRef name, float otherwise);

private:
  mlir::Attribute config(llvm::StringRef name);
};

} // namespace qopt

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELDECLARATION_H
