//===- CallDecoder.cpp - Parts of a decoder become calls of kernels -------===//
//
// Embedding, normalization, rotation of positions, attention.
//
//===----------------------------------------------------------------------===//
#include "KernelConversions.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

LogicalResult lowering::convertToCall(onnx::RMSNormalizationOp op, KernelCalls &c) {
  Value x = op.getX(), scale = op.getScale();
  int64_t rank = typeOf(x).getRank(), axis = op.getAxis();
  if ((axis != rank - 1 && axis != -1) || !isFloatTensor(x) || !isFloatTensor(scale) || typeOf(scale).getRank() != 1)
    return failure();
  int64_t k = typeOf(scale).getDimSize(0), last = typeOf(x).getShape().back();
  if (ShapedType::isDynamic(k) || !k || (!ShapedType::isDynamic(last) && last != k))
    return failure();
  Value rows = c.toRows(x, k);
  ResultBuffer y{{kUnknown, k}, c.b.getF32Type(), {c.dim(rows, 0)}};
  NamedAttribute config = c.b.getNamedAttr("epsilon", op.getEpsilonAttr());
  Value result = c.call("rms_norm", "_k" + Twine(k), {rows, scale}, {y}, config)[0];
  return replace(op, c.fromRows(result, x, 1, op.getType()));
}

/// Whether `columns` [K, V] is `rows` [V, K] transposed, bit by bit.
template <typename Bits>
static bool isTransposed(ElementsAttr rows, ElementsAttr columns) {
  const auto *row = KernelCalls::data<Bits>(rows), *column = KernelCalls::data<Bits>(columns);
  int64_t v = rows.getShapedType().getDimSize(0), k = rows.getShapedType().getDimSize(1);
  auto isRow = [&](int64_t j) {
    return llvm::all_of(llvm::seq(k), [&](int64_t i) { return row[j * k + i] == column[i * v + j]; });
  };
  return row && column && llvm::all_of(llvm::seq(v), isRow);
}

/// The weight [K, V] of a product in the module that is the table [V, K] transposed, as
/// that of a head tied to the embedding: then only one of the two need be stored.
static std::optional<KernelCalls::Constant> tiedWeight(KernelCalls &c, Value table) {
  Type element = typeOf(table).getElementType();
  auto rows = c.constant(table, element, 2);
  int64_t v = typeOf(table).getDimSize(0), k = typeOf(table).getDimSize(1);
  for (Value weight : c.floatWeights()) {
    auto columns = c.floatWeight(weight);
    ShapedType type = columns->value.getShapedType();
    if (rows && type.getShape() == ArrayRef<int64_t>{k, v} && type.getElementType() == element &&
        (element.isF32() ? isTransposed<uint32_t> : isTransposed<uint16_t>)(rows->value, columns->value))
      return columns;
  }
  return std::nullopt;
}

LogicalResult lowering::convertToCall(onnx::GatherOp op, KernelCalls &c) {
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
  SmallVector<NamedAttribute> config;
  if (auto weight = tiedWeight(c, data)) {
    suffix += "_packed";
    config.push_back(c.b.getNamedAttr("rows", c.b.getI64IntegerAttr(table.getDimSize(0))));
    data = packedFloatWeight(c, *weight);
  }
  Value rows = c.call("gather", suffix, {data, flat}, {y}, config)[0];
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

LogicalResult lowering::convertToCall(onnx::RotaryEmbeddingOp op, KernelCalls &c) {
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
  ResultBuffer y{llvm::to_vector(typeOf(x).getShape()), c.b.getF32Type(), {c.dim(x, 0), c.dim(x, headsFirst ? 2 : 1)}};
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

/// The kernel computes in f32; narrower floats are widened for it.
static bool fitsF32(Type type) { return type.isF32() || type.isF16() || type.isBF16(); }

static Value widen(KernelCalls &c, Value x) {
  return isFloatTensor(x) ? x : onnx::CastOp::create(c.b, x, c.b.getF32Type()).getResult();
}

/// A mask that is added to the scores. The lowest number of a narrower type means
/// "hidden" there and stays the lowest, so that a query that sees nothing still gets the
/// mean of all values.
static Value widenMask(KernelCalls &c, Value mask) {
  auto type = dyn_cast<FloatType>(typeOf(mask).getElementType());
  if (!type || type.isF32())
    return mask;
  auto lowest = [&](FloatType type) -> Value {
    APFloat value = APFloat::getLargest(type.getFloatSemantics(), /*Negative=*/true);
    return onnx::ConstantOp::create(c.b, DenseElementsAttr::get(RankedTensorType::get({}, type), value));
  };
  Value hidden = onnx::LessOrEqualOp::create(c.b, mask, lowest(type));
  return onnx::WhereOp::create(c.b, hidden, lowest(c.b.getF32Type()), widen(c, mask));
}

/// With leading dimensions of 1, up to rank 4.
static Value toRank4(KernelCalls &c, Value mask) {
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
    mask = tensor::ExpandShapeOp::create(c.b, type.clone(shape), mask, groups, sizes);
  }
  return mask;
}

/// Whether a value, or a part of it, is quantized.
static bool becomesCodes(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (auto slice = dyn_cast<onnx::SliceOp>(user))
      return becomesCodes(slice.getOutput());
    return isa<QuantizeOp, DynamicQuantizeOp, SplitColumnsOp, SplitColumnsAtOp>(user);
  });
}

/// What both kernels are told of scores and of what becomes of the result.
template <typename AttentionOp>
static void configureAttention(AttentionOp op, OpBuilder &b, SmallVector<NamedAttribute> &config) {
  if (op.getScaleAttr())
    config.push_back(b.getNamedAttr("scale", op.getScaleAttr()));
  if (op.getSoftcap().convertToFloat() > 0)
    config.push_back(b.getNamedAttr("softcap", op.getSoftcapAttr()));
  if (becomesCodes(op.getY()))
    config.push_back(b.getNamedAttr("in_order", b.getUnitAttr()));
}

LogicalResult lowering::convertToCall(onnx::AttentionOp op, KernelCalls &c) {
  Value mask = op.getAttnMask();
  Type element = typeOf(op.getQ()).getElementType();
  auto isFloat = [](Value x) { return fitsF32(typeOf(x).getElementType()); };
  bool fitsMask = !mask || isFloat(mask) || typeOf(mask).getElementType().isInteger(1);
  if (!isFloat(op.getQ()) || !isFloat(op.getK()) || !isFloat(op.getV()) || !fitsMask ||
      (mask && typeOf(mask).getRank() > 4) ||
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

  SmallVector<Value> operands{widen(c, q), widen(c, k), widen(c, v)};
  if (mask)
    operands.push_back(toRank4(c, widenMask(c, mask)));
  SmallVector<NamedAttribute> config;
  auto flag = [&](StringRef name, bool set) {
    if (set)
      config.push_back(c.b.getNamedAttr(name, c.b.getUnitAttr()));
  };
  flag("causal", op.getIsCausal());
  flag("offset", op.getIsCausal() && op.getPastKey());
  flag("q_heads_first", queryHeadsFirst);
  flag("kv_heads_first", keyHeadsFirst);
  configureAttention(op, c.b, config);
  SmallVector<int64_t> shape(typeOf(q).getShape());
  shape[3] = valueSize;
  ResultBuffer y{shape, c.b.getF32Type(), {c.dim(q, 0), c.dim(q, queryHeadsFirst ? 2 : 1)}};
  std::string suffix = "_h" + std::to_string(heads) + "_kv" + std::to_string(keyHeads) + "_d" + std::to_string(size);
  Value result = c.call("attention", suffix, operands, {y}, config)[0];
  if (!element.isF32())
    result = onnx::CastOp::create(c.b, result, element);
  op.getY().replaceAllUsesWith(fromHeads(c, result, y.sizes, typeOf(op.getY())));
  op.erase();
  return success();
}

LogicalResult lowering::convertToCall(CachedAttentionOp op, KernelCalls &c) {
  auto typeOfCache = [](Value cache) { return cast<MemRefType>(cache.getType()); };
  int64_t keyHeads = typeOfCache(op.getKeyCache()).getDimSize(1), size = typeOfCache(op.getKeyCache()).getDimSize(3);
  int64_t valueSize = typeOfCache(op.getValueCache()).getDimSize(3), heads = op.getQ().getType().getDimSize(2) / size;
  Value q = toHeads(c, op.getQ(), heads), k = toHeads(c, op.getK(), keyHeads), v = toHeads(c, op.getV(), keyHeads);
  auto dim = [&](Value cache, int64_t i) { return c.b.createOrFold<memref::DimOp>(cache, i); };
  Value batch = c.dim(q, 0), length = c.dim(q, 1);
  for (Value other : {c.dim(k, 0), c.dim(v, 0), dim(op.getKeyCache(), 0), dim(op.getValueCache(), 0)})
    c.requireEqual(batch, other);
  for (Value other : {c.dim(k, 1), c.dim(v, 1)})
    c.requireEqual(length, other);
  c.requireEqual(dim(op.getKeyCache(), 2), dim(op.getValueCache(), 2));

  auto suffix = [](int64_t heads, int64_t size) { return "_h" + std::to_string(heads) + "_d" + std::to_string(size); };
  // Of one shape whether the model fixes the batch or not.
  auto cache = [&](Value memref) {
    SmallVector<int64_t> shape(typeOfCache(memref).getShape());
    shape[0] = shape[2] = kUnknown;
    auto type = MemRefType::get(shape, c.b.getF32Type());
    return memref.getType() == type ? memref : memref::CastOp::create(c.b, type, memref).getResult();
  };
  Value keys = cache(op.getKeyCache()), values = cache(op.getValueCache()), past = op.getPastLength();
  c.call("cache_append", suffix(keyHeads, size), {k, past, keys}, {});
  c.call("cache_append", suffix(keyHeads, valueSize), {v, past, values}, {});
  SmallVector<NamedAttribute> config;
  configureAttention(op, c.b, config);
  ResultBuffer y{{kUnknown, kUnknown, heads, valueSize}, c.b.getF32Type(), {batch, length}};
  std::string name = "_h" + std::to_string(heads) + "_kv" + std::to_string(keyHeads) + "_d" + std::to_string(size);
  Value result = c.call("cached_attention", name, {q, keys, values, past}, {y}, config)[0];
  return replace(op, fromHeads(c, result, y.sizes, op.getType()));
}
