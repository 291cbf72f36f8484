//===- ContribAttention.cpp - onnxruntime's other attentions --------------===//
//
// MultiHeadAttention and Attention, which projects its input first, have as many heads of
// keys as of queries; RotaryEmbedding takes positions before its tables. A mask of 0 and 1
// hides keys here as booleans do, where onnxruntime adds a large negative number: what a
// query gets that sees no key at all differs, and means nothing in either.
//
//===----------------------------------------------------------------------===//
#include "ContribOperators.h"
#include "OperatorBuilder.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

static int64_t columnsOf(Value value) { return typeOf(value).getShape().back(); }

namespace {

/// Queries, keys and values on their way into an Attention.
struct Heads {
  int64_t count;
  Value q, k, v;            ///< [batch, tokens, count * size], or all of rank 4 with heads first
  Value pastKey, pastValue; ///< [batch, count, earlier, size]
  Value mask;               ///< of keys, by 0 and 1
  Value bias;               ///< added to scores
};

} // namespace

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// A mask of 0 and 1, or the number of keys that each text has, or where these end and then
/// where they begin, as booleans [batch, 1, queries or 1, keys].
static Result<Value> shownKeys(OperatorBuilder &b, NodeImport &node, const Heads &heads, Value total) {
  RankedTensorType type = typeOf(heads.mask), q = typeOf(heads.q);
  switch (type.getRank()) {
  case 2:
    return b.unsqueeze(b.cast(heads.mask, node.builder.getI1Type()), {1, 2});
  case 3:
    return b.unsqueeze(b.cast(heads.mask, node.builder.getI1Type()), 1);
  case 1:
    break;
  default:
    return Error{"a mask of rank " + std::to_string(type.getRank()) + " is not supported"};
  }
  // Ends only, or ends and begins: their number is to be seen.
  bool isSame = type.getDimSize(0) == q.getDimSize(0) && !type.isDynamicDim(0);
  bool isTwice = type.getDimSize(0) == 2 * q.getDimSize(0) && !type.isDynamicDim(0) && !q.isDynamicDim(0);
  if (!isSame && !isTwice)
    return Error{"a mask of rank 1 requires a batch of known size, and one or two numbers for each text of it"};
  Value keys = b.count(0, total), numbers = b.cast(heads.mask, node.builder.getI64Type());
  SmallVector<Value> parts = {numbers};
  if (isTwice)
    parts = b.split(numbers, {q.getDimSize(0), q.getDimSize(0)}, 0);
  Value shown = b.make("Less", {keys, b.unsqueeze(parts[0], 1)});
  if (isTwice)
    shown = b.make("And", {shown, b.make("GreaterOrEqual", {keys, b.unsqueeze(parts[1], 1)})});
  return b.unsqueeze(shown, {1, 2});
}

/// The operand attn_mask: booleans, or a bias that hides what they do not show.
static Result<Value> attentionMask(OperatorBuilder &b, NodeImport &node, const Heads &heads) {
  if (!heads.mask || b.hasFailed())
    return heads.bias;
  Value total = b.dim(heads.k, typeOf(heads.k).getRank() == 4 ? 2 : 1);
  if (heads.pastKey)
    total = b.make("Add", {total, b.dim(heads.pastKey, 2)});
  Result<Value> shown = shownKeys(b, node, heads, total);
  auto element = dyn_cast<FloatType>(typeOf(heads.q).getElementType());
  if (!shown || !heads.bias || !element)
    return shown;
  Value lowest = b.constant(APFloat::getLargest(element.getFloatSemantics(), /*Negative=*/true), element);
  return b.make("Where", {*shown, heads.bias, lowest});
}

/// Takes the attributes that both operators have.
static Result<SmallVector<Value>> attend(OperatorBuilder &b, NodeImport &node, const Heads &heads) {
  node.attributes.erase("mask_filter_value");
  SmallVector<NamedAttribute> attributes = {b.attribute("q_num_heads", heads.count),
                                            b.attribute("kv_num_heads", heads.count),
                                            b.attribute("is_causal", node.takeInt("unidirectional", 0))};
  if (auto scale = node.take<FloatAttr>("scale"); scale && scale.getValueAsDouble() != 0)
    attributes.push_back(node.builder.getNamedAttr("scale", scale));
  Result<Value> mask = attentionMask(b, node, heads);
  if (!mask)
    return mask.error();
  return b.makeAll("Attention", {heads.q, heads.k, heads.v, *mask, heads.pastKey, heads.pastValue}, attributes);
}

static Status requireHeads(const Heads &heads) {
  if (heads.count < 1)
    return Error{"requires num_heads above 0 but got " + std::to_string(heads.count)};
  return {};
}

/// What the next call gets as past: with it, or heads first.
static Value presentOf(OperatorBuilder &b, ArrayRef<Value> results, size_t which, Value now, int64_t heads) {
  if (b.hasFailed() || results.size() > which)
    return b.hasFailed() ? Value() : results[which];
  if (typeOf(now).getRank() == 4)
    return now;
  return b.transpose(b.reshape(now, {0, 0, heads, -1}), {0, 2, 1, 3});
}

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

/// Parts of a tensor [batch, tokens, heads, parts, size], each [batch, tokens, heads * size].
static SmallVector<Value> unpack(OperatorBuilder &b, Value packed, int64_t heads, int64_t parts) {
  SmallVector<Value> result = b.split(packed, SmallVector<int64_t>(parts, 1), 3);
  for (Value &part : result)
    part = b.reshape(part, {0, 0, b.hasFailed() ? 0 : heads * columnsOf(packed)});
  return result;
}

/// Brings the operands to three of rank 3, or keys and values of rank 4 to queries of that.
static Status arrangeOperands(OperatorBuilder &b, NodeImport &node, Heads &heads) {
  auto rank = [](Value value) { return value ? typeOf(value).getRank() : 0; };
  auto hasParts = [&](Value value, int64_t parts) {
    return rank(value) == 5 && typeOf(value).getDimSize(2) == heads.count && typeOf(value).getDimSize(3) == parts &&
           !typeOf(value).isDynamicDim(4);
  };
  if (!heads.k && !heads.v && hasParts(heads.q, 3)) {
    SmallVector<Value> parts = unpack(b, heads.q, heads.count, 3);
    heads.q = parts[0], heads.k = parts[1], heads.v = parts[2];
  } else if (rank(heads.q) == 3 && !heads.v && hasParts(heads.k, 2)) {
    SmallVector<Value> parts = unpack(b, heads.k, heads.count, 2);
    heads.k = parts[0], heads.v = parts[1];
  }
  if (b.hasFailed())
    return {};
  if (rank(heads.q) != 3 || rank(heads.k) != rank(heads.v) || (rank(heads.k) != 3 && rank(heads.k) != 4))
    return Error{"queries of rank " + std::to_string(rank(heads.q)) + " with keys of rank " +
                 std::to_string(rank(heads.k)) + " and values of rank " + std::to_string(rank(heads.v)) +
                 " are not supported"};
  return {};
}

/// Adds the parts of a bias for all three.
static Status addBias(OperatorBuilder &b, Heads &heads, Value bias) {
  if (!bias || b.hasFailed())
    return {};
  int64_t q = columnsOf(heads.q), k = columnsOf(heads.k), v = columnsOf(heads.v);
  if (typeOf(heads.k).getRank() != 3 || ShapedType::isDynamic(q) || ShapedType::isDynamic(k) ||
      ShapedType::isDynamic(v))
    return Error{"a bias requires queries, keys and values of rank 3 with known numbers of columns"};
  SmallVector<Value> parts = b.split(bias, {q, k, v}, 0);
  heads.q = b.make("Add", {heads.q, parts[0]});
  heads.k = b.make("Add", {heads.k, parts[1]});
  heads.v = b.make("Add", {heads.v, parts[2]});
  return {};
}

/// query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value.
Status contrib::importMultiHeadAttention(NodeImport &node) {
  OperatorBuilder b(node);
  if (node.input(8) || node.input(9))
    return Error{"past_sequence_length and cache_indirection are not supported"};
  if (node.hasOutput(3))
    return Error{"output 3, the scores, is not supported"};
  Heads heads{node.takeInt("num_heads", 0),
              node.input(0),
              node.input(1),
              node.input(2),
              node.input(6),
              node.input(7),
              node.input(4),
              node.input(5)};
  if (Status status = requireHeads(heads); !status)
    return status;
  if (Status status = arrangeOperands(b, node, heads); !status)
    return status;
  if (Status status = addBias(b, heads, node.input(3)); !status)
    return status;
  bool isCross = !b.hasFailed() && typeOf(heads.k).getRank() == 4;
  if (isCross) {
    heads.q = b.transpose(b.reshape(heads.q, {0, 0, heads.count, -1}), {0, 2, 1, 3});
    if (heads.pastKey || heads.pastValue)
      return Error{"keys of rank 4 with a past are not supported"};
  }
  Result<SmallVector<Value>> results = attend(b, node, heads);
  if (!results)
    return results.error();
  Value result = results->empty() ? Value() : results->front();
  if (isCross && !b.hasFailed())
    result = b.reshape(b.transpose(result, {0, 2, 1, 3}), {0, 0, heads.count * columnsOf(heads.v)});
  SmallVector<Value> outputs = {result};
  if (node.hasOutput(1) || node.hasOutput(2))
    for (auto [which, now] : {std::pair(1, heads.k), {2, heads.v}})
      outputs.push_back(presentOf(b, *results, which, now, heads.count));
  return b.finish(outputs);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// input, weights, bias, mask_index, past, attention_bias: one product gives all three. past and
/// present are [2, batch, heads, tokens, size].
Status contrib::importAttention(NodeImport &node) {
  OperatorBuilder b(node);
  if (node.takeInt("do_rotary", 0) || node.takeInt("past_present_share_buffer", 0) || node.input(6))
    return Error{"do_rotary and past_present_share_buffer are not supported"};
  node.attributes.erase("rotary_embedding_dim");
  Heads heads{node.takeInt("num_heads", 0), {}, {}, {}, {}, {}, node.input(3), node.input(5)};
  if (Status status = requireHeads(heads); !status)
    return status;
  int64_t columns = columnsOf(node.inputs[1]);
  SmallVector<int64_t> sizes(3, columns / 3);
  if (auto given = node.take<DenseI64ArrayAttr>("qkv_hidden_sizes"))
    sizes.assign(given.asArrayRef().begin(), given.asArrayRef().end());
  if (ShapedType::isDynamic(columns) || sizes.size() != 3 || sizes[0] + sizes[1] + sizes[2] != columns)
    return Error{"requires weights whose columns are queries, keys and values"};
  Value projected = b.make("MatMul", {node.inputs[0], node.inputs[1]});
  if (Value bias = node.input(2))
    projected = b.make("Add", {projected, bias});
  SmallVector<Value> parts = b.split(projected, sizes, -1);
  heads.q = parts[0], heads.k = parts[1], heads.v = parts[2];
  if (Value past = node.input(4)) {
    SmallVector<Value> halves = b.split(past, {1, 1}, 0);
    heads.pastKey = b.make("Squeeze", {halves[0], b.ints(0)}),
    heads.pastValue = b.make("Squeeze", {halves[1], b.ints(0)});
  }
  Result<SmallVector<Value>> results = attend(b, node, heads);
  if (!results)
    return results.error();
  SmallVector<Value> outputs = {results->empty() ? Value() : results->front()};
  if (node.hasOutput(1))
    outputs.push_back(b.concat({b.unsqueeze(presentOf(b, *results, 1, heads.k, heads.count), 0),
                                b.unsqueeze(presentOf(b, *results, 2, heads.v, heads.count), 0)},
                               0));
  return b.finish(outputs);
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

/// input, position_ids, cos_cache, sin_cache. One position stands for the first of all texts.
Status contrib::importRotaryEmbedding(NodeImport &node) {
  OperatorBuilder b(node);
  if (node.takeInt("is_packed_batching", 0))
    return Error{"is_packed_batching is not supported"};
  if (auto scale = node.take<FloatAttr>("scale"); scale && scale.getValueAsDouble() != 1)
    return Error{"a scale other than 1 is not supported"};
  Value x = node.inputs[0], positions = node.inputs[1], cos = node.inputs[2], sin = node.inputs[3];
  int64_t rank = typeOf(x).getRank(), columns = columnsOf(x), angles = columnsOf(cos);
  int64_t heads = node.takeInt("num_heads", 0), rotated = node.takeInt("rotary_embedding_dim", 0);
  if (rank != 3 && rank != 4)
    return Error{"requires an input of rank 3 or 4 but got rank " + std::to_string(rank)};
  if (rank == 3 && heads == 0) {
    if (ShapedType::isDynamic(columns) || ShapedType::isDynamic(angles) || angles == 0)
      return Error{"requires a known number of columns, or num_heads"};
    heads = columns / (2 * angles); // heads are turned as a whole
  }
  if (typeOf(positions).getRank() == 1)
    positions = b.make("Add", {positions, b.unsqueeze(b.count(0, b.dim(x, rank == 4 ? 2 : 1)), 0)});
  return b.finish(b.make("RotaryEmbedding", {x, cos, sin, positions},
                         {b.attribute("interleaved", node.takeInt("interleaved", 0)), b.attribute("num_heads", heads),
                          b.attribute("rotary_embedding_dim", rotated)}));
}
