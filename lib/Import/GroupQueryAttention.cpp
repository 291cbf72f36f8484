//===- GroupQueryAttention.cpp - onnxruntime's attention of decoders ------===//
//
// GroupQueryAttention keeps keys and values in buffers that may have room for more tokens
// than there are, and each text of a batch may have a length of its own. In standard
// operators:
//
// - earlier tokens are the first rows of the buffers, as many as the longest text has;
//   rows that a shorter text does not have are masked;
// - the new tokens are appended to these, whatever row of the buffer they get: attention
//   does not depend on the order of keys. The mask of a window knows their positions;
// - the buffers that are returned have the new rows where each text ends.
//
// Where no text is shorter and buffers have no room, as in calls with a growing cache, all
// this is Attention with past keys and a causal mask. What was measured with onnxruntime
// 1.32: a window of n tokens holds the query's own; the soft cap comes before the bias.
//
//===----------------------------------------------------------------------===//
#include "ContribOperators.h"
#include "StandardRules.h"
#include "qopt/Dialect/Types.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

namespace {

/// The operands of a GroupQueryAttention, by position.
enum Operand {
  Query,
  Key,
  Value_,
  PastKey,
  PastValue,
  SeqlensK,
  TotalLength,
  CosCache,
  SinCache,
  PositionIds,
  AttentionBias,
  HeadSink,
  KScale,
  VScale,
  QNormWeight,
  KNormWeight,
  QuerySeqlens
};

class GroupQueryAttention {
public:
  explicit GroupQueryAttention(NodeImport &node) : node(node), b(node) {}
  Status run();

private:
  Status readAttributes();
  Status readHeads();
  void normalize();
  void countTokens();
  void rotate();
  Value mask();
  Value biasByKey(Value keys, Value positions);
  Value earlierRows(Value past);
  Value returnedBuffer(Value past, Value now);

  NodeImport &node;
  OperatorBuilder b;
  int64_t heads = 0, keyHeads = 0, size = 0, window = -1;
  bool isRotated = false, isInterleaved = false, hasSink = false;
  NamedAttrList shared; ///< attributes that Attention has, too
  float normEpsilon[2] = {1e-6f, 1e-6f};
  Value q, k, v; ///< [batch, sequence, heads * size]
  Value length;  ///< [1]: of the new tokens
  Value earlier; ///< [1]: rows of the buffers that the longest text has
  Value own;     ///< [batch, 1]: rows that each text has; null where all have the same
};

} // namespace

static float floatOf(NamedAttribute attribute) {
  return static_cast<float>(cast<FloatAttr>(attribute.getValue()).getValueAsDouble());
}

/// Refuses an attribute with a value other than the one that means "not used".
static Status refuse(NodeImport &node, StringRef name, int64_t unused) {
  if (int64_t value = node.takeInt(name, unused); value != unused)
    return Error{name.str() + " = " + std::to_string(value) + " is not supported"};
  return {};
}

Status GroupQueryAttention::readAttributes() {
  heads = node.takeInt("num_heads", 0), keyHeads = node.takeInt("kv_num_heads", 0);
  if (heads < 1 || keyHeads < 1 || heads % keyHeads != 0)
    return Error{"requires num_heads to be a multiple of kv_num_heads but got " + std::to_string(heads) + " and " +
                 std::to_string(keyHeads)};
  for (auto [name, unused] :
       {std::pair("qk_output", 0), {"sliding_window_cache", 0}, {"causal", 1}, {"kv_cache_bit_width", 0}})
    if (Status status = refuse(node, name, unused); !status)
      return status;
  for (StringRef name : {"k_quant_type", "v_quant_type"})
    if (auto type = node.take<StringAttr>(name); type && type.getValue() != "NONE")
      return Error{name.str() + " = " + type.str() + ": quantized caches are not supported"};
  for (auto [which, name] : {std::pair(KScale, "k_scale"), {VScale, "v_scale"}, {QuerySeqlens, "query_seqlens"}})
    if (node.input(which))
      return Error{std::string("input ") + name + " is not supported"};
  if (node.hasOutput(3))
    return Error{"output 3, the scores, is not supported"};
  if (!node.input(SeqlensK) || !node.input(TotalLength))
    return Error{"requires seqlens_k and total_sequence_length"};
  if (!node.input(Key) != !node.input(Value_) || !node.input(PastKey) != !node.input(PastValue) ||
      !node.input(QNormWeight) != !node.input(KNormWeight))
    return Error{"requires keys and values, past and normalized, together"};
  auto common = floatOf(b.takeFloat("qk_norm_epsilon", 1e-6f));
  normEpsilon[0] = floatOf(b.takeFloat("q_norm_epsilon", common));
  normEpsilon[1] = floatOf(b.takeFloat("k_norm_epsilon", common));
  window = node.takeInt("local_window_size", -1);
  isRotated = node.takeInt("do_rotary", 0) != 0;
  isInterleaved = node.takeInt("rotary_interleaved", 0) != 0;
  if (isRotated && (!node.input(CosCache) || !node.input(SinCache)))
    return Error{"do_rotary requires cos_cache and sin_cache"};
  hasSink = node.takeInt("smooth_softmax", 0) > 0 || node.input(HeadSink);
  shared.set("q_num_heads", node.builder.getI64IntegerAttr(heads));
  shared.set("kv_num_heads", node.builder.getI64IntegerAttr(keyHeads));
  shared.append(b.takeFloat("softcap", 0));
  // 0 stands for the usual scale.
  if (auto scale = node.take<FloatAttr>("scale"); scale && scale.getValueAsDouble() != 0)
    shared.set("scale", scale);
  return {};
}

/// Queries, keys and values, which may come in one tensor.
Status GroupQueryAttention::readHeads() {
  q = node.input(Query), k = node.input(Key), v = node.input(Value_);
  RankedTensorType type = typeOf(q);
  if (type.getRank() != 3 || type.isDynamicDim(2))
    return Error{"requires a query [batch, sequence, features] with a known number of features"};
  int64_t all = k ? heads : heads + 2 * keyHeads, columns = type.getDimSize(2);
  if (columns % all != 0)
    return Error{"cannot divide " + std::to_string(columns) + " columns into " + std::to_string(all) + " heads"};
  size = columns / all;
  if (!k) {
    SmallVector<Value> parts = b.split(q, {heads * size, keyHeads * size, keyHeads * size}, -1);
    q = parts[0], k = parts[1], v = parts[2];
  }
  return {};
}

/// RMSNormalization of each head.
void GroupQueryAttention::normalize() {
  if (!node.input(QNormWeight))
    return;
  for (auto [value, weight, epsilon, count] : {std::tuple(&q, node.input(QNormWeight), normEpsilon[0], heads),
                                               {&k, node.input(KNormWeight), normEpsilon[1], keyHeads}}) {
    Value split = b.reshape(*value, {0, 0, count, size});
    *value =
        b.reshape(b.make("RMSNormalization", {split, weight}, b.attribute("epsilon", epsilon)), {0, 0, count * size});
  }
}

/// What a text has is seqlens_k + 1 with the new tokens. In a first call, where texts may be
/// padded on the right, that is less than the new tokens.
void GroupQueryAttention::countTokens() {
  length = b.dim(q, 1);
  if (!node.input(PastKey))
    return;
  Type i64 = node.builder.getI64Type();
  earlier = b.make("Sub", {b.flatInts(node.input(TotalLength)), length});
  if (!b.hasFailed() && typeOf(q).getDimSize(0) == 1)
    return;
  Value counts = b.cast(b.reshape(node.input(SeqlensK), {-1, 1}), i64);
  Value known = b.make("Sub", {b.make("Add", {counts, b.ints(1)}), length});
  own = b.make("Max", {known, b.ints(0)});
}

void GroupQueryAttention::rotate() {
  if (!isRotated || b.hasFailed())
    return;
  Value positions = node.input(PositionIds);
  if (!positions) {
    positions = b.unsqueeze(b.count(0, length), 0);
    if (earlier)
      positions = b.make("Add", {positions, own ? own : earlier});
  }
  int64_t columns = typeOf(node.input(CosCache)).getShape().back();
  bool isPartial = !ShapedType::isDynamic(columns) && 2 * columns != size;
  for (auto [value, count] : {std::pair(&q, heads), {&k, keyHeads}})
    *value = b.make("RotaryEmbedding", {*value, node.input(CosCache), node.input(SinCache), positions},
                    {b.attribute("num_heads", count), b.attribute("interleaved", int64_t(isInterleaved)),
                     b.attribute("rotary_embedding_dim", isPartial ? 2 * columns : 0)});
}

/// The bias of each key. Its columns are positions: where texts differ in length, those of
/// the new tokens are not where these stand.
Value GroupQueryAttention::biasByKey(Value keys, Value positions) {
  Value bias = node.input(AttentionBias), zero = b.ints(0), one = b.ints(1);
  if (!own)
    return hasSink ? b.concat({b.slice(bias, 3, zero, one), bias}, 3) : bias;
  Value outer = b.concat({b.dim(q, 0), b.slice(b.make("Shape", bias), 0, one, b.ints(3))}, 0);
  Value columns = b.unsqueeze(b.make("Max", {positions, zero}), {1, 2});
  columns = b.make("Expand", {columns, b.concat({outer, b.dim(keys, 0)}, 0)});
  bias = b.make("Expand", {bias, b.concat({outer, b.dim(bias, 3)}, 0)});
  return b.make("GatherElements", {bias, columns}, b.attribute("axis", int64_t(3)));
}

/// Booleans or floats that broadcast to [batch, heads, sequence, keys], for what a causal
/// mask does not say; null where it says everything. The key of a sink is -1.
Value GroupQueryAttention::mask() {
  bool isFloat = node.input(AttentionBias) || hasSink;
  if (!own && window <= 0 && !isFloat)
    return {};
  Value begin = earlier ? earlier : b.ints(0);
  Value keys = b.count(hasSink ? -1 : 0, b.make("Add", {begin, length})); // by where they stand
  Value isNew = b.make("GreaterOrEqual", {keys, begin}), positions = keys, shown;
  if (own) {
    shown = b.unsqueeze(b.make("Or", {b.make("Less", {keys, own}), isNew}), {1, 2});
    positions = b.make("Where", {isNew, b.make("Add", {b.make("Sub", {keys, begin}), own}), keys});
  }
  if (window > 0) {
    Value queries = b.make("Add", {b.count(0, length), own ? own : begin});
    Value first = b.make("Sub", {queries, b.ints(window - 1)}); // [sequence] or [batch, sequence]
    Value near = b.make("GreaterOrEqual", {own ? b.unsqueeze(positions, {1, 2}) : positions,
                                           b.unsqueeze(first, own ? ArrayRef<int64_t>{1, 3} : ArrayRef<int64_t>{1})});
    shown = shown ? b.make("And", {shown, near}) : near;
  }
  if (!isFloat || b.hasFailed())
    return shown;
  auto element = cast<FloatType>(typeOf(q).getElementType());
  Value bias = node.input(AttentionBias) ? biasByKey(keys, positions) : b.floatLike(q, 0);
  if (shown)
    bias = b.make("Where", {shown, bias, b.constant(APFloat::getLargest(element.getFloatSemantics(), true), element)});
  if (!hasSink)
    return bias;
  Value sink = node.input(HeadSink) ? b.reshape(node.input(HeadSink), {1, heads, 1, 1}) : b.floatLike(q, 0);
  return b.make("Where", {b.make("Equal", {keys, b.ints(-1)}), sink, bias});
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

/// The rows that the longest text has. Before them, for a sink, one of zeros: its score is
/// what the mask says, and its value adds nothing.
Value GroupQueryAttention::earlierRows(Value past) {
  Value rows = past ? b.slice(past, 2, b.ints(0), earlier) : Value();
  if (!hasSink || b.hasFailed())
    return rows;
  Value shape = b.concat({b.dim(q, 0), b.ints({keyHeads, 1, size})}, 0);
  Value zeros = b.make("Expand", {b.floatLike(q, 0), shape});
  return rows ? b.concat({zeros, rows}, 2) : zeros;
}

/// The buffer with the new rows, longer than before where it has no room for them.
Value GroupQueryAttention::returnedBuffer(Value past, Value now) {
  Value rows = b.transpose(b.reshape(now, {0, 0, keyHeads, size}), {0, 2, 1, 3});
  if (!past)
    return rows;
  Value zero = b.ints(0), lacking = b.make("Sub", {b.make("Add", {earlier, length}), b.dim(past, 2)});
  Value grown = b.concat({past, b.slice(rows, 2, zero, b.make("Max", {lacking, zero}))}, 2);
  return standard::scatterRows(b, grown, rows, own ? own : earlier, /*axis=*/2, /*goesAround=*/false);
}

Status GroupQueryAttention::run() {
  if (Status status = readAttributes(); !status)
    return status;
  if (Status status = readHeads(); !status)
    return status;
  normalize();
  countTokens();
  rotate();
  Value shown = mask(), pastKey = node.input(PastKey), pastValue = node.input(PastValue);
  shared.append(b.attribute("is_causal", int64_t(1)));
  SmallVector<NamedAttribute> attributes(shared.begin(), shared.end());
  SmallVector<Value> results = {
      b.make("Attention", {q, k, v, shown, earlierRows(pastKey), earlierRows(pastValue)}, attributes)};
  if (node.hasOutput(1) || node.hasOutput(2))
    results.append({returnedBuffer(pastKey, k), returnedBuffer(pastValue, v)});
  return b.finish(results);
}

Status contrib::importGroupQueryAttention(NodeImport &node) { return GroupQueryAttention(node).run(); }
