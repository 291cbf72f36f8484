//===- Products.h - What the passes that form integer products share ------===//
//
// A product is formed where scheme, weights and shapes allow it; the reasons against
// are given one by one.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_QUANTIZE_PRODUCTS_H
#define QOPT_PASSES_QUANTIZE_PRODUCTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/RegionUtils.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "qopt/Dialect/Linear.h"

namespace qopt {

/// The scheme of a product; null when nobody assigned one.
inline SchemeAttr getScheme(onnx::MatMulOp op) { return getAttr<attrs::Scheme>(op); }

/// Whether `op` has a scheme, which treats activations in this way.
inline bool hasActivations(onnx::MatMulOp op, ActivationMethod method) {
  SchemeAttr scheme = getScheme(op);
  return scheme && scheme.getVariant().activations == method;
}

/// The int8 weights with one scale per output that `op` multiplies with, all of them
/// codes; null where it has others.
inline DequantizeOp getChannelWeights(onnx::MatMulOp op) {
  DequantizeOp weights = getQuantizedWeights(op);
  return isPerChannel(weights) && !getKeptColumns(op) ? weights : DequantizeOp();
}

/// Whether x and y of `op` are float32 and of the shapes that the products of the
/// qopt dialect take and give: K known, y with the rows of x and a column per output.
inline bool hasProductShape(onnx::MatMulOp op) {
  auto x = llvm::dyn_cast<mlir::RankedTensorType>(op.getA().getType());
  auto y = llvm::dyn_cast<mlir::RankedTensorType>(op.getY().getType());
  if (!x || !y || !x.getElementType().isF32() || !y.getElementType().isF32() || x.getRank() < 1 ||
      x.isDynamicDim(x.getRank() - 1))
    return false;
  auto weights = llvm::cast<mlir::RankedTensorType>(op.getB().getType());
  return y.getRank() == x.getRank() && y.getShape().drop_back() == x.getShape().drop_back() &&
         y.getShape().back() == weights.getShape().back();
}

/// The one dynamic_quantize of `value` by these groups (none: per row), right behind its
/// definition: products that read the same value share it.
inline DynamicQuantizeOp getQuantized(mlir::PatternRewriter &rewriter, mlir::Value value,
                                      mlir::IntegerAttr groupSize = {}) {
  for (mlir::Operation *user : value.getUsers())
    if (auto existing = llvm::dyn_cast<DynamicQuantizeOp>(user); existing && existing.getGroupSizeAttr() == groupSize)
      return existing;
  mlir::OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointAfterValue(value);
  return DynamicQuantizeOp::create(rewriter, value.getLoc(), value, groupSize);
}

/// Replaces `op` by `product`, which keeps its layer and scheme.
template <typename Product>
void replaceProduct(mlir::PatternRewriter &rewriter, onnx::MatMulOp op, Product product) {
  product->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  rewriter.replaceOp(op, product);
}

/// Rewrites every product of `function` with `Patterns`, which count in `count`,
/// and drops what nobody reads any more.
template <typename... Patterns>
void rewriteProducts(mlir::func::FuncOp function, mlir::Pass::Statistic &count) {
  mlir::RewritePatternSet patterns(function.getContext());
  (patterns.add<Patterns>(function.getContext(), count), ...);
  mlir::walkAndApplyPatterns(function, std::move(patterns));
  mlir::IRRewriter rewriter(function.getContext());
  (void)mlir::runRegionDCE(rewriter, function->getRegions());
}

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_PRODUCTS_H
