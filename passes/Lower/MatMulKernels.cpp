//===- MatMulKernels.cpp - Matrix products become kernels -----------------===//
//
// Weights are packed, activations become rows. A float weight that is no constant is packed
// by the program itself.
//
//===----------------------------------------------------------------------===//
#include "KernelPatterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Codegen/Packing.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// The float destination [R, N] of a product of these rows.
Value emptyResult(RowsBuilder &b, Value rows, int64_t n) { return b.emptyRows(rows, n, b.getF32Type()); }

/// W [K, N] that is no constant, in the form of packFloatWeights: worth it for the
/// many rows of calibration, where stages get their weights as arguments.
Value packAtRunTime(RowsBuilder &b, Value w) {
  Type f32 = b.getF32Type();
  int64_t k = typeOf(w).getDimSize(0), n = typeOf(w).getDimSize(1);
  if (int64_t rest = n % kernel::kColumns) {
    auto type = RankedTensorType::get({k, kernel::kColumns - rest}, f32);
    Value zeros = onnx::ConstantOp::create(b, DenseElementsAttr::get(type, 0.0f));
    w = onnx::ConcatOp::create(b, ValueRange{w, zeros}, /*axis=*/uint64_t(1));
  }
  Value columns = tensor::ExpandShapeOp::create(b, RankedTensorType::get({k, blocksOf(n), kernel::kColumns}, f32), w,
                                                ArrayRef<ReassociationIndices>{{0}, {1, 2}});
  return onnx::TransposeOp::create(b, columns, ArrayRef<int64_t>{1, 0, 2});
}

struct FloatProduct : KernelPattern<onnx::MatMulOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(onnx::MatMulOp op, PatternRewriter &rewriter) const override {
    RankedTensorType type = typeOf(op.getB());
    if (!isFloatTensor(op.getA()) || !type.getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "requires factors of f32 but got " + typeText(op.getA().getType()) +
                                                 " and " + typeText(type));
    if (typeOf(op.getA()).getRank() < 1 || type.getRank() != 2)
      return rewriter.notifyMatchFailure(op, "requires rows times a matrix but got " + typeText(op.getA().getType()) +
                                                 " and " + typeText(type));
    if (!type.hasStaticShape() || type.getNumElements() == 0)
      return rewriter.notifyMatchFailure(op, "requires a weight of known size but got " + typeText(type));
    RowsBuilder b(op.getLoc(), rewriter);
    int64_t k = type.getDimSize(0), n = type.getDimSize(1);
    std::optional<ConstantView> weight = matchFloatWeight(op.getB());
    Value packed = weight ? parameters.createFloatWeight(b, *weight) : packAtRunTime(b, op.getB());
    Value rows = b.toRows(op.getA(), k), init = emptyResult(b, rows, n);
    auto product = kernel::MatmulFloatOp::create(b, init.getType(), rows, packed, init);
    rewriter.replaceOp(op, b.fromRows(product.getResult(0), op.getA(), 1, op.getType()));
    return success();
  }
};

struct W8A16Product : KernelPattern<MatmulW8A16Op> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(MatmulW8A16Op op, PatternRewriter &rewriter) const override {
    Type i8 = rewriter.getI8Type();
    std::optional<ConstantView> w = matchData(op.getW(), i8, 2);
    if (!w || w->numElements() == 0)
      return rewriter.notifyMatchFailure(op, "requires constant codes [N, K] of i8");
    RowsBuilder b(op.getLoc(), rewriter);
    int64_t n = w->type.getDimSize(0), k = w->type.getDimSize(1);
    Value scales, zeros;
    if (op.getGroupSize()) {
      scales = packGroups(b, op.getWScale());
      zeros = op.getZeros() ? packGroups(b, op.getZeros()) : Value();
      if (!scales || (op.getZeros() && !zeros))
        return rewriter.notifyMatchFailure(op, "requires constant scales and zero points");
    } else {
      scales = b.withShape(op.getWScale(), {n});
    }
    Value packed = parameters.createInt8Columns(b, *w);
    Value rows = b.toRows(op.getX(), k), init = emptyResult(b, rows, n);
    auto product = kernel::MatmulW8A16Op::create(b, init.getType(), rows, packed, scales, zeros, init,
                                                 op.getGroupSizeAttr(), op.getFloat8Attr());
    rewriter.replaceOp(op, b.fromRows(product.getResult(0), op.getX(), 1, op.getType()));
    return success();
  }

private:
  /// A constant [N, groups] in the form of the kernel; null where it is none.
  Value packGroups(RowsBuilder &b, Value value) const {
    Type element = typeOf(value).getElementType();
    std::optional<ConstantView> view = matchData(value, element, 2);
    if (!view)
      return {};
    int64_t bytes = view->elementBytes(), groups = view->type.getDimSize(1);
    auto type = RankedTensorType::get({blocksOf(view->type.getDimSize(0)), groups, kernel::kColumns}, element);
    return parameters.createPacked(
        b, *view, "groups", type, *view,
        [=](ArrayRef<const char *> rows, int64_t n, char *to) { packRows(rows[0], bytes, n, groups, to); });
  }
};

/// The weights of four bits of a product, as constants, and what they become.
struct Int4Parameters {
  std::optional<ConstantView> w, scale, zeros;
  int64_t k, size, groups = 0;
  Value codes = {}, scales = {}, zeroPoints = {};

  template <typename Product>
  explicit Int4Parameters(Product op)
      : w(matchData(op.getW(), IntegerType::get(op.getContext(), 8), 2)),
        scale(matchData(op.getScale(), typeOf(op.getScale()).getElementType(), 2)),
        zeros(op.getZeros() ? matchData(op.getZeros(), typeOf(op.getZeros()).getElementType(), 2) : std::nullopt),
        k(widthOf(op.getX())), size(op.getGroupSize()), hasZeros(op.getZeros()) {}

  int64_t outputs() const { return w->type.getDimSize(0); }

  /// Whether a kernel takes them.
  LogicalResult check(Operation *op, PatternRewriter &rewriter) {
    if (!w || !scale || (hasZeros && !zeros))
      return rewriter.notifyMatchFailure(op, "requires constant codes, scales and zero points");
    int64_t n = outputs();
    if (!k || !n)
      return rewriter.notifyMatchFailure(op,
                                         "requires known inputs and outputs but got " + Twine(k) + " and " + Twine(n));
    groups = size <= 0 ? 1 : llvm::divideCeil(k, size);
    int64_t bytes = llvm::divideCeil(k, 2);
    SmallVector<int64_t> expected{n, groups};
    if (w->type.getDimSize(1) != bytes || scale->type.getShape() != ArrayRef(expected) ||
        (zeros && zeros->type.getShape() != ArrayRef(expected)))
      return rewriter.notifyMatchFailure(op, [&](Diagnostic &why) {
        why << "requires " << bytes << " bytes of codes per output, and " << groups
            << " scales and zero points, but got codes " << w->type << " and scales " << scale->type;
      });
    return success();
  }

  void pack(RowsBuilder &b, PackedParameters &parameters) {
    Type i8 = b.getI8Type();
    int64_t n = outputs(), scaleBytes = scale->elementBytes();
    Int4Layout layout(k, size);
    bool hasSigns = zeros && zeros->type.getElementType().isInteger(8) && zeros->isWithin(7, 8);
    std::string form = "int4_g" + std::to_string(size);
    auto perGroup = [&](Type element) {
      return RankedTensorType::get({blocksOf(n), layout.groups, kernel::kColumns}, element);
    };
    // Zero points may change the codes and the scales.
    SmallVector<ConstantView> ofCodes{*w}, ofScales{*scale};
    if (hasSigns)
      for (SmallVector<ConstantView> *inputs : {&ofCodes, &ofScales})
        inputs->push_back(*zeros);
    auto signsOf = [](ArrayRef<const char *> rows) { return rows.size() > 1 ? bytesAt(rows[1]) : nullptr; };
    auto steps = RankedTensorType::get({blocksOf(n), layout.steps, 4 * kernel::kColumns}, i8);
    codes = parameters.createPacked(b, *w, form, steps, ofCodes, [=](ArrayRef<const char *> rows, int64_t n, char *to) {
      packInt4Codes(layout, bytesAt(rows[0]), signsOf(rows), n, bytesAt(to));
    });
    scales = parameters.createPacked(b, *scale, form, perGroup(scale->type.getElementType()), ofScales,
                                     [=](ArrayRef<const char *> rows, int64_t n, char *to) {
                                       packInt4Scales(layout, rows[0], scaleBytes, signsOf(rows), n, to);
                                     });
    if (zeros && !hasSigns) {
      int64_t bytes = zeros->elementBytes();
      zeroPoints = parameters.createPacked(
          b, *zeros, form, perGroup(zeros->type.getElementType()), *zeros,
          [=](ArrayRef<const char *> rows, int64_t n, char *to) { packRows(rows[0], bytes, n, layout.groups, to); });
    }
  }

private:
  bool hasZeros;
};

struct W4A16Product : KernelPattern<MatmulW4A16Op> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(MatmulW4A16Op op, PatternRewriter &rewriter) const override {
    Int4Parameters weights(op);
    if (failed(weights.check(op, rewriter)))
      return failure();
    RowsBuilder b(op.getLoc(), rewriter);
    weights.pack(b, parameters);
    Value rows = b.toRows(op.getX(), weights.k), init = emptyResult(b, rows, weights.outputs());
    auto product = kernel::MatmulW4A16Op::create(b, init.getType(), rows, weights.codes, weights.scales,
                                                 weights.zeroPoints, init, op.getGroupSizeAttr(), op.getTableAttr());
    rewriter.replaceOp(op, b.fromRows(product.getResult(0), op.getX(), 1, op.getType()));
    return success();
  }
};

struct W4A8Product : KernelPattern<MatmulW4A8Op> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(MatmulW4A8Op op, PatternRewriter &rewriter) const override {
    Int4Parameters weights(op);
    if (failed(weights.check(op, rewriter)))
      return failure();
    RowsBuilder b(op.getLoc(), rewriter);
    weights.pack(b, parameters);
    Value xScale = b.toRows(op.getXScale(), widthOf(op.getXScale()));
    Value rows = b.toRows(op.getX(), weights.k), init = emptyResult(b, rows, weights.outputs());
    auto product =
        kernel::MatmulW4A8Op::create(b, init.getType(), rows, xScale, weights.codes, weights.scales, weights.zeroPoints,
                                     init, op.getGroupSizeAttr(), op.getXGroupSizeAttr());
    rewriter.replaceOp(op, b.fromRows(product.getResult(0), op.getX(), 1, op.getType()));
    return success();
  }
};

struct W8A8Product : KernelPattern<MatmulW8A8Op> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(MatmulW8A8Op op, PatternRewriter &rewriter) const override {
    std::optional<ConstantView> w = matchData(op.getW(), rewriter.getI8Type(), 2), kept;
    if (!w || w->numElements() == 0)
      return rewriter.notifyMatchFailure(op, "requires constant codes [N, K] of i8");
    if (Value weights = op.getOutlierWeights()) {
      kept = matchData(weights, typeOf(weights).getElementType(), 2);
      if (!kept)
        return rewriter.notifyMatchFailure(op, "requires constant weights of outlier columns");
    }
    RowsBuilder b(op.getLoc(), rewriter);
    int64_t n = w->type.getDimSize(0), k = w->type.getDimSize(1);
    Value xScale = b.flatten(op.getXScale()); // [...] as [R]
    Value weights = parameters.createInt8Dot(b, *w);
    auto sums = RankedTensorType::get({blocksOf(n) * kernel::kColumns}, b.getI32Type());
    Value correction =
        parameters.createPacked(b, *w, "correction", sums, *w, [k](ArrayRef<const char *> rows, int64_t n, char *to) {
          packDotCorrection(bytesAt(rows[0]), n, k, reinterpret_cast<int32_t *>(to));
        });
    Value scales = b.withShape(op.getWScale(), {n});
    Outliers outliers = kept ? keep(b, op, *kept, n) : Outliers();
    if (op.getColumns())
      outliers = {b.toRows(op.getOutliers(), k), b.withShape(op.getColumns(), {k})};
    Value rows = b.toRows(op.getX(), k), init = emptyResult(b, rows, n);
    auto product =
        kernel::MatmulW8A8Op::create(b, init.getType(), rows, xScale, weights, correction, scales, outliers.rows,
                                     outliers.columns, outliers.weights, outliers.count, init);
    rewriter.replaceOp(op, b.fromRows(product.getResult(0), op.getX(), 1, op.getType()));
    return success();
  }

private:
  struct Outliers {
    Value rows = {}, columns = {}, weights = {}, count = {};
  };

  /// Of columns found by calibration, whose weights were kept apart.
  Outliers keep(RowsBuilder &b, MatmulW8A8Op op, const ConstantView &kept, int64_t n) const {
    int64_t m = kept.type.getDimSize(1);
    Type element = kept.type.getElementType();
    Outliers outliers;
    outliers.rows = b.toRows(op.getOutliers(), m);
    int64_t bytes = kept.elementBytes();
    outliers.weights = parameters.createPacked(
        b, kept, "packed", RankedTensorType::get({blocksOf(n), m, kernel::kColumns}, element), kept,
        [=](ArrayRef<const char *> rows, int64_t n, char *to) { packRows(rows[0], bytes, n, m, to); });
    auto count = DenseElementsAttr::get(RankedTensorType::get({1}, b.getI32Type()), static_cast<int32_t>(m));
    outliers.count = onnx::ConstantOp::create(b, count);
    return outliers;
  }
};

} // namespace

void lowering::populateMatMulKernels(RewritePatternSet &patterns, PackedParameters &parameters) {
  patterns.add<FloatProduct, W8A16Product, W4A16Product, W4A8Product, W8A8Product>(patterns.getContext(), parameters);
}
