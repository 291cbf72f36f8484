//===- AttentionForms.cpp - What Attention has beyond its plain form ------===//
//
// Windows (operator set 25), caches of a fixed size of which nonpad_kv_seqlen tokens are there
// (24), masks that end before the keys, and scores as a result. All but the last are a mask.
//
//===----------------------------------------------------------------------===//
#include "StandardRules.h"
#include "qopt/Dialect/Types.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

namespace {

/// The operands, by position.
enum Operand { Query, Key, Value_, Mask, PastKey, PastValue, NonpadLength };
/// What the fourth result shows of the scores, from operator set 24 on.
enum Scores { Raw, Capped, Masked, Probabilities };

class AttentionForm {
public:
  explicit AttentionForm(NodeImport &node) : node(node), b(node) {}
  Status run();

private:
  Status readAttributes();
  Value headsFirst(Value rows, int64_t heads);
  Value lowest();
  Value longMask(Value total);
  Value mask();
  Value scores(Value mask);

  NodeImport &node;
  OperatorBuilder b;
  int64_t left = -1, right = -1, heads = 0, keyHeads = 0, size = 0;
  bool isCausal = false;
  float softcap = 0;
  std::optional<float> scale;
  Scores shown = Raw;
  Value keys, values; ///< with those of the past, heads first
};

} // namespace

Status AttentionForm::readAttributes() {
  node.attributes.erase("softmax_precision"); // at least f32 here anyway
  left = node.takeInt("left_window_size", -1), right = node.takeInt("right_window_size", -1);
  if (left < -1 || right < -1)
    return Error{"expected windows of -1 or more but got " + std::to_string(left) + " and " + std::to_string(right)};
  auto peek = [&](StringRef name) {
    auto value = dyn_cast_or_null<IntegerAttr>(node.attributes.get(name));
    return value ? value.getInt() : 0;
  };
  isCausal = peek("is_causal") != 0;
  if (auto value = dyn_cast_or_null<FloatAttr>(node.attributes.get("scale")))
    scale = static_cast<float>(value.getValueAsDouble());
  if (auto value = dyn_cast_or_null<FloatAttr>(node.attributes.get("softcap")))
    softcap = static_cast<float>(value.getValueAsDouble());
  int64_t mode = node.takeInt("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    return Error{"expected a qk_matmul_output_mode of 0 to 3 but got " + std::to_string(mode)};
  shown = static_cast<Scores>(mode);
  bool hasFour = typeOf(node.input(Query)).getRank() == 4;
  heads = hasFour ? typeOf(node.input(Query)).getDimSize(1) : peek("q_num_heads");
  keyHeads =
      hasFour && typeOf(node.input(Key)).getRank() == 4 ? typeOf(node.input(Key)).getDimSize(1) : peek("kv_num_heads");
  int64_t columns = typeOf(node.input(Query)).getRank() > 2 ? typeOf(node.input(Query)).getShape().back() : 0;
  size = hasFour || heads < 1 || ShapedType::isDynamic(columns) ? columns : columns / heads;
  return {};
}

Value AttentionForm::headsFirst(Value rows, int64_t heads) {
  if (b.hasFailed() || typeOf(rows).getRank() == 4)
    return rows;
  return b.transpose(b.reshape(rows, {0, 0, heads, -1}), {0, 2, 1, 3});
}

Value AttentionForm::lowest() {
  auto element = b.hasFailed() ? FloatType() : dyn_cast<FloatType>(typeOf(node.input(Query)).getElementType());
  return element ? b.constant(APFloat::getLargest(element.getFloatSemantics(), /*Negative=*/true), element) : Value();
}

/// The mask, hiding the keys behind its end.
Value AttentionForm::longMask(Value total) {
  Value mask = node.input(Mask);
  if (!mask || b.hasFailed() || typeOf(mask).getRank() == 0)
    return mask;
  RankedTensorType type = typeOf(mask), present = typeOf(keys);
  int64_t columns = type.getShape().back(), length = present.getDimSize(2);
  bool isShort = !ShapedType::isDynamic(columns) && !ShapedType::isDynamic(length) && columns > 1 && columns < length;
  if (!isShort)
    return mask;
  bool isBoolean = type.getElementType().isInteger(1);
  Value hidden = isBoolean ? b.cast(b.scalar(0), type.getElementType()) : lowest();
  return standard::padAxis(b, mask, type.getRank() - 1, b.ints(0), b.make("Sub", {total, b.ints(columns)}), hidden);
}

/// attn_mask with what the attributes and nonpad_kv_seqlen hide. Where that needs it, the causal
/// mask is a part of it.
Value AttentionForm::mask() {
  Value total = b.dim(keys, 2), given = longMask(total), lengths = node.input(NonpadLength);
  bool hasWindow = left >= 0 || right >= 0;
  if (!lengths && !hasWindow)
    return given;
  Value count = b.dim(node.input(Query), typeOf(node.input(Query)).getRank() == 4 ? 2 : 1),
        positions = b.count(0, total), seen;
  auto also = [&](Value condition) { seen = seen ? b.make("And", {seen, condition}) : condition; };
  // [batch, 1, queries, 1] or [queries, 1]: where queries stand among the keys.
  Value queries = b.unsqueeze(b.count(0, count), 1);
  if (lengths) {
    Value own = b.unsqueeze(b.flatInts(lengths), {1, 2, 3});
    also(b.make("Less", {positions, own}));
    queries = b.make("Add", {queries, b.make("Sub", {own, count})});
  } else if (node.input(PastKey)) {
    queries = b.make("Add", {queries, b.dim(node.input(PastKey), 2)});
  }
  if (isCausal && lengths) {
    node.attributes.erase("is_causal"); // which counts from the first key
    also(b.make("LessOrEqual", {positions, queries}));
  }
  if (left >= 0)
    also(b.make("GreaterOrEqual", {positions, b.make("Sub", {queries, b.ints(left)})}));
  if (right >= 0)
    also(b.make("LessOrEqual", {positions, b.make("Add", {queries, b.ints(right)})}));
  if (!given || b.hasFailed())
    return seen;
  return typeOf(given).getElementType().isInteger(1) ? b.make("And", {seen, given})
                                                     : b.make("Where", {seen, given, lowest()});
}

/// What the fourth result shows, [batch, heads, queries, keys].
Value AttentionForm::scores(Value mask) {
  Value q = headsFirst(node.input(Query), heads), k = keys;
  if (b.hasFailed())
    return {};
  if (heads != keyHeads && keyHeads > 0) {
    Value groups = b.unsqueeze(k, 2), shape = b.make("Shape", k);
    Value wanted = b.concat(
        {b.slice(shape, 0, b.ints(0), b.ints(2)), b.ints(heads / keyHeads), b.slice(shape, 0, b.ints(2), b.ints(4))},
        0);
    k = b.make("Reshape", {b.make("Expand", {groups, wanted}),
                           b.concat({b.dim(k, 0), b.ints(heads), b.slice(shape, 0, b.ints(2), b.ints(4))}, 0)});
  }
  double factor = scale ? *scale : 1 / std::sqrt(static_cast<double>(size));
  Value result = b.make("Mul", {b.make("MatMul", {q, b.transpose(k, {0, 1, 3, 2})}), b.floatLike(q, factor)});
  if (softcap > 0 && shown != Raw)
    result = b.make("Mul", {b.make("Tanh", b.make("Div", {result, b.floatLike(q, softcap)})), b.floatLike(q, softcap)});
  if (shown == Raw || shown == Capped || b.hasFailed())
    return result;
  auto element = cast<FloatType>(typeOf(q).getElementType());
  Value hidden = b.constant(APFloat::getInf(element.getFloatSemantics(), /*Negative=*/true), element);
  if (mask)
    result = typeOf(mask).getElementType().isInteger(1) ? b.make("Where", {mask, result, hidden})
                                                        : b.make("Add", {result, mask});
  if (isCausal && node.attributes.get("is_causal")) {
    Value queries = b.unsqueeze(b.count(0, b.dim(q, 2)), 1);
    if (node.input(PastKey))
      queries = b.make("Add", {queries, b.dim(node.input(PastKey), 2)});
    result = b.make("Where", {b.make("LessOrEqual", {b.count(0, b.dim(k, 2)), queries}), result, hidden});
  }
  // Of a query that sees no key, too, what the result is the mean by.
  return shown == Masked ? result : b.make("Softmax", b.make("Max", {result, lowest()}));
}

Status AttentionForm::run() {
  if (Status status = readAttributes(); !status)
    return status;
  int64_t rank = typeOf(node.input(Query)).getRank();
  bool isPlain = left < 0 && right < 0 && !node.input(NonpadLength) && !node.hasOutput(3) && (rank == 3 || rank == 4);
  bool keepsPast = node.input(PastKey) && node.input(PastValue), isReturned = node.hasOutput(1) || node.hasOutput(2);
  if (rank != 3 && rank != 4)
    return {}; // the operation says what it requires
  bool isShort =
      node.input(Mask) && typeOf(node.input(Mask)).hasStaticShape() && typeOf(node.input(Mask)).getRank() > 0;
  if (isPlain && !isShort && (keepsPast || !isReturned))
    return {};
  if ((rank == 3 || node.hasOutput(3)) && (heads < 1 || keyHeads < 1))
    return Error{"requires known numbers of heads"};
  if (node.hasOutput(3) && size < 1 && !scale)
    return Error{"requires heads of known size, or a scale"};
  if (node.input(PastKey) && node.input(NonpadLength))
    return Error{"requires no past with nonpad_kv_seqlen"};
  keys = headsFirst(node.input(Key), keyHeads), values = headsFirst(node.input(Value_), keyHeads);
  if (keepsPast)
    keys = b.concat({node.input(PastKey), keys}, 2), values = b.concat({node.input(PastValue), values}, 2);
  Value seen = mask();
  SmallVector<Value> operands = {node.input(Query),   node.input(Key),      node.input(Value_), seen,
                                 node.input(PastKey), node.input(PastValue)};
  Value extra = node.hasOutput(3) ? scores(seen) : Value();
  SmallVector<NamedAttribute> attributes;
  for (StringRef name : {"is_causal", "q_num_heads", "kv_num_heads", "scale", "softcap"})
    if (Attribute value = node.attributes.erase(name))
      attributes.push_back(node.builder.getNamedAttr(name, value));
  SmallVector<Value> results = b.makeAll("Attention", operands, attributes);
  if (results.size() == 1)
    results.append({keys, values});
  results.push_back(extra);
  return b.finish(results);
}

Status standard::importAttention(NodeImport &node) { return AttentionForm(node).run(); }
