//===- Kernel.h - What every kernel generator is given ---------------------===//
#ifndef QOPT_LIB_CODEGEN_CPU_KERNELS_KERNEL_H
#define QOPT_LIB_CODEGEN_CPU_KERNELS_KERNEL_H

#include "Emitter.h"
#include "qopt/Codegen/Host/KernelDeclaration.h"

namespace qopt::kernels {

/// A code level, as far as the generators care.
struct Target {
  bool vnni512; ///< 32 vector registers of 64 bytes and vpdpbusd; else 16 of 32 bytes

  /// 16-lane accumulators that fit the registers beside the operands.
  int64_t accumulators() const { return vnni512 ? 24 : 6; }
};

/// One declaration that is being given its body; the builder stands inside it.
struct Kernel : Emitter, KernelDeclaration {
  Kernel(mlir::func::FuncOp function, Target target, const mlir::OpBuilder &builder)
      : Emitter(function.getLoc(), builder), KernelDeclaration(function), target(target) {}

  Target target;

  Value arg(unsigned i) { return function.getArgument(i); }
};

// One generator per kernel; the file of each explains how it works.
mlir::LogicalResult emitMatmulF32(Kernel &k);
mlir::LogicalResult emitMatmulF16(Kernel &k);
mlir::LogicalResult emitMatmulW8A16(Kernel &k);
mlir::LogicalResult emitMatmulW4A16(Kernel &k);
mlir::LogicalResult emitMatmulW8A8(Kernel &k);
mlir::LogicalResult emitQuantize(Kernel &k);
mlir::LogicalResult emitDynamicQuantize(Kernel &k);
mlir::LogicalResult emitSplitColumns(Kernel &k);
mlir::LogicalResult emitSplitColumnsAt(Kernel &k);
mlir::LogicalResult emitRmsNorm(Kernel &k);
mlir::LogicalResult emitRotary(Kernel &k);
mlir::LogicalResult emitGather(Kernel &k);
mlir::LogicalResult emitAttention(Kernel &k);
mlir::LogicalResult emitCachedAttention(Kernel &k);
mlir::LogicalResult emitCacheAppend(Kernel &k);

} // namespace qopt::kernels

#endif // QOPT_LIB_CODEGEN_CPU_KERNELS_KERNEL_H
