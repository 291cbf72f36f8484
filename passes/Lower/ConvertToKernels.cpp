//===- ConvertToKernels.cpp - Heavy operators become calls of kernels ------===//
//
// Runs on tensors, before everything else is lowered: operands are flattened to
// rows, memory for the result is allocated, and a kernel is called that the code
// generator will write (include/qopt/Codegen/Kernels.h). Constant weights are
// packed here. What no kernel fits is left as it is.
//
//===----------------------------------------------------------------------===//
#include "KernelCalls.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_CONVERTTOKERNELS
#include "qopt/Passes/Passes.h.inc"

namespace {

using lowering::KernelCalls;
using lowering::ResultBuffer;
constexpr int64_t kUnknown = ShapedType::kDynamic;

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
bool isFloatTensor(Value value) { return typeOf(value).getElementType().isF32(); }
int64_t blocks(int64_t n) { return llvm::divideCeil(n, kColumns); }

struct Converter {
  KernelCalls c;
  Type f32, f16, i8, i32;

  explicit Converter(ModuleOp module)
      : c(module), f32(c.b.getF32Type()), f16(c.b.getF16Type()), i8(c.b.getI8Type()), i32(c.b.getI32Type()) {}

  /// Replaces the operator, or fails and changes nothing.
  LogicalResult convert(Operation *op);

private:
  /// y [..., N] of x [..., K] by a kernel from rows to rows.
  Value rowsToRows(StringRef kernel, Value x, int64_t k, int64_t n, ValueRange operands, Type type,
                   ArrayRef<NamedAttribute> config = {}, StringRef suffix = "") {
    SmallVector<Value> all{c.toRows(x, k)};
    llvm::append_range(all, operands);
    ResultBuffer y{{kUnknown, n}, f32, {c.dim(all[0], 0)}};
    Value rows = c.call(kernel, "_n" + Twine(n) + "_k" + Twine(k) + suffix, all, {y}, config)[0];
    return c.fromRows(rows, x, 1, type);
  }
  LogicalResult replace(Operation *op, ValueRange values) {
    op->replaceAllUsesWith(values);
    op->erase();
    return success();
  }

  /// W [K, N] that is no constant, in the form of packFloatWeights: worth it for the
  /// many rows of calibration, where stages get their weights as arguments.
  Value packAtRunTime(Value w);
  LogicalResult convert(onnx::MatMulOp op);
  LogicalResult convert(MatmulW8A16Op op);
  LogicalResult convert(MatmulW4A16Op op);
  LogicalResult convert(MatmulW8A8Op op);
  LogicalResult convert(QuantizeOp op);
  LogicalResult convert(DynamicQuantizeOp op);
  LogicalResult convert(SplitColumnsOp op);
  LogicalResult convert(onnx::RMSNormalizationOp op);
  LogicalResult convert(onnx::RotaryEmbeddingOp op);
  LogicalResult convert(onnx::GatherOp op);
  LogicalResult convert(onnx::AttentionOp op);
};

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

Value Converter::packAtRunTime(Value w) {
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

LogicalResult Converter::convert(onnx::MatMulOp op) {
  RankedTensorType type = typeOf(op.getB());
  if (!isFloatTensor(op.getA()) || typeOf(op.getA()).getRank() < 1 || !type.getElementType().isF32() ||
      type.getRank() != 2 || !type.hasStaticShape())
    return failure();
  int64_t k = type.getDimSize(0), n = type.getDimSize(1);
  if (!k || !n)
    return failure();
  Value packed;
  if (auto w = c.constant(op.getB(), f32, 2))
    packed = c.parameter<float>(*w, "packed", {blocks(n), k, kColumns}, f32, [&] {
      return packFloatWeights(KernelCalls::elements<float>(w->value), k, n);
    });
  else
    packed = packAtRunTime(op.getB());
  return replace(op, rowsToRows("matmul_f32", op.getA(), k, n, packed, op.getType()));
}

LogicalResult Converter::convert(MatmulW8A16Op op) {
  auto w = c.constant(op.getW(), i8, 2);
  if (!w)
    return failure();
  int64_t n = w->value.getShapedType().getDimSize(0), k = w->value.getShapedType().getDimSize(1);
  if (!k || !n)
    return failure();
  Value packed = c.parameter<int8_t>(*w, "columns", {blocks(n), k, kColumns}, i8, [&] {
    return packInt8Columns(KernelCalls::elements<int8_t>(w->value), n, k);
  });
  Value scale = c.withShape(op.getWScale(), {n});
  return replace(op, rowsToRows("matmul_w8a16", op.getX(), k, n, {packed, scale}, op.getType()));
}

LogicalResult Converter::convert(MatmulW4A16Op op) {
  Type scaleType = typeOf(op.getScale()).getElementType();
  auto w = c.constant(op.getW(), i8, 2), scale = c.constant(op.getScale(), scaleType, 2);
  auto zeros = op.getZeros() ? c.constant(op.getZeros(), i8, 2) : std::nullopt;
  int64_t k = typeOf(op.getX()).getShape().back();
  if (!w || !scale || (op.getZeros() && !zeros) || ShapedType::isDynamic(k) || !k)
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
  operands.push_back(c.parameter<int8_t>(*w, form, {blocks(n), packed.steps, 4 * kColumns}, i8, [&] { return packed.codes; }));
  operands.push_back(c.parameter<int8_t>(*scale, form, {blocks(n), groups, kColumns}, scaleType, [&] { return packed.scales; }));
  if (!packed.zeros.empty())
    operands.push_back(c.parameter<int8_t>(*zeros, form, {blocks(n), groups, kColumns}, i8, [&] { return packed.zeros; }));
  NamedAttribute config = c.b.getNamedAttr("group_size", c.b.getI64IntegerAttr(size));
  return replace(op, rowsToRows("matmul_w4a16", op.getX(), k, n, operands, op.getType(), config, "_g" + std::to_string(size)));
}

LogicalResult Converter::convert(MatmulW8A8Op op) {
  auto w = c.constant(op.getW(), i8, 2);
  if (!w || static_cast<bool>(op.getOutliers()) != static_cast<bool>(op.getColumns()))
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
  operands.push_back(c.parameter<int8_t>(*w, "dot", {blocks(n), static_cast<int64_t>(llvm::divideCeil(k, 4)), 4 * kColumns}, i8,
                                         [&] { return packInt8Dot(codes, n, k); }));
  operands.push_back(c.parameter<int32_t>(*w, "correction", {blocks(n) * kColumns}, i32,
                                          [&] { return packDotCorrection(codes, n, k); }));
  operands.push_back(c.withShape(op.getWScale(), {n}));
  if (op.getOutliers()) {
    operands.push_back(c.toRows(op.getOutliers(), k));
    operands.push_back(c.withShape(op.getColumns(), {k}));
  }
  std::string suffix = op.getOutliers() ? "_outliers" : typeOf(op.getXScale()).getRank() ? "_per_token" : "";
  return replace(op, rowsToRows("matmul_w8a8", op.getX(), k, n, operands, op.getType(), {}, suffix));
}

//===----------------------------------------------------------------------===//
// Quantization of activations
//===----------------------------------------------------------------------===//

LogicalResult Converter::convert(QuantizeOp op) {
  Value x = op.getInput();
  int64_t rank = typeOf(x).getRank(), k = rank ? typeOf(x).getShape().back() : 0;
  if (rank < 1 || ShapedType::isDynamic(k) || !k || typeOf(op.getScale()).getRank())
    return failure();
  Value rows = c.toRows(x, k);
  ResultBuffer codes{{kUnknown, k}, i8, {c.dim(rows, 0)}};
  Value result = c.call("quantize", "_k" + Twine(k), {rows, op.getScale()}, {codes})[0];
  return replace(op, c.fromRows(result, x, 1, op.getType()));
}

/// A scale per row [?] in the shape of x without its last dimension.
static Value rowScale(KernelCalls &c, Value scale, Value x, Type type) {
  Value column = tensor::ExpandShapeOp::create(
      c.b, RankedTensorType::get({kUnknown, 1}, typeOf(scale).getElementType()), scale,
      ArrayRef<ReassociationIndices>{{0, 1}}, ArrayRef<OpFoldResult>{getAsOpFoldResult(c.dim(scale, 0)), c.b.getIndexAttr(1)});
  auto scaleType = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(scaleType.getShape());
  shape.push_back(1);
  Value expanded = c.fromRows(column, x, 1, RankedTensorType::get(shape, scaleType.getElementType()));
  int64_t rank = scaleType.getRank();
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i < rank; ++i)
    groups.push_back({i});
  if (rank)
    groups.back().push_back(rank);
  return c.withShape(tensor::CollapseShapeOp::create(c.b, expanded, groups), scaleType.getShape());
}

LogicalResult Converter::convert(DynamicQuantizeOp op) {
  Value x = op.getInput();
  int64_t rank = typeOf(x).getRank(), k = rank ? typeOf(x).getShape().back() : 0;
  if (rank < 1 || ShapedType::isDynamic(k) || !k)
    return failure();
  Value rows = c.toRows(x, k), count = c.dim(rows, 0);
  auto results = c.call("dynamic_quantize", "_k" + Twine(k), rows, {{{kUnknown, k}, i8, {count}}, {{kUnknown}, f32, {count}}});
  return replace(op, {c.fromRows(results[0], x, 1, op.getCodes().getType()),
                      rowScale(c, results[1], x, op.getScale().getType())});
}

LogicalResult Converter::convert(SplitColumnsOp op) {
  Value x = op.getInput();
  int64_t rank = typeOf(x).getRank(), k = rank ? typeOf(x).getShape().back() : 0;
  if (rank < 1 || ShapedType::isDynamic(k) || !k)
    return failure();
  Value rows = c.toRows(x, k), count = c.dim(rows, 0);
  auto results = c.call("split_columns", "_k" + Twine(k), rows,
                        {{{kUnknown, k}, i8, {count}}, {{kUnknown}, f32, {count}}, {{k}, i32, {}}},
                        c.b.getNamedAttr("threshold", op.getThresholdAttr()));
  return replace(op, {c.fromRows(results[0], x, 1, op.getCodes().getType()),
                      rowScale(c, results[1], x, op.getScale().getType()),
                      c.withShape(results[2], typeOf(op.getColumns()).getShape())});
}

//===----------------------------------------------------------------------===//
// The other parts of a decoder layer
//===----------------------------------------------------------------------===//

LogicalResult Converter::convert(onnx::RMSNormalizationOp op) {
  Value x = op.getX(), scale = op.getScale();
  int64_t rank = typeOf(x).getRank(), axis = op.getAxis();
  if ((axis != rank - 1 && axis != -1) || !isFloatTensor(x) || !isFloatTensor(scale) || typeOf(scale).getRank() != 1)
    return failure();
  int64_t k = typeOf(scale).getDimSize(0), last = typeOf(x).getShape().back();
  if (ShapedType::isDynamic(k) || !k || (!ShapedType::isDynamic(last) && last != k))
    return failure();
  Value rows = c.toRows(x, k);
  ResultBuffer y{{kUnknown, k}, f32, {c.dim(rows, 0)}};
  NamedAttribute config = c.b.getNamedAttr("epsilon", op.getEpsilonAttr());
  Value result = c.call("rms_norm", "_k" + Twine(k), {rows, scale}, {y}, config)[0];
  return replace(op, c.fromRows(result, x, 1, op.getType()));
}

LogicalResult Converter::convert(onnx::GatherOp op) {
  Value data = op.getData(), indices = op.getIndices();
  RankedTensorType table = typeOf(data);
  if (table.getRank() != 2 || op.getAxis() != 0 || table.isDynamicDim(1) || !table.getDimSize(1) ||
      typeOf(indices).getRank() < 1)
    return failure();
  int64_t k = table.getDimSize(1), rank = typeOf(indices).getRank();
  Value flat = indices;
  if (rank > 1)
    flat = tensor::CollapseShapeOp::create(
        c.b, flat, ArrayRef<ReassociationIndices>{llvm::to_vector<2>(llvm::seq<int64_t>(0, rank))});
  flat = c.withShape(flat, {kUnknown});
  ResultBuffer y{{kUnknown, k}, table.getElementType(), {c.dim(flat, 0)}};
  std::string suffix = "_k" + std::to_string(k);
  Value rows = c.call("gather", suffix, {data, flat}, {y})[0];
  return replace(op, c.fromRows(rows, indices, 0, op.getType()));
}

/// Q, K, V or X as [batch, ?, heads, size] or [batch, heads, ?, size]; null where
/// heads or their size are not known.
static Value toHeads(KernelCalls &c, Value x, int64_t heads) {
  RankedTensorType type = typeOf(x);
  if (type.getRank() == 3) {
    int64_t hidden = type.getDimSize(2);
    if (heads < 1 || ShapedType::isDynamic(hidden) || !hidden || hidden % heads)
      return Value();
    Value rows = c.withShape(x, {kUnknown, kUnknown, hidden});
    return c.splitHeads(rows, heads);
  }
  if (type.getRank() != 4 || type.isDynamicDim(1) || type.isDynamicDim(3) || !type.getDimSize(1) || !type.getDimSize(3))
    return Value();
  return c.withShape(x, {kUnknown, type.getDimSize(1), kUnknown, type.getDimSize(3)});
}

/// A result of so many sequences and tokens in the form of the operator's.
static Value fromHeads(KernelCalls &c, Value y, ArrayRef<Value> sizes, RankedTensorType type) {
  SmallVector<Value> leading(sizes);
  if (type.getRank() == 3)
    y = tensor::CollapseShapeOp::create(c.b, y, ArrayRef<ReassociationIndices>{{0}, {1}, {2, 3}});
  else
    leading.insert(leading.begin() + 1, c.dim(y, 1));
  return c.withShape(y, type.getShape(), leading);
}

LogicalResult Converter::convert(onnx::RotaryEmbeddingOp op) {
  Value positions = op.getPositionIds();
  RankedTensorType table = typeOf(op.getCosCache());
  if (!isFloatTensor(op.getX()) || !isFloatTensor(op.getCosCache()) || !isFloatTensor(op.getSinCache()) ||
      table.getRank() != (positions ? 2 : 3) || (positions && typeOf(positions).getRank() != 2))
    return failure();
  bool headsFirst = typeOf(op.getX()).getRank() == 4;
  Value x = toHeads(c, op.getX(), op.getNumHeads());
  if (!x)
    return failure();
  int64_t size = typeOf(x).getDimSize(3), rotated = op.getRotaryEmbeddingDim() ? op.getRotaryEmbeddingDim() : size;
  if (rotated < 2 || rotated % 2 || rotated > size)
    return failure();
  SmallVector<int64_t> tableShape(positions ? 1 : 2, kUnknown);
  tableShape.push_back(rotated / 2);
  SmallVector<Value> operands{x, c.withShape(op.getCosCache(), tableShape), c.withShape(op.getSinCache(), tableShape)};
  if (positions)
    operands.push_back(c.withShape(positions, {kUnknown, kUnknown}));
  for (int64_t i = 0; i + 1 < static_cast<int64_t>(tableShape.size()); ++i)
    c.requireEqual(c.dim(operands[1], i), c.dim(operands[2], i));

  SmallVector<NamedAttribute> config{c.b.getNamedAttr("rotary_dim", c.b.getI64IntegerAttr(rotated))};
  if (headsFirst)
    config.push_back(c.b.getNamedAttr("heads_first", c.b.getUnitAttr()));
  if (op.getInterleaved())
    config.push_back(c.b.getNamedAttr("interleaved", c.b.getUnitAttr()));
  int64_t heads = typeOf(x).getDimSize(headsFirst ? 1 : 2);
  ResultBuffer y{llvm::to_vector(typeOf(x).getShape()), f32, {c.dim(x, 0), c.dim(x, headsFirst ? 2 : 1)}};
  Value result = c.call("rotary", "_h" + Twine(heads) + "_d" + Twine(size), operands, {y}, config)[0];
  return replace(op, fromHeads(c, result, y.sizes, op.getType()));
}

/// Keys or values [batch, length, heads, size] or heads first, appended to those of
/// earlier calls, heads first.
static Value append(KernelCalls &c, Value past, Value now, bool headsFirst) {
  if (!headsFirst)
    now = onnx::TransposeOp::create(c.b, now, ArrayRef<int64_t>{0, 2, 1, 3});
  return past ? onnx::ConcatOp::create(c.b, ValueRange{past, now}, /*axis=*/uint64_t(2)) : now;
}

LogicalResult Converter::convert(onnx::AttentionOp op) {
  Value mask = op.getAttnMask();
  Type maskType = mask ? typeOf(mask).getElementType() : f32;
  if (!isFloatTensor(op.getQ()) || !isFloatTensor(op.getK()) || !isFloatTensor(op.getV()) ||
      (!maskType.isF32() && !maskType.isInteger(1)) || (mask && typeOf(mask).getRank() > 4) ||
      static_cast<bool>(op.getPastKey()) != static_cast<bool>(op.getPastValue()))
    return failure();
  Value q = toHeads(c, op.getQ(), op.getQNumHeads()), k = toHeads(c, op.getK(), op.getKvNumHeads()),
        v = toHeads(c, op.getV(), op.getKvNumHeads());
  bool queryHeadsFirst = typeOf(op.getQ()).getRank() == 4, keyHeadsFirst = typeOf(op.getK()).getRank() == 4;
  if (!q || !k || !v || keyHeadsFirst != (typeOf(op.getV()).getRank() == 4))
    return failure();
  int64_t heads = typeOf(q).getDimSize(queryHeadsFirst ? 1 : 2), keyHeads = typeOf(k).getDimSize(keyHeadsFirst ? 1 : 2);
  int64_t size = typeOf(q).getDimSize(3), valueSize = typeOf(v).getDimSize(3);
  if (typeOf(k).getDimSize(3) != size || typeOf(v).getDimSize(keyHeadsFirst ? 1 : 2) != keyHeads || heads % keyHeads)
    return failure();
  if (op.getPastKey() || op.getPresentKey() || op.getPresentValue()) {
    k = append(c, op.getPastKey(), k, keyHeadsFirst);
    v = append(c, op.getPastValue(), v, keyHeadsFirst);
    for (auto [present, joined] : {std::pair(op.getPresentKey(), k), std::pair(op.getPresentValue(), v)})
      if (present)
        present.replaceAllUsesWith(c.withShape(joined, typeOf(present).getShape()));
    keyHeadsFirst = true;
    k = c.withShape(k, {kUnknown, keyHeads, kUnknown, size});
    v = c.withShape(v, {kUnknown, keyHeads, kUnknown, valueSize});
  }
  c.requireEqual(c.dim(q, 0), c.dim(k, 0));
  c.requireEqual(c.dim(q, 0), c.dim(v, 0));
  c.requireEqual(c.dim(k, keyHeadsFirst ? 2 : 1), c.dim(v, keyHeadsFirst ? 2 : 1));

  SmallVector<Value> operands{q, k, v};
  if (mask) {
    while (typeOf(mask).getRank() < 4) {
      RankedTensorType type = typeOf(mask);
      SmallVector<int64_t> shape{1};
      llvm::append_range(shape, type.getShape());
      SmallVector<OpFoldResult> sizes{c.b.getIndexAttr(1)};
      SmallVector<ReassociationIndices> groups;
      for (int64_t i = 0; i < type.getRank(); ++i) {
        sizes.push_back(getAsOpFoldResult(c.dim(mask, i)));
        groups.push_back({i + 1});
      }
      if (!groups.empty())
        groups[0] = {0, 1};
      mask = tensor::ExpandShapeOp::create(c.b, RankedTensorType::get(shape, maskType), mask, groups, sizes);
    }
    operands.push_back(mask);
  }
  SmallVector<NamedAttribute> config;
  auto flag = [&](StringRef name, bool set) {
    if (set)
      config.push_back(c.b.getNamedAttr(name, c.b.getUnitAttr()));
  };
  flag("causal", op.getIsCausal());
  flag("offset", op.getIsCausal() && op.getPastKey());
  flag("q_heads_first", queryHeadsFirst);
  flag("kv_heads_first", keyHeadsFirst);
  if (op.getScaleAttr())
    config.push_back(c.b.getNamedAttr("scale", op.getScaleAttr()));
  if (op.getSoftcap().convertToFloat() > 0)
    config.push_back(c.b.getNamedAttr("softcap", op.getSoftcapAttr()));
  SmallVector<int64_t> shape(typeOf(q).getShape());
  shape[3] = valueSize;
  ResultBuffer y{shape, f32, {c.dim(q, 0), c.dim(q, queryHeadsFirst ? 2 : 1)}};
  std::string suffix = "_h" + std::to_string(heads) + "_kv" + std::to_string(keyHeads) + "_d" + std::to_string(size);
  Value result = c.call("attention", suffix, operands, {y}, config)[0];
  op.getY().replaceAllUsesWith(fromHeads(c, result, y.sizes, typeOf(op.getY())));
  op.erase();
  return success();
}

LogicalResult Converter::convert(Operation *op) {
  c.b.setLoc(op->getLoc());
  c.b.setInsertionPoint(op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<onnx::MatMulOp, MatmulW8A16Op, MatmulW4A16Op, MatmulW8A8Op, QuantizeOp, DynamicQuantizeOp, SplitColumnsOp,
            onnx::RMSNormalizationOp, onnx::RotaryEmbeddingOp, onnx::GatherOp, onnx::AttentionOp>(
          [&](auto typed) { return convert(typed); })
      .Default([](Operation *) { return failure(); });
}

struct ConvertToKernels : impl::ConvertToKernelsBase<ConvertToKernels> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Operation *> candidates, constants;
    module.walk([&](Operation *op) {
      if (isa<ParameterOp, onnx::ConstantOp>(op))
        constants.push_back(op);
      else if (isa_and_nonnull<onnx::OnnxDialect, QoptDialect>(op->getDialect()))
        candidates.push_back(op);
    });
    Converter converter(module);
    for (Operation *op : candidates)
      if (succeeded(converter.convert(op)))
        ++numCalls;
    // Weights that are now packed.
    for (Operation *op : constants)
      if (op->use_empty())
        op->erase();
  }
};

} // namespace
} // namespace qopt
