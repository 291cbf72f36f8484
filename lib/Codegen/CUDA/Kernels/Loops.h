//===- Loops.h - Outlined loops to kernels ---------------------------------===//
//
// For what no kernel operation stands for: loop nests in functions of their own.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_LOOPS_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_LOOPS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt::cuda {

/// The functions launch kernels instead of running loops; what else there is of linalg in the
/// module becomes loops. Emits a diagnostic on what cannot run in a kernel.
mlir::LogicalResult emitLoops(mlir::ModuleOp module, llvm::ArrayRef<mlir::func::FuncOp> functions);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_LOOPS_H
