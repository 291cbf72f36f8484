//===- Kernels.h - Hand-shaped code for the heavy operators ----------------===//
//
// What a kernel takes and computes is said by its operation (docs/Dialects/Kernel.md). Each
// is in a function of its own after lowering; the generators read such a function as a
// declaration:
//
//   func.func private @matmul_f32_n768_k256(memref<?x256xf32>, memref<48x256x16xf32>, memref<?x768xf32>)
//       attributes {qopt.kernel = "matmul_f32"}
//
// Operands are those of the operation, its attributes are in the dictionary `qopt.config`.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_KERNELS_H
#define QOPT_CODEGEN_KERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Codegen/Packing.h"
#include "qopt/Dialect/Kernel/Kernel.h"

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

using kernel::kColumns;

/// Gives every kernel declaration in `module` a body for `level` ("x86-64-v3" or
/// "x86-64-v4") of func, scf, memref, vector, arith and math ops plus
/// `llvm.call_intrinsic`. Independent work is in one-dimensional `scf.parallel` at
/// the top of the function. Every element has one owner and one order of
/// summation, so results depend neither on the number of threads nor on how many
/// rows are computed together; float results are the same on both levels.
/// Emits a diagnostic on a malformed declaration or an unknown kernel or level.
mlir::LogicalResult emitKernels(mlir::ModuleOp module, llvm::StringRef level);

} // namespace qopt

#endif // QOPT_CODEGEN_KERNELS_H
