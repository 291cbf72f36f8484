//===- LinearForms.h - The forms in which linears are written -------------===//
//
// What becomes one product x W with a matrix W, whatever stands around it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_LINEARFORMS_H
#define QOPT_PASSES_RAISE_LINEARFORMS_H

#include "mlir/IR/PatternMatch.h"
#include "qopt/Dialect/Onnx/Onnx.h"

namespace qopt::raise {

/// A weight as it is written: a constant matrix, perhaps transposed, perhaps cast to
/// another type.
struct WrittenWeight {
  mlir::Value source;
  mlir::ElementsAttr constant;
  mlir::Type castTo;
  bool isTransposed = false;

  bool match(mlir::Value value);
  /// Its transpose as a constant, cast again; null where the data are not there.
  mlir::Value createTransposed(mlir::OpBuilder &builder) const;
};

/// `value` with its last two dimensions swapped.
mlir::Value swapLast(mlir::PatternRewriter &rewriter, mlir::Location loc, mlir::Value value);

/// MatMul(x, W [1, K, N]) -> MatMul(x, W [K, N]).
struct DropUnitBatch : mlir::OpRewritePattern<onnx::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  mlir::LogicalResult matchAndRewrite(onnx::MatMulOp op, mlir::PatternRewriter &rewriter) const override;
};

/// MatMul(W [1, N, K], x) -> MatMul(W [N, K], x).
struct DropUnitBatchOfFirst : mlir::OpRewritePattern<onnx::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  mlir::LogicalResult matchAndRewrite(onnx::MatMulOp op, mlir::PatternRewriter &rewriter) const override;
};

/// The sum over heads of MatMul(x [B, heads, S, d], W [heads, d, N]): one product [heads * d, N].
struct SumHeads : mlir::OpRewritePattern<onnx::ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  mlir::LogicalResult matchAndRewrite(onnx::ReduceSumOp op, mlir::PatternRewriter &rewriter) const override;
};

/// MatMul(x, W [heads, K, d]), where all heads read the same x: one product [K, heads * d],
/// whose columns are the heads'.
struct JoinHeads : mlir::OpRewritePattern<onnx::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  mlir::LogicalResult matchAndRewrite(onnx::MatMulOp op, mlir::PatternRewriter &rewriter) const override;
};

/// MatMul(W, x) -> the transpose of MatMul(x transposed, W transposed).
struct SwapFactors : mlir::OpRewritePattern<onnx::MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  mlir::LogicalResult matchAndRewrite(onnx::MatMulOp op, mlir::PatternRewriter &rewriter) const override;
};

/// Transpose(Transpose(x)) that does nothing -> x.
struct DropTwoTransposes : mlir::OpRewritePattern<onnx::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  mlir::LogicalResult matchAndRewrite(onnx::TransposeOp op, mlir::PatternRewriter &rewriter) const override;
};

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_LINEARFORMS_H
