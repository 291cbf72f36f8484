//===- Kernel.h - What every kernel generator is given ---------------------===//
//
// A generator writes the body of one operation of the kernel dialect. What the
// operation's verifier has checked is not checked again.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CPU_KERNELS_KERNEL_H
#define QOPT_LIB_CODEGEN_CPU_KERNELS_KERNEL_H

#include "Emitter.h"
#include "qopt/Dialect/Kernel/Kernel.h"

namespace qopt::kernels {

/// A code level, as far as the generators care.
struct Target {
  bool vnni512; ///< 32 vector registers of 64 bytes and vpdpbusd; else 16 of 32 bytes

  /// 16-lane accumulators that fit the registers beside the operands.
  int64_t accumulators() const { return vnni512 ? 24 : 6; }
};

/// The builder of one kernel; it stands where the operation is, at the top of a function.
struct Kernel : Emitter {
  Kernel(mlir::Operation *op, Target target, const mlir::OpBuilder &builder)
      : Emitter(op->getLoc(), builder), target(target) {}

  Target target;
};

/// Where `past`, [batch] or [1], says how many tokens a row had before.
inline Value placeOfPast(Emitter &e, Value past, Value batch) {
  return llvm::cast<mlir::MemRefType>(past.getType()).getDimSize(0) == 1 ? e.index(0) : batch;
}

// One generator per kernel; the file of each explains how it works.
void emit(Kernel &k, kernel::MatmulFloatOp op);
void emit(Kernel &k, kernel::MatmulW8A16Op op);
void emit(Kernel &k, kernel::MatmulW4A16Op op);
void emit(Kernel &k, kernel::MatmulW4A8Op op);
void emit(Kernel &k, kernel::MatmulW8A8Op op);
void emit(Kernel &k, kernel::QuantizeOp op);
void emit(Kernel &k, kernel::DynamicQuantizeOp op);
void emit(Kernel &k, kernel::SplitColumnsOp op);
void emit(Kernel &k, kernel::SplitColumnsAtOp op);
void emit(Kernel &k, kernel::RmsNormOp op);
void emit(Kernel &k, kernel::LayerNormOp op);
void emit(Kernel &k, kernel::RotaryOp op);
void emit(Kernel &k, kernel::GatherOp op);
void emit(Kernel &k, kernel::AttentionOp op);
void emit(Kernel &k, kernel::CachedAttentionOp op);
void emit(Kernel &k, kernel::CacheAppendOp op);

} // namespace qopt::kernels

#endif // QOPT_LIB_CODEGEN_CPU_KERNELS_KERNEL_H
