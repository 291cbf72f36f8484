//===- DecoderKernels.cpp - Parts of a decoder become kernels -------------===//
//
// Embedding, normalization, rotation of positions, and how tensors are seen as heads.
// Attention is in AttentionKernels.cpp.
//
//===----------------------------------------------------------------------===//
#include "KernelPatterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Dialect/Linear.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

const char *lowering::whyNotHeads(Value x, int64_t heads) {
  RankedTensorType type = typeOf(x);
  if (type.getRank() == 3) {
    int64_t hidden = widthOf(x);
    return heads < 1 || !hidden || hidden % heads ? "requires known features that are a multiple of known heads"
                                                  : nullptr;
  }
  if (type.getRank() != 4)
    return "requires heads, of rank 3 or 4";
  bool isKnown = !type.isDynamicDim(1) && !type.isDynamicDim(3) && type.getDimSize(1) && type.getDimSize(3);
  return isKnown ? nullptr : "requires known heads and head size";
}

Value lowering::toHeads(RowsBuilder &b, Value x, int64_t heads) {
  return typeOf(x).getRank() == 3 ? b.splitHeads(x, heads) : x;
}

Value lowering::fromHeads(RowsBuilder &b, Value y, ArrayRef<OpFoldResult> sizes, RankedTensorType type) {
  SmallVector<Value> leading;
  for (OpFoldResult size : sizes)
    leading.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), size));
  if (type.getRank() == 3)
    y = tensor::CollapseShapeOp::create(b, y, ArrayRef<ReassociationIndices>{{0}, {1}, {2, 3}});
  else
    leading.insert(leading.begin() + 1, b.dim(y, 1));
  return b.withShape(y, type.getShape(), leading);
}

bool lowering::fitsF32(Value x) {
  Type type = typeOf(x).getElementType();
  return type.isF32() || type.isF16() || type.isBF16();
}

Value lowering::widen(RowsBuilder &b, Value x) {
  return isFloatTensor(x) ? x : onnx::CastOp::create(b, x, b.getF32Type()).getResult();
}

namespace {

//===----------------------------------------------------------------------===//
// Norms, Gather
//===----------------------------------------------------------------------===//

/// K, where a norm over `axis` of x with a scale has a kernel; else 0, having said why.
int64_t rowsOfNorm(Operation *op, int64_t axis, Value x, Value scale, PatternRewriter &rewriter) {
  auto fail = [&](const Twine &why) -> int64_t {
    (void)rewriter.notifyMatchFailure(op, why);
    return 0;
  };
  int64_t rank = typeOf(x).getRank();
  if (axis != rank - 1 && axis != -1)
    return fail("requires the last axis of " + Twine(rank) + " but got " + Twine(axis));
  if (!isFloatTensor(x) || !isFloatTensor(scale))
    return fail("requires f32 but got " + typeText(x.getType()) + " and a scale " + typeText(scale.getType()));
  int64_t k = typeOf(scale).getRank() == 1 ? widthOf(scale) : 0, last = typeOf(x).getShape().back();
  if (!k || (!ShapedType::isDynamic(last) && last != k))
    return fail("requires a scale for each feature of " + typeText(x.getType()) + ", of known size, but got " +
                typeText(scale.getType()));
  return k;
}

struct RmsNorm : KernelPattern<onnx::RMSNormalizationOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(onnx::RMSNormalizationOp op, PatternRewriter &rewriter) const override {
    Value x = op.getX(), scale = op.getScale();
    int64_t k = rowsOfNorm(op, op.getAxis(), x, scale, rewriter);
    if (!k)
      return failure();
    RowsBuilder b(op.getLoc(), rewriter);
    Value rows = b.toRows(x, k), init = b.emptyRows(rows, k, b.getF32Type());
    auto norm = kernel::RmsNormOp::create(b, init.getType(), rows, scale, init, op.getEpsilonAttr());
    rewriter.replaceOp(op, b.fromRows(norm.getResult(0), x, 1, op.getType()));
    return success();
  }
};

struct LayerNorm : KernelPattern<onnx::LayerNormalizationOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(onnx::LayerNormalizationOp op, PatternRewriter &rewriter) const override {
    Value x = op.getX(), scale = op.getScale(), bias = op.getB();
    int64_t k = rowsOfNorm(op, op.getAxis(), x, scale, rewriter);
    if (!k)
      return failure();
    if (bias && bias.getType() != scale.getType())
      return rewriter.notifyMatchFailure(op, "requires a bias like the scale " + typeText(scale.getType()) +
                                                 ", but got " + typeText(bias.getType()));
    if (!op.getMean().use_empty() || !op.getInvStdDev().use_empty())
      return rewriter.notifyMatchFailure(op, "computes no mean and deviation that are read");
    RowsBuilder b(op.getLoc(), rewriter);
    Value rows = b.toRows(x, k), init = b.emptyRows(rows, k, b.getF32Type());
    auto norm = kernel::LayerNormOp::create(b, init.getType(), rows, scale, bias, init, op.getEpsilonAttr());
    rewriter.replaceAllUsesWith(op.getY(), b.fromRows(norm.getResult(0), x, 1, op.getY().getType()));
    rewriter.eraseOp(op);
    return success();
  }
};

/// The codes [V, K] of a table that is quantized to int8 with a scale per row.
std::optional<ConstantView> matchCodes(Value table) {
  auto dequantize = table.getDefiningOp<DequantizeOp>();
  if (!isPerChannel(dequantize))
    return std::nullopt;
  return matchData(dequantize.getCodes(), Builder(table.getContext()).getI8Type(), 2);
}

struct Gather : KernelPattern<onnx::GatherOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(onnx::GatherOp op, PatternRewriter &rewriter) const override {
    Value data = op.getData(), indices = op.getIndices();
    RankedTensorType table = typeOf(data);
    if (table.getRank() != 2 || op.getAxis() != 0)
      return rewriter.notifyMatchFailure(op, "requires rows of a matrix");
    int64_t k = widthOf(data);
    if (!k)
      return rewriter.notifyMatchFailure(op, "requires rows of known size");
    if (typeOf(indices).getRank() < 1)
      return rewriter.notifyMatchFailure(op, "requires several indices");
    RowsBuilder b(op.getLoc(), rewriter);
    Value flat = b.flatten(indices), init = b.empty({b.size(flat, 0), b.getIndexAttr(k)}, table.getElementType());
    DequantizeOp dequantize;
    Value packed, scales;
    if (std::optional<ConstantView> weight = parameters.findTiedWeight(data)) {
      packed = parameters.createFloatWeight(b, *weight);
    } else if (std::optional<ConstantView> codes = matchCodes(data)) {
      dequantize = data.getDefiningOp<DequantizeOp>();
      scales = b.withShape(dequantize.getScale(), {table.getDimSize(0)});
      packed = parameters.createAsProduct(b, *codes);
      data = dequantize.getCodes();
    }
    IntegerAttr rows = packed ? b.getI64IntegerAttr(table.getDimSize(0)) : IntegerAttr();
    auto gather = kernel::GatherOp::create(b, init.getType(), packed ? packed : data, flat, scales, init, rows);
    rewriter.replaceOp(op, b.fromRows(gather.getResult(0), indices, 0, op.getType()));
    if (dequantize && dequantize->use_empty())
      rewriter.eraseOp(dequantize);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

struct Rotary : KernelPattern<onnx::RotaryEmbeddingOp> {
  using KernelPattern::KernelPattern;

  LogicalResult matchAndRewrite(onnx::RotaryEmbeddingOp op, PatternRewriter &rewriter) const override {
    Value positions = op.getPositionIds();
    RankedTensorType table = typeOf(op.getCosCache());
    if (!fitsF32(op.getX()) || !fitsF32(op.getCosCache()) || !fitsF32(op.getSinCache()))
      return rewriter.notifyMatchFailure(op, "requires floats of at most 32 bits but got " +
                                                 typeText(op.getX().getType()) + " and tables " + typeText(table));
    if (table.getRank() != (positions ? 2 : 3) || (positions && typeOf(positions).getRank() != 2))
      return rewriter.notifyMatchFailure(op, "requires tables for all positions, or for all tokens, but got " +
                                                 typeText(table));
    if (const char *reason = whyNotHeads(op.getX(), op.getNumHeads()))
      return rewriter.notifyMatchFailure(op, reason);
    bool headsFirst = typeOf(op.getX()).getRank() == 4;
    int64_t size = headsFirst ? widthOf(op.getX()) : widthOf(op.getX()) / op.getNumHeads();
    int64_t rotated = op.getRotaryEmbeddingDim() ? op.getRotaryEmbeddingDim() : size;
    if (rotated < 2 || rotated % 2 || rotated > size)
      return rewriter.notifyMatchFailure(op, "requires pairs of elements within a head of " + Twine(size) +
                                                 " but got " + Twine(rotated) + " that turn");

    RowsBuilder b(op.getLoc(), rewriter);
    Value x = widen(b, toHeads(b, op.getX(), op.getNumHeads()));
    auto withPairs = [&](Value table) {
      SmallVector<int64_t> shape(typeOf(table).getShape());
      shape.back() = rotated / 2;
      return b.withShape(widen(b, table), shape);
    };
    Value cos = withPairs(op.getCosCache()), sin = withPairs(op.getSinCache());
    for (int64_t i = 0; i + 1 < table.getRank(); ++i)
      b.requireEqual(b.dim(cos, i), b.dim(sin, i));
    unsigned tokens = headsFirst ? 2 : 1;
    SmallVector<OpFoldResult> sizes;
    for (int64_t i = 0; i < 4; ++i)
      sizes.push_back(b.size(x, i));
    Value init = b.empty(sizes, b.getF32Type());
    auto rotary = kernel::RotaryOp::create(
        b, init.getType(), x, cos, sin, positions, init, b.getI64IntegerAttr(rotated),
        op.getInterleaved() ? b.getUnitAttr() : UnitAttr(), headsFirst ? b.getUnitAttr() : UnitAttr());
    Value result = rotary.getResult(0);
    if (Type element = typeOf(op.getX()).getElementType(); !element.isF32())
      result = onnx::CastOp::create(b, result, element);
    rewriter.replaceOp(op, fromHeads(b, result, {sizes[0], sizes[tokens]}, op.getType()));
    return success();
  }
};

} // namespace

void lowering::populateDecoderKernels(RewritePatternSet &patterns, PackedParameters &parameters) {
  patterns.add<RmsNorm, LayerNorm, Gather, Rotary>(patterns.getContext(), parameters);
}
