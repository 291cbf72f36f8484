//===- KernelPatterns.h - From operators to kernels -------------------------===//
//
// One pattern per operator, by family in *Kernels.cpp. Each replaces its operator, or says
// why no kernel fits and changes nothing: then the operator is lowered as others are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_KERNELPATTERNS_H
#define QOPT_PASSES_LOWER_KERNELPATTERNS_H

#include "PackedParameters.h"
#include "RowsBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Remarks.h"
#include "llvm/Support/MathExtras.h"

namespace qopt::lowering {

template <typename Op>
struct KernelPattern : mlir::OpRewritePattern<Op> {
  KernelPattern(mlir::MLIRContext *context, PackedParameters &parameters)
      : mlir::OpRewritePattern<Op>(context), parameters(parameters) {}

  PackedParameters &parameters;
};

/// Matrix products (MatMulKernels.cpp).
void populateMatMulKernels(mlir::RewritePatternSet &patterns, PackedParameters &parameters);
/// Quantization of activations (QuantizationKernels.cpp).
void populateQuantizationKernels(mlir::RewritePatternSet &patterns, PackedParameters &parameters);
/// Embedding, normalization, rotation of positions (DecoderKernels.cpp).
void populateDecoderKernels(mlir::RewritePatternSet &patterns, PackedParameters &parameters);
/// Attention with and without a cache (AttentionKernels.cpp).
void populateAttentionKernels(mlir::RewritePatternSet &patterns, PackedParameters &parameters);

/// Whether a tensor holds floats that kernels compute with in f32, narrower ones after widen().
bool fitsF32(mlir::Value x);
mlir::Value widen(RowsBuilder &b, mlir::Value x);
/// Why Q, K, V or X can not be seen as heads; null if it can. `heads` matters to rank 3.
const char *whyNotHeads(mlir::Value x, int64_t heads);
/// Q, K, V or X as [batch, S, heads, size] or [batch, heads, S, size], as its rank is 3 or 4.
mlir::Value toHeads(RowsBuilder &b, mlir::Value x, int64_t heads);
/// A result in the form of the operator's: of rank 3, or as it is. `sizes`: sequences and tokens.
mlir::Value fromHeads(RowsBuilder &b, mlir::Value y, llvm::ArrayRef<mlir::OpFoldResult> sizes,
                      mlir::RankedTensorType type);

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_KERNELPATTERNS_H
