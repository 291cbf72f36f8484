//===- Loops.h - Outlined loops to kernels ---------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_LOOPS_H
#define QOPT_LIB_CODEGEN_CUDA_LOOPS_H

#include "mlir/IR/BuiltinOps.h"

namespace qopt::cuda {

/// The private functions with bodies launch kernels instead of running loops. Emits a
/// diagnostic on what cannot run in a kernel.
mlir::LogicalResult emitLoops(mlir::ModuleOp module);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_LOOPS_H
