//===- Kernels.h - Hand-shaped code for the heavy operators ----------------===//
//
// What a kernel takes and computes is said by its operation (docs/Dialects/Kernel.md). Each
// is in a function of its own after lowering, whose body the generators write.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_KERNELS_H
#define QOPT_CODEGEN_KERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Codegen/Packing.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Support/Targets.h"

namespace qopt {

using kernel::kColumns;

/// Replaces every kernel in `module`, also those of groups, by code for `level` of func, scf,
/// memref, vector, arith and math ops plus
/// `llvm.call_intrinsic`. Independent work is in one-dimensional `scf.parallel` at
/// the top of the function. Every element has one owner and one order of
/// summation, so results depend neither on the number of threads nor on how many
/// rows are computed together; float results are the same on both levels.
/// Emits a diagnostic on a kernel that is not alone on memory in a function. Returns how many
/// kernels there were.
mlir::FailureOr<int64_t> emitKernels(mlir::ModuleOp module, const HostLevel &level);

} // namespace qopt

#endif // QOPT_CODEGEN_KERNELS_H
