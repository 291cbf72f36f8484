//===- Loops.cpp - Loop and Scan, once for each repetition ----------------===//
//
// The trip count must be a constant by the time the node is imported, and so must a Loop's
// condition whenever it is computed.
//
//===----------------------------------------------------------------------===//
#include "GraphOrder.h"
#include "Importer.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Support/Utf8.h"

using namespace mlir;
using namespace qopt;

/// More make code of a size that nobody wants.
static constexpr int64_t kMaxTrips = 4096;

static const pb::AttributeProto *find(const pb::NodeProto &node, StringRef name) {
  for (const pb::AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return &attribute;
  return nullptr;
}

static Error refuse(const pb::NodeProto &node, const std::string &reason) {
  return {nodeName(node) + " (" + printable(node.op_type()) + "): " + reason};
}

/// The only element of a constant; nothing where it is none.
static std::optional<int64_t> constantOf(Value value) {
  std::optional<SmallVector<int64_t>> known = onnx::getConstantInts(value);
  return known && known->size() == 1 ? std::optional(known->front()) : std::nullopt;
}

/// M, condition, carried values; the body takes the number of the trip first, and gives the condition
/// of the next one, the carried values, and one row of each result that grows.
Status Importer::importLoop(const pb::NodeProto &node, ArrayRef<Value> operands) {
  const pb::AttributeProto *body = find(node, "body");
  if (!body || !body->has_g() || operands.size() < 2)
    return refuse(node, "requires a body, and a trip count and a condition, which may be left out");
  std::optional<int64_t> trips = constantOf(operands[0]);
  std::optional<int64_t> goesOn = operands[1] ? constantOf(operands[1]) : std::optional<int64_t>(1);
  if (!trips || !goesOn)
    return refuse(node, "is not supported: its trip count is only known at run time");
  Values carried(operands.drop_front(2));
  int64_t state = carried.size(), rows = body->g().output_size() - 1 - state;
  if (rows < 0 || node.output_size() > state + rows)
    return refuse(node, "its body has " + std::to_string(body->g().output_size()) + " results for " +
                            std::to_string(state) + " carried values");
  std::vector<Values> grown(rows);
  Value always =
      onnx::ConstantOp::create(builder, location(nodeName(node)), RankedTensorType::get({}, builder.getI1Type()),
                               DenseElementsAttr::get(RankedTensorType::get({}, builder.getI1Type()), true));
  for (int64_t i = 0; i < *trips && *goesOn; ++i) {
    if (i == kMaxTrips)
      return refuse(node, "is not supported: more than " + std::to_string(kMaxTrips) + " trips");
    Values inputs = {integer(i), always};
    llvm::append_range(inputs, carried);
    Result<Values> results = importInner(body->g(), inputs);
    if (!results)
      return refuse(node, results.error().message);
    goesOn = constantOf((*results)[0]);
    if (!goesOn)
      return refuse(node, "is not supported: when it ends is only known at run time");
    carried.assign(results->begin() + 1, results->begin() + 1 + state);
    for (int64_t j = 0; j < rows; ++j) {
      Result<Value> row = makeOne(node, "Unsqueeze", {(*results)[1 + state + j], integer(0, {1})});
      if (!row)
        return row.error();
      grown[j].push_back(*row);
    }
  }
  for (int64_t j = 0; j < rows && state + j < node.output_size(); ++j) {
    if (grown[j].empty())
      return refuse(node, "is not supported: a result of no trips");
    Result<Value> joined =
        makeOne(node, "Concat", grown[j], builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)));
    if (!joined)
      return joined.error();
    carried.push_back(*joined);
  }
  define(node, carried);
  return {};
}

/// Numbers of an attribute, or zeros.
static SmallVector<int64_t> numbersOf(const pb::NodeProto &node, StringRef name, int64_t count) {
  SmallVector<int64_t> numbers(count, 0);
  if (const pb::AttributeProto *attribute = find(node, name))
    for (int64_t i = 0; i < count && i < attribute->ints_size(); ++i)
      numbers[i] = attribute->ints(static_cast<int>(i));
  return numbers;
}

/// States, then the values that are scanned, a slice for each trip.
Status Importer::importScan(const pb::NodeProto &node, ArrayRef<Value> operands) {
  const pb::AttributeProto *body = find(node, "body"), *number = find(node, "num_scan_inputs");
  int64_t scanned = number ? number->i() : 0, state = static_cast<int64_t>(operands.size()) - scanned;
  if (!body || !body->has_g() || scanned < 1 || state < 0 || llvm::is_contained(operands, Value()))
    return refuse(node, "requires a body and values to scan");
  int64_t rows = body->g().output_size() - state;
  if (rows < 0 || node.output_size() > state + rows)
    return refuse(node, "its body has " + std::to_string(body->g().output_size()) + " results for " +
                            std::to_string(state) + " states");
  SmallVector<int64_t> axes = numbersOf(node, "scan_input_axes", scanned),
                       backward = numbersOf(node, "scan_input_directions", scanned),
                       outAxes = numbersOf(node, "scan_output_axes", rows),
                       outBackward = numbersOf(node, "scan_output_directions", rows);
  int64_t trips = ShapedType::kDynamic;
  for (int64_t i = 0; i < scanned; ++i) {
    RankedTensorType type = qopt::typeOf(operands[state + i]);
    axes[i] = onnx::frontAxis(axes[i], type.getRank());
    if (axes[i] < 0 || axes[i] >= type.getRank() || type.isDynamicDim(axes[i]) ||
        (i > 0 && type.getDimSize(axes[i]) != trips))
      return refuse(node, "is not supported: its trip count is only known at run time");
    trips = type.getDimSize(axes[i]);
  }
  if (trips > kMaxTrips || (trips == 0 && rows > 0))
    return refuse(node, "is not supported: " + std::to_string(trips) + " trips");
  Values carried(operands.take_front(state));
  std::vector<Values> grown(rows);
  for (int64_t trip = 0; trip < trips; ++trip) {
    Values inputs = carried;
    for (int64_t i = 0; i < scanned; ++i) {
      Value place = integer(backward[i] ? trips - 1 - trip : trip);
      Result<Value> slice = makeOne(node, "Gather", {operands[state + i], place},
                                    builder.getNamedAttr("axis", builder.getI64IntegerAttr(axes[i])));
      if (!slice)
        return slice.error();
      inputs.push_back(*slice);
    }
    Result<Values> results = importInner(body->g(), inputs);
    if (!results)
      return refuse(node, results.error().message);
    carried.assign(results->begin(), results->begin() + state);
    for (int64_t j = 0; j < rows; ++j) {
      Result<Value> row = makeOne(node, "Unsqueeze", {(*results)[state + j], integer(outAxes[j], {1})});
      if (!row)
        return row.error();
      grown[j].insert(outBackward[j] ? grown[j].begin() : grown[j].end(), *row);
    }
  }
  for (int64_t j = 0; j < rows && state + j < node.output_size(); ++j) {
    Result<Value> joined =
        makeOne(node, "Concat", grown[j], builder.getNamedAttr("axis", builder.getI64IntegerAttr(outAxes[j])));
    if (!joined)
      return joined.error();
    carried.push_back(*joined);
  }
  define(node, carried);
  return {};
}
