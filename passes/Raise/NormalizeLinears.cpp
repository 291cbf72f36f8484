//===- NormalizeLinears.cpp - Linears become MatMul with a constant -------===//
//
// Exporters write y = x W^T + b as MatMul, as Gemm with either layout, or as a
// MatMul with a Transpose of the stored weight (always so for a head that shares
// the embedding table). After this pass the weight is a constant [K, N] and the
// bias an Add.
//
//===----------------------------------------------------------------------===//
#include "GreedyPatternPass.h"
#include "Raising.h"
#include "mlir/IR/AsmState.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_NORMALIZELINEARS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// The transpose of the matrix `value`: a copy, where it may not be deferred.
ElementsAttr transpose(ElementsAttr value) {
  ConstantView view = viewConstant(value);
  int64_t rows = view.type.getDimSize(0), cols = view.type.getDimSize(1), bytes = view.elementBytes();
  auto transposed = RankedTensorType::get({cols, rows}, view.type.getElementType());
  if (view.isSplat)
    return cast<DenseElementsAttr>(value).resizeSplat(transposed);
  if (!view.isComplete() || view.isPacked)
    return {};
  std::string name = view.name.empty() ? "transposed" : view.name.str() + ".transposed";
  if (DeferredData *deferred = DeferredData::get(*value.getContext()); deferred && !view.deferred)
    return deferred->add(transposed, name, DeferredConstant::ofTranspose(value));
  std::vector<char> made = view.deferred ? view.expanded() : std::vector<char>();
  const char *from = view.deferred ? made.data() : view.bytes.data();
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(view.expandedBytes(), 64, /*dataIsMutable=*/true);
  char *to = blob.getMutableData().data();
  // In tiles, so that neither side strides through memory.
  constexpr int64_t tile = 32;
  for (int64_t r0 = 0; r0 < rows; r0 += tile)
    for (int64_t c0 = 0; c0 < cols; c0 += tile)
      for (int64_t r = r0; r < std::min(r0 + tile, rows); ++r)
        for (int64_t c = c0; c < std::min(c0 + tile, cols); ++c)
          std::memcpy(to + (c * rows + r) * bytes, from + (r * cols + c) * bytes, bytes);
  return DenseResourceElementsAttr::get(transposed, name, std::move(blob));
}

/// A weight as it is written: a constant matrix, perhaps transposed, perhaps cast to
/// another type.
struct WrittenWeight {
  Value source;
  ElementsAttr constant;
  Type castTo;
  bool isTransposed = false;

  bool match(Value value) {
    source = value;
    if (auto cast = source.getDefiningOp<CastOp>())
      lookThrough(cast);
    if (auto transpose = source.getDefiningOp<TransposeOp>()) {
      isTransposed = true;
      source = transpose.getData();
    }
    if (auto cast = source.getDefiningOp<CastOp>(); cast && !castTo)
      lookThrough(cast);
    std::optional<ConstantView> view = matchConstant(source);
    if (!view || view->type.getRank() != 2)
      return false;
    constant = view->value;
    return true;
  }

  void lookThrough(CastOp cast) {
    castTo = cast.getTo();
    source = cast.getInput();
  }

  /// Its transpose as a constant, cast again; null where the data are not there.
  Value createTransposed(OpBuilder &builder) const {
    ElementsAttr value = transpose(constant);
    if (!value)
      return {};
    Value result = ConstantOp::create(builder, source.getLoc(), value);
    if (!castTo)
      return result;
    RankedTensorType type = cast<RankedTensorType>(result.getType()).clone(castTo);
    return CastOp::create(builder, source.getLoc(), type, result, TypeAttr::get(castTo));
  }
};

/// MatMul(x, Transpose(W)) -> MatMul(x, W transposed).
struct FoldTranspose : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    WrittenWeight weight;
    if (!weight.match(op.getB()) || !weight.isTransposed)
      return rewriter.notifyMatchFailure(op, "requires a transposed constant matrix");
    bool isShared = !weight.source.hasOneUse();
    Value transposed = weight.createTransposed(rewriter);
    if (!transposed)
      return rewriter.notifyMatchFailure(op, "requires a constant whose data are there");
    rewriter.modifyOpInPlace(op, [&] {
      op.getBMutable().assign(transposed);
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(weight.constant); resource && isShared)
        setAttr<qopt::attrs::Tied>(op, rewriter.getStringAttr(resource.getRawHandle().getKey()));
    });
    return success();
  }
};

/// Gemm(x, W, b) -> Add(MatMul(x, W), b).
struct SplitGemm : OpRewritePattern<GemmOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GemmOp op, PatternRewriter &rewriter) const override {
    WrittenWeight weight;
    if (!weight.match(op.getB()) || weight.isTransposed)
      return rewriter.notifyMatchFailure(op, "requires a constant weight");
    if (op.getTransA() || !op.getAlpha().isExactlyValue(1.0) || (op.getC() && !op.getBeta().isExactlyValue(1.0)))
      return rewriter.notifyMatchFailure(op, [&](Diagnostic &why) {
        why << "requires factors of 1 and an input that is not transposed, but got alpha = "
            << op.getAlpha().convertToDouble() << ", beta = " << op.getBeta().convertToDouble()
            << ", transA = " << (op.getTransA() ? 1 : 0);
      });
    Value weights = op.getB();
    if (op.getTransB()) {
      weights = weight.createTransposed(rewriter);
      if (!weights)
        return rewriter.notifyMatchFailure(op, "requires a constant whose data are there");
    }
    auto product = MatMulOp::create(rewriter, op.getLoc(), op.getA(), weights);
    copyScope(op, product);
    Value result = product;
    if (op.getC())
      result = AddOp::create(rewriter, op.getLoc(), result, op.getC());
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// The operator between a constant and `value` that keeps it from being one; null where
/// there is no constant, or nothing in between.
Operation *findObstacle(Value value) {
  Operation *op = value.getDefiningOp();
  for (Operation *next = op; next && isa<CastOp, IdentityOp, ReshapeOp, SqueezeOp, TransposeOp, UnsqueezeOp>(next);
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

struct NormalizeLinears : GreedyPatternPass<impl::NormalizeLinearsBase<NormalizeLinears>, FoldTranspose, SplitGemm> {
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
