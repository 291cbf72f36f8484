//===- DeclareKernels.h - Functions of kernels as the generators read them ---===//
//
// Between the lowered form, in which functions hold operations of the kernel dialect, and
// the generators.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_DECLAREKERNELS_H
#define QOPT_LIB_CODEGEN_CUDA_DECLAREKERNELS_H

#include "mlir/IR/BuiltinOps.h"

namespace qopt {

/// Turns functions of kernels into declarations, and those of groups into calls of the
/// functions of their operations.
mlir::LogicalResult declareKernels(mlir::ModuleOp module);

} // namespace qopt

#endif // QOPT_LIB_CODEGEN_CUDA_DECLAREKERNELS_H
