//===- SplitProducts.cpp - A product of a sum becomes a sum of products ----------===//
//
// Weights from a file may be the sum of two matrices of codes, or have an offset per output or
// per group; activations may have one offset. Kernels multiply codes alone, so that each of
// these parts leaves the product: x (A + B)^T = x A^T + x B^T, and what is equal for all
// inputs of an output or a group needs only their sum.
//
//===----------------------------------------------------------------------===//
#include "GreedyPatternPass.h"
#include "Raising.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Dialect/StoredWeights.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_SPLITPRODUCTS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// W [N, K], where `op` multiplies with its transpose; null else.
Value weightsOf(MatMulOp op) {
  auto transpose = op.getB().getDefiningOp<TransposeOp>();
  return transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0} ? transpose.getData() : Value();
}

/// `op` with other weights [N, K], or with another first factor.
Value withFactors(PatternRewriter &rewriter, MatMulOp op, Value x, Value weights) {
  Value right = op.getB();
  if (weights) {
    RankedTensorType type = typeOf(weights);
    right = TransposeOp::create(rewriter, op.getLoc(), type.clone({type.getDimSize(1), type.getDimSize(0)}), weights,
                                ArrayRef<int64_t>{1, 0});
  }
  auto product = MatMulOp::create(rewriter, op.getLoc(), op.getType(), x, right);
  product->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  return product;
}

/// The sums over the last dimension of x.
Value sumLast(PatternRewriter &rewriter, Location loc, Value x, bool keepsDims) {
  SmallVector<int64_t> shape(typeOf(x).getShape().drop_back());
  if (keepsDims)
    shape.push_back(1);
  return ReduceSumOp::create(rewriter, loc, typeOf(x).clone(shape), x, raise::createInts(rewriter, loc, {-1}),
                             rewriter.getI64IntegerAttr(keepsDims), rewriter.getI64IntegerAttr(0));
}

/// Activations that are codes, perhaps less an offset, as floats of operators of their own: so
/// their codes are read by products alone. Other values as they are.
Value asFloats(PatternRewriter &rewriter, Value x) {
  auto difference = x.getDefiningOp<SubOp>();
  auto codes = (difference ? difference.getLhs() : x).getDefiningOp<DequantizeOp>();
  if (!codes || typeOf(codes.getScale()).getRank() || codes.getGroupSize())
    return x;
  Location loc = codes.getLoc();
  Type type = codes.getType();
  Value wide = CastOp::create(rewriter, loc, type, codes.getCodes(), TypeAttr::get(rewriter.getF32Type()));
  Value result = MulOp::create(rewriter, loc, type, wide, codes.getScale());
  return difference ? SubOp::create(rewriter, loc, type, result, difference.getRhs()).getResult() : result;
}

/// x (A + B)^T, of two matrices of codes.
struct SplitSum : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    Value weights = weightsOf(op);
    auto sum = weights ? weights.getDefiningOp<AddOp>() : AddOp();
    if (!sum || !sum.getLhs().getDefiningOp<DequantizeOp>() || !sum.getRhs().getDefiningOp<DequantizeOp>())
      return rewriter.notifyMatchFailure(op, "requires weights that are a sum of two matrices of codes");
    Value high = withFactors(rewriter, op, op.getA(), sum.getLhs());
    Value low = withFactors(rewriter, op, op.getA(), sum.getRhs());
    rewriter.replaceOpWithNewOp<AddOp>(op, op.getType(), high, low);
    return success();
  }
};

/// x (A - b)^T = x A^T - sum(x) b, with an offset b for each output.
struct SplitOutputOffset : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    Value weights = weightsOf(op);
    auto difference = weights ? weights.getDefiningOp<SubOp>() : SubOp();
    std::optional<ConstantView> offset = difference ? matchConstant(difference.getRhs()) : std::nullopt;
    auto values = offset && offset->type.getRank() == 2 && offset->type.getDimSize(1) == 1 ? offset->readAs<float>()
                                                                                           : std::nullopt;
    if (!values || !difference.getLhs().getDefiningOp<DequantizeOp>())
      return rewriter.notifyMatchFailure(op, "requires weights of codes less an offset per output");
    Location loc = op.getLoc();
    Value product = withFactors(rewriter, op, op.getA(), difference.getLhs());
    Value factor = createFloats(rewriter, loc, {static_cast<int64_t>(values->size())}, *values, offset->name);
    Value sum = sumLast(rewriter, loc, asFloats(rewriter, op.getA()), typeOf(op.getA()).getRank() > 1);
    Value correction = MulOp::create(rewriter, loc, op.getType(), sum, factor);
    rewriter.replaceOpWithNewOp<SubOp>(op, op.getType(), product, correction);
    return success();
  }
};

/// The same with an offset for each output and group: a product with the sums of groups.
struct SplitGroupOffset : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    Value weights = weightsOf(op);
    auto difference = weights ? weights.getDefiningOp<SubOp>() : SubOp();
    auto offset = difference ? difference.getRhs().getDefiningOp<DequantizeOp>() : DequantizeOp();
    std::optional<ConstantView> codes = offset ? matchConstant(offset.getCodes()) : std::nullopt;
    RankedTensorType type = typeOf(op.getA());
    if (!codes || !codes->isSplat || !offset.getGroupSize() || type.getRank() < 2)
      return rewriter.notifyMatchFailure(op, "requires weights of codes less an offset per group");
    std::optional<ConstantView> scales = matchConstant(offset.getScale());
    auto values = scales ? scales->readAs<float>() : std::nullopt;
    if (!values)
      return rewriter.notifyMatchFailure(op, "requires offsets whose data are there");
    Location loc = op.getLoc();
    Value product = withFactors(rewriter, op, op.getA(), difference.getLhs());
    int64_t n = scales->type.getDimSize(0), groups = scales->type.getDimSize(1);
    std::vector<float> transposed(values->size());
    for (int64_t row = 0; row < n; ++row)
      for (int64_t group = 0; group < groups; ++group)
        transposed[group * n + row] = (*values)[row * groups + group];
    SmallVector<int64_t> shape(type.getShape().drop_back()), sizes(type.getRank() - 1, 0);
    for (SmallVector<int64_t> *dims : {&shape, &sizes})
      dims->append({groups, static_cast<int64_t>(*offset.getGroupSize())});
    Value parts =
        ReshapeOp::create(rewriter, loc, type.clone(shape), op.getA(), raise::createInts(rewriter, loc, sizes),
                          /*allowzero=*/0);
    Value sums = sumLast(rewriter, loc, parts, /*keepsDims=*/false);
    Value matrix = createFloats(rewriter, loc, {groups, n}, transposed, scales->name);
    Value correction = MatMulOp::create(rewriter, loc, op.getType(), sums, matrix);
    rewriter.replaceOpWithNewOp<SubOp>(op, op.getType(), product, correction);
    return success();
  }
};

/// (x - c) A^T = x A^T - c sum(A), with one offset c for all of x.
struct SplitInputOffset : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    auto difference = op.getA().getDefiningOp<SubOp>();
    Value weights = weightsOf(op);
    auto dequantize = weights ? weights.getDefiningOp<DequantizeOp>() : DequantizeOp();
    if (!difference || !difference.getLhs().getDefiningOp<DequantizeOp>() || typeOf(difference.getRhs()).getRank() ||
        !isPerChannel(dequantize))
      return rewriter.notifyMatchFailure(op, "requires codes less one offset, and int8 weights");
    std::optional<ConstantView> codes = matchConstant(dequantize.getCodes()),
                                scale = matchConstant(dequantize.getScale());
    auto scales = scale ? scale->readAs<float>() : std::nullopt;
    if (!codes || !codes->isComplete() || !scales)
      return rewriter.notifyMatchFailure(op, "requires weights whose data are there");
    int64_t n = codes->type.getDimSize(0), k = codes->type.getDimSize(1);
    std::vector<char> bytes = codes->expanded();
    std::vector<float> sums(n);
    for (int64_t row = 0; row < n; ++row) {
      int64_t sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += static_cast<int8_t>(bytes[row * k + i]);
      sums[row] = static_cast<float>(static_cast<double>(sum) * (*scales)[row]);
    }
    Location loc = op.getLoc();
    Value product = withFactors(rewriter, op, difference.getLhs(), Value());
    Value factor = createFloats(rewriter, loc, {n}, sums, (codes->name + ".sums").str());
    Value correction = MulOp::create(rewriter, loc, factor.getType(), factor, difference.getRhs());
    rewriter.replaceOpWithNewOp<SubOp>(op, op.getType(), product, correction);
    return success();
  }
};

/// Codes of activations that something else than a product reads are cast and scaled.
struct ExpandDequantize : OpRewritePattern<DequantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DequantizeOp op, PatternRewriter &rewriter) const override {
    bool isActivation = !matchConstant(op.getCodes()) && typeOf(op.getScale()).getRank() == 0 && !op.getGroupSize();
    auto isProduct = [](OpOperand &use) {
      auto product = dyn_cast<MatMulOp>(use.getOwner());
      auto difference = dyn_cast<SubOp>(use.getOwner());
      bool isSplit = difference && llvm::all_of(difference->getUsers(), [](Operation *user) {
                       return isa<MatMulOp>(user) && isPerChannel(getQuantizedWeights(cast<MatMulOp>(user)));
                     });
      return isSplit || (product && use.getOperandNumber() == 0 && isPerChannel(getQuantizedWeights(product)));
    };
    if (!isActivation || llvm::all_of(op->getUses(), isProduct))
      return rewriter.notifyMatchFailure(op, "requires activations that something else than a product reads");
    Type type = op.getType();
    Value x = CastOp::create(rewriter, op.getLoc(), type, op.getCodes(), TypeAttr::get(rewriter.getF32Type()));
    Value y = MulOp::create(rewriter, op.getLoc(), type, x, op.getScale());
    rewriter.replaceUsesWithIf(op.getResult(), y, [&](OpOperand &use) { return !isProduct(use); });
    return success();
  }
};

struct SplitProducts : GreedyPatternPass<impl::SplitProductsBase<SplitProducts>, SplitSum, SplitOutputOffset,
                                         SplitGroupOffset, SplitInputOffset, ExpandDequantize> {};

} // namespace
} // namespace qopt
