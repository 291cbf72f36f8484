//===- CallMatMuls.cpp - Matrix products become calls of kernels ----------===//
#include "KernelConversions.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Codegen/Kernels.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

static int64_t blocks(int64_t n) { return llvm::divideCeil(n, kColumns); }

/// y [..., N] of x [..., K] by a kernel from rows to rows.
static Value rowsToRows(KernelCalls &c, StringRef kernel, Value x, int64_t k, int64_t n, ValueRange operands, Type type,
                        ArrayRef<NamedAttribute> config = {}, StringRef suffix = "") {
  SmallVector<Value> all{c.toRows(x, k)};
  llvm::append_range(all, operands);
  ResultBuffer y{{kUnknown, n}, c.b.getF32Type(), {c.dim(all[0], 0)}};
  Value rows = c.call(kernel, "_n" + Twine(n) + "_k" + Twine(k) + suffix, all, {y}, config)[0];
  return c.fromRows(rows, x, 1, type);
}

/// W [K, N] that is no constant, in the form of packFloatWeights: worth it for the
/// many rows of calibration, where stages get their weights as arguments.
static Value packAtRunTime(Value w, KernelCalls &c) {
  Type f32 = c.b.getF32Type();
  int64_t k = typeOf(w).getDimSize(0), n = typeOf(w).getDimSize(1);
  if (int64_t rest = n % kColumns) {
    auto type = RankedTensorType::get({k, kColumns - rest}, f32);
    Value zeros = onnx::ConstantOp::create(c.b, DenseElementsAttr::get(type, 0.0f));
    w = onnx::ConcatOp::create(c.b, ValueRange{w, zeros}, /*axis=*/uint64_t(1));
  }
  Value columns = tensor::ExpandShapeOp::create(c.b, RankedTensorType::get({k, blocks(n), kColumns}, f32), w,
                                                ArrayRef<ReassociationIndices>{{0}, {1, 2}});
  return onnx::TransposeOp::create(c.b, columns, ArrayRef<int64_t>{1, 0, 2});
}

Value lowering::packedFloatWeight(KernelCalls &c, const KernelCalls::Constant &weight) {
  ShapedType type = weight.value.getShapedType();
  int64_t k = type.getDimSize(0), n = type.getDimSize(1);
  SmallVector<int64_t> shape{blocks(n), k, kColumns};
  if (type.getElementType().isF32())
    return c.parameter<float>(weight, "packed", shape, type.getElementType(),
                              [&] { return packFloatWeights(KernelCalls::elements<float>(weight.value), k, n); });
  return c.parameter<uint16_t>(weight, "packed", shape, type.getElementType(),
                               [&] { return packHalfWeights(KernelCalls::elements<uint16_t>(weight.value), k, n); });
}

LogicalResult lowering::convertToCall(onnx::MatMulOp op, KernelCalls &c) {
  RankedTensorType type = typeOf(op.getB());
  if (!isFloatTensor(op.getA()) || typeOf(op.getA()).getRank() < 1 || !type.getElementType().isF32() ||
      type.getRank() != 2 || !type.hasStaticShape())
    return failure();
  int64_t k = type.getDimSize(0), n = type.getDimSize(1);
  if (!k || !n)
    return failure();
  auto w = c.floatWeight(op.getB());
  Value packed = w ? packedFloatWeight(c, *w) : packAtRunTime(op.getB(), c);
  Type element = typeOf(packed).getElementType();
  StringRef suffix = element.isBF16() ? "_bf16" : "";
  return replace(op, rowsToRows(c, element.isF32() ? "matmul_f32" : "matmul_f16", op.getA(), k, n, packed, op.getType(),
                                {}, suffix));
}

LogicalResult lowering::convertToCall(MatmulW8A16Op op, KernelCalls &c) {
  Type i8 = c.b.getI8Type();
  auto w = c.constant(op.getW(), i8, 2);
  if (!w)
    return failure();
  int64_t n = w->value.getShapedType().getDimSize(0), k = w->value.getShapedType().getDimSize(1);
  if (!k || !n)
    return failure();
  Value packed = c.parameter<int8_t>(*w, "columns", {blocks(n), k, kColumns}, i8,
                                     [&] { return packInt8Columns(KernelCalls::elements<int8_t>(w->value), n, k); });
  Value scale = c.withShape(op.getWScale(), {n});
  return replace(op, rowsToRows(c, "matmul_w8a16", op.getX(), k, n, {packed, scale}, op.getType()));
}

LogicalResult lowering::convertToCall(MatmulW4A16Op op, KernelCalls &c) {
  Type i8 = c.b.getI8Type();
  Type scaleType = typeOf(op.getScale()).getElementType();
  auto w = c.constant(op.getW(), i8, 2), scale = c.constant(op.getScale(), scaleType, 2);
  auto zeros = op.getZeros() ? c.constant(op.getZeros(), i8, 2) : std::nullopt;
  int64_t k = widthOf(op.getX());
  if (!w || !scale || (op.getZeros() && !zeros) || !k)
    return failure();
  int64_t n = w->value.getShapedType().getDimSize(0), size = op.getGroupSize();
  int64_t groups = scale->value.getShapedType().getDimSize(1), bytes = llvm::divideCeil(k, 2);
  int64_t expected = size <= 0 ? 1 : llvm::divideCeil(k, size);
  if (!n || w->value.getShapedType().getDimSize(1) != bytes || groups != expected ||
      scale->value.getShapedType().getDimSize(0) != n ||
      (zeros && zeros->value.getShapedType().getShape() != ArrayRef<int64_t>{n, groups}))
    return failure();
  int64_t scaleBytes = scaleType.isF16() ? 2 : 4;
  Int4Weights packed =
      packInt4(KernelCalls::elements<int8_t>(w->value), KernelCalls::elements<char>(scale->value), scaleBytes,
               zeros ? KernelCalls::elements<int8_t>(zeros->value) : std::vector<int8_t>(), n, k, size);
  // Zero points change the codes and the scales.
  w->key = scale->key = c.b.getArrayAttr({w->value, scale->value, zeros ? Attribute(zeros->value) : c.b.getUnitAttr()});
  if (zeros)
    zeros->key = w->key;
  std::string form = "int4_g" + std::to_string(size);
  SmallVector<Value> operands;
  operands.push_back(
      c.parameter<int8_t>(*w, form, {blocks(n), packed.steps, 4 * kColumns}, i8, [&] { return packed.codes; }));
  operands.push_back(
      c.parameter<int8_t>(*scale, form, {blocks(n), groups, kColumns}, scaleType, [&] { return packed.scales; }));
  if (!packed.zeros.empty())
    operands.push_back(
        c.parameter<int8_t>(*zeros, form, {blocks(n), groups, kColumns}, i8, [&] { return packed.zeros; }));
  NamedAttribute config = c.b.getNamedAttr("group_size", c.b.getI64IntegerAttr(size));
  return replace(
      op, rowsToRows(c, "matmul_w4a16", op.getX(), k, n, operands, op.getType(), config, "_g" + std::to_string(size)));
}

LogicalResult lowering::convertToCall(MatmulW8A8Op op, KernelCalls &c) {
  Type i8 = c.b.getI8Type();
  auto w = c.constant(op.getW(), i8, 2);
  std::optional<KernelCalls::Constant> kept;
  if (Value weights = op.getOutlierWeights())
    kept = c.constant(weights, typeOf(weights).getElementType(), 2);
  if (!w || (op.getOutlierWeights() && !kept))
    return failure();
  int64_t n = w->value.getShapedType().getDimSize(0), k = w->value.getShapedType().getDimSize(1);
  if (!k || !n)
    return failure();
  std::vector<int8_t> codes = KernelCalls::elements<int8_t>(w->value);
  SmallVector<Value> operands;
  Value xScale = op.getXScale();
  if (typeOf(xScale).getRank() > 0) {
    // [...] as [rows]: the shape of x without its last dimension.
    Value one = xScale;
    int64_t rank = typeOf(xScale).getRank();
    if (rank > 1)
      one = tensor::CollapseShapeOp::create(
          c.b, xScale, ArrayRef<ReassociationIndices>{llvm::to_vector<2>(llvm::seq<int64_t>(0, rank))});
    xScale = c.withShape(one, {kUnknown});
  }
  operands.push_back(xScale);
  operands.push_back(c.parameter<int8_t>(*w, "dot",
                                         {blocks(n), static_cast<int64_t>(llvm::divideCeil(k, 4)), 4 * kColumns}, i8,
                                         [&] { return packInt8Dot(codes, n, k); }));
  operands.push_back(c.parameter<int32_t>(*w, "correction", {blocks(n) * kColumns}, c.b.getI32Type(),
                                          [&] { return packDotCorrection(codes, n, k); }));
  operands.push_back(c.withShape(op.getWScale(), {n}));
  if (op.getColumns()) {
    operands.push_back(c.toRows(op.getOutliers(), k));
    operands.push_back(c.withShape(op.getColumns(), {k}));
  }
  if (kept) {
    int64_t m = kept->value.getShapedType().getDimSize(1);
    Type element = kept->value.getElementType();
    Value weights = c.parameter<int8_t>(*kept, "packed", {blocks(n), m, kColumns}, element, [&] {
      return packOutlierWeights(KernelCalls::elements<char>(kept->value), element.isF16() ? 2 : 4, n, m);
    });
    operands.push_back(c.withShape(c.toRows(op.getOutliers(), m), {kUnknown, kUnknown}));
    operands.push_back(c.withShape(weights, {blocks(n), kUnknown, kColumns}));
    auto count = DenseElementsAttr::get(RankedTensorType::get({1}, c.b.getI32Type()), static_cast<int32_t>(m));
    operands.push_back(onnx::ConstantOp::create(c.b, count));
  }
  std::string suffix = kept                               ? "_kept"
                       : op.getColumns()                  ? "_outliers"
                       : typeOf(op.getXScale()).getRank() ? "_per_token"
                                                          : "";
  return replace(op, rowsToRows(c, "matmul_w8a8", op.getX(), k, n, operands, op.getType(), {}, suffix));
}
