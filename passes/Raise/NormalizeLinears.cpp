//===- NormalizeLinears.cpp - Linears become MatMul with a constant -------===//
//
// Exporters write y = x W^T + b as MatMul, as Gemm with either layout, or as a
// MatMul with a Transpose of the stored weight (always so for a head that shares
// the embedding table). After this pass the weight is a constant [K, N] and the
// bias an Add.
//
//===----------------------------------------------------------------------===//
#include "GreedyPatternPass.h"
#include "LinearForms.h"
#include "Raising.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_NORMALIZELINEARS
#include "qopt/Passes/Passes.h.inc"

namespace {

using namespace raise;

/// MatMul(x, Transpose(W)) -> MatMul(x, W transposed).
struct FoldTranspose : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    WrittenWeight weight;
    if (!weight.match(op.getB()) || !weight.isTransposed)
      return rewriter.notifyMatchFailure(op, "requires a transposed constant matrix");
    bool isShared = !weight.source.hasOneUse();
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointAfterValue(op.getB());
    Value transposed = weight.createTransposed(rewriter), old = op.getB();
    if (!transposed)
      return rewriter.notifyMatchFailure(op, "requires a constant whose data are there");
    // All products with this weight get the same copy.
    for (OpOperand &use : llvm::make_early_inc_range(old.getUses())) {
      auto product = dyn_cast<MatMulOp>(use.getOwner());
      if (!product || use.getOperandNumber() != 1)
        continue;
      rewriter.modifyOpInPlace(product, [&] {
        use.set(transposed);
        if (auto resource = dyn_cast<DenseResourceElementsAttr>(weight.constant); resource && isShared)
          setAttr<qopt::attrs::Tied>(product, rewriter.getStringAttr(resource.getRawHandle().getKey()));
      });
    }
    return success();
  }
};

/// Gemm(x, W, b) -> Add(MatMul(x, W), b), with the factors alpha and beta.
struct SplitGemm : OpRewritePattern<GemmOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GemmOp op, PatternRewriter &rewriter) const override {
    if (!WrittenWeight().match(op.getA()) && !WrittenWeight().match(op.getB()))
      return rewriter.notifyMatchFailure(op, "requires a constant weight");
    Location loc = op.getLoc();
    // Beside the weight, so that all products with it read one transpose.
    auto transposed = [&](Value value, bool isTransposed) -> Value {
      if (!isTransposed)
        return value;
      for (Operation *user : value.getUsers())
        if (auto transpose = dyn_cast<TransposeOp>(user); transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0} &&
                                                          transpose->getBlock() == op->getBlock() &&
                                                          transpose->isBeforeInBlock(op))
          return transpose.getTransposed();
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointAfterValue(value);
      return swapLast(rewriter, loc, value);
    };
    Value x = transposed(op.getA(), op.getTransA() != 0), weights = transposed(op.getB(), op.getTransB() != 0);
    auto product = MatMulOp::create(rewriter, loc, op.getType(), x, weights);
    copyScope(op, product);
    Value result = scaledBy(rewriter, loc, product, op.getAlpha());
    if (op.getC())
      result = AddOp::create(rewriter, loc, op.getType(), result, scaledBy(rewriter, loc, op.getC(), op.getBeta()));
    rewriter.replaceOp(op, result);
    return success();
  }
};

void setAxis(PatternRewriter &, SplitOp op, int64_t axis) { op.setAxis(axis); }
void setAxis(PatternRewriter &, GatherOp op, int64_t axis) { op.setAxis(axis); }
void setAxis(PatternRewriter &rewriter, SqueezeOp op, int64_t axis) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  op.getAxesMutable().assign(raise::createInts(rewriter, op.getLoc(), {axis}));
}

bool takesFromFront(SplitOp op) { return frontAxis(op.getAxis(), typeOf(op.getInput()).getRank()) == 0; }
bool takesFromFront(GatherOp op) {
  return frontAxis(op.getAxis(), typeOf(op.getData()).getRank()) == 0 && typeOf(op.getIndices()).getRank() == 0;
}
bool takesFromFront(SqueezeOp op) { return getConstantAxis(op.getAxes(), typeOf(op.getData()).getRank()) == 0; }

/// Queries, keys and values of a packed product, brought to the front to be taken apart: taken from where
/// they are, before they are transposed, so that texts stay the first dimension.
template <typename Op>
struct TakeBeforeTranspose : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    auto transpose = op->getOperand(0).template getDefiningOp<TransposeOp>();
    if (!transpose || transpose.getPerm().empty() || transpose.getPerm().front() == 0 || !takesFromFront(op))
      return rewriter.notifyMatchFailure(op, "requires parts of what a transpose brings to the front");
    int64_t front = transpose.getPerm().front();
    SmallVector<int64_t> perm(transpose.getPerm());
    if (typeOf(op->getResult(0)).getRank() < typeOf(op->getOperand(0)).getRank()) {
      perm.erase(perm.begin());
      for (int64_t &dim : perm)
        dim -= dim > front;
    }
    auto parts = cast<Op>(rewriter.clone(*op));
    parts->setOperand(0, transpose.getData());
    setAxis(rewriter, parts, front);
    SmallVector<Value> transposed;
    for (OpResult part : parts->getResults()) {
      RankedTensorType type = typeOf(part);
      SmallVector<int64_t> shape(perm.size());
      for (auto [dim, size] : llvm::zip_equal(perm, type.getShape()))
        shape[dim] = size;
      part.setType(type.clone(shape));
      transposed.push_back(part);
      if (llvm::is_sorted(perm))
        continue;
      transposed.back() = TransposeOp::create(rewriter, op.getLoc(), type, part, perm);
      copyScope(op, transposed.back().getDefiningOp());
    }
    rewriter.replaceOp(op, transposed);
    return success();
  }
};

/// Squeeze(Transpose(Unsqueeze(x))) that drops the dimension that was added -> Transpose(x).
struct DropAddedDimension : OpRewritePattern<SqueezeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SqueezeOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getData().getDefiningOp<TransposeOp>();
    auto unsqueeze = transpose ? transpose.getData().getDefiningOp<UnsqueezeOp>() : UnsqueezeOp();
    int64_t rank = typeOf(op.getData()).getRank();
    std::optional<int64_t> dropped = getConstantAxis(op.getAxes(), rank);
    std::optional<int64_t> added = unsqueeze ? getConstantAxis(unsqueeze.getAxes(), rank) : std::nullopt;
    if (!dropped || !added || static_cast<int64_t>(transpose.getPerm().size()) != rank ||
        transpose.getPerm()[*dropped] != *added)
      return rewriter.notifyMatchFailure(op, "requires the dimension that was added before a transpose");
    SmallVector<int64_t> perm;
    for (int64_t dim : transpose.getPerm())
      if (dim != *added)
        perm.push_back(dim - (dim > *added));
    auto direct = TransposeOp::create(rewriter, op.getLoc(), op.getType(), unsqueeze.getData(), perm);
    copyScope(op, direct);
    rewriter.replaceOp(op, direct);
    return success();
  }
};

/// The operator between a constant and `value` that keeps it from being one; null where
/// there is no constant, or nothing in between.
Operation *findObstacle(Value value) {
  Operation *op = value.getDefiningOp();
  for (Operation *next = op;
       next && isa<CastOp, ExpandOp, IdentityOp, ReshapeOp, SqueezeOp, TransposeOp, UnsqueezeOp>(next);
       next = next->getOperand(0).getDefiningOp())
    if (matchConstant(next->getOperand(0)))
      return op;
  return nullptr;
}

/// Why a product of an activation with constant weights is no linear layer; empty if it is
/// one, or no such product.
std::string whyNotLinear(MatMulOp op, const llvm::DenseSet<Value> &activations, const ReasonListener &reasons) {
  Value a = op.getA(), b = op.getB();
  if (std::optional<ConstantView> weight = matchWeight(a); weight && activations.contains(b))
    return "the weights " + typeText(weight->type) + " are the first factor, not the second";
  if (!activations.contains(a))
    return "";
  if (std::optional<ConstantView> weight = matchWeight(b))
    return weight->type.getRank() == 2 ? "" : "expected weights [K, N] but got " + typeText(weight->type);
  if (WrittenWeight weight; weight.match(b) && weight.isTransposed)
    return reasons.reasonOf(op);
  if (Operation *obstacle = findObstacle(b))
    return "the weights go through '" + obstacle->getName().getStringRef().str() + "' to " + typeText(b.getType());
  return "";
}

struct NormalizeLinears : GreedyPatternPass<impl::NormalizeLinearsBase<NormalizeLinears>, FoldTranspose, DropUnitBatch,
                                            DropUnitBatchOfFirst, JoinHeads, SumHeads, SwapFactors, DropTwoTransposes,
                                            SplitGemm, DropAddedDimension, TakeBeforeTranspose<SplitOp>,
                                            TakeBeforeTranspose<GatherOp>, TakeBeforeTranspose<SqueezeOp>> {
  void explain(const ReasonListener &reasons) override {
    if (!raise::isGraph(getOperation()))
      return;
    llvm::DenseSet<Value> activations = raise::ModelInputs(getOperation()).activations();
    for (Operation &op : getOperation().front()) {
      std::string reason;
      if (auto matmul = dyn_cast<MatMulOp>(op))
        reason = whyNotLinear(matmul, activations, reasons);
      else if (auto gemm = dyn_cast<GemmOp>(op);
               gemm && activations.contains(gemm.getA()) && (matchWeight(gemm.getB()) || findObstacle(gemm.getB())))
        reason = reasons.reasonOf(gemm);
      if (!reason.empty())
        remarkMissed(op.getLoc(), topics::kLinear, "this product is no linear layer and stays float: " + reason);
    }
  }
};

} // namespace
} // namespace qopt
