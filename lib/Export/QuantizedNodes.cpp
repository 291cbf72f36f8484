//===- QuantizedNodes.cpp - Quantized operations as standard ones ---------===//
//
// Four-bit codes lie in ours as in ONNX's arrays of UINT4, two in a byte, the first in the low
// half, and need no other form but their type.
//
//===----------------------------------------------------------------------===//
#include "QuantizedNodes.h"
#include "TensorData.h"
#include "qopt/Dialect/Constants.h"
#include "llvm/ADT/TypeSwitch.h"
#include <limits>

using namespace mlir;
using namespace qopt;

/// onnx.proto, TensorProto.DataType.
enum DataType { Float = 1, Int8 = 3, Int64 = 7, Uint4 = 21 };

/// Operator sets: QuantizeLinear and the axes of reductions and padding as we write them, and
/// four-bit types with their blocks.
static constexpr int64_t kInt8Opset = 18, kInt4Opset = 21;

static void setInt(pb::NodeProto &node, StringRef name, int64_t value) {
  pb::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name.str());
  attribute.set_type(IsInt);
  attribute.set_i(value);
}

bool qopt::isPackedOperand(OpOperand &use) {
  return TypeSwitch<Operation *, bool>(use.getOwner())
      .Case<MatmulW4A16Op, MatmulW4A8Op>([&](auto op) { return use.get() == op.getW() || use.get() == op.getZeros(); })
      .Case([&](DequantizeOp op) {
        return op.getGroupSize() && (use.get() == op.getCodes() || use.get() == op.getZeros());
      })
      .Default(false);
}

//===----------------------------------------------------------------------===//
// Nodes and constants
//===----------------------------------------------------------------------===//

pb::NodeProto &QuantizedNodes::addNode(StringRef type, ArrayRef<std::string> inputs, const std::string &output) {
  pb::NodeProto &node = *graph.add_node();
  node.set_op_type(type.str());
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output.empty() ? uniqueName(type) : output);
  return node;
}

std::string QuantizedNodes::addCast(const std::string &input, int32_t type) {
  pb::NodeProto &node = addNode("Cast", {input});
  setInt(node, "to", type);
  return node.output(0);
}

template <typename T>
std::string QuantizedNodes::addTensor(int32_t type, ArrayRef<int64_t> shape, ArrayRef<T> elements) {
  pb::TensorProto &tensor = *graph.add_initializer();
  tensor.set_name(uniqueName("constant"));
  tensor.set_data_type(type);
  for (int64_t size : shape)
    tensor.add_dims(size);
  tensor.set_raw_data(elements.data(), elements.size() * sizeof(T));
  return tensor.name();
}

std::string QuantizedNodes::addInts(ArrayRef<int64_t> numbers) {
  return addTensor<int64_t>(Int64, {int64_t(numbers.size())}, numbers);
}

std::string QuantizedNodes::addFloat(float number) { return addTensor<float>(Float, {}, {number}); }

std::string QuantizedNodes::addGroupsOfColumns(int64_t columns, int64_t groupSize) {
  std::vector<int64_t> groups(columns);
  for (int64_t k = 0; k < columns; ++k)
    groups[k] = k / groupSize;
  return addInts(groups);
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Result<std::string> QuantizedNodes::addPackedCodes(const Weights &weights) {
  std::string &name = packed[weights.codes];
  if (!name.empty())
    return name;
  std::optional<ConstantView> view = matchConstant(weights.codes);
  if (!view)
    return Error{"its 4-bit codes are no constant"};
  if (weights.columns % 2 != 0)
    return Error{"4-bit codes of " + std::to_string(weights.columns) +
                 " inputs have no form in ONNX: expected an even number"};
  name = uniqueName(view->name);
  if (Status status = addInitializer(name, view->value, Uint4, {weights.rows, weights.columns}); !status)
    return status.error();
  return name;
}

Result<std::string> QuantizedNodes::addPackedZeros(const Weights &weights, int64_t groups) {
  std::vector<int64_t> zeros(weights.rows * groups, 8);
  std::string base = "zero_points";
  if (weights.zeros) {
    if (std::string &name = packed[weights.zeros]; !name.empty())
      return name;
    std::optional<ConstantView> view = matchConstant(weights.zeros);
    auto numbers = view ? view->readAs<int64_t>() : std::nullopt;
    if (!numbers)
      return Error{"its zero points are no constant"};
    zeros = std::move(*numbers);
    base = view->name.str();
  }
  std::vector<int8_t> bytes(llvm::divideCeil(zeros.size(), 2));
  for (auto [i, zero] : llvm::enumerate(zeros)) {
    if (zero < 0 || zero > 15)
      return Error{"the zero point " + std::to_string(zero) + " has no form in ONNX: expected one in [0, 15]"};
    bytes[i / 2] |= static_cast<int8_t>(zero << (i % 2 * 4));
  }
  auto type = RankedTensorType::get({int64_t(bytes.size())}, IntegerType::get(weights.scale.getContext(), 8));
  std::string name = uniqueName(base);
  if (Status status =
          addInitializer(name, DenseElementsAttr::get(type, ArrayRef(bytes)), Uint4, {weights.rows, groups});
      !status)
    return status.error();
  if (weights.zeros)
    packed[weights.zeros] = name;
  return name;
}

/// The matrix in float, or whatever shape a tensor with one scale has.
Status QuantizedNodes::addWeights(const Weights &weights, const std::string &output) {
  auto scaleType = cast<RankedTensorType>(weights.scale.getType());
  std::string scale = nameOf(weights.scale);
  if (!scaleType.getElementType().isF32()) // what comes out is of the scale's type
    scale = addCast(scale, Float);
  if (!weights.groupSize) {
    pb::NodeProto &node = addNode("DequantizeLinear", {nameOf(weights.codes), scale}, output);
    if (scaleType.getRank() == 1)
      setInt(node, "axis", 0);
    return {};
  }
  int64_t groups = scaleType.getDimSize(1);
  Result<std::string> codes = addPackedCodes(weights);
  if (!codes)
    return codes.error();
  Result<std::string> zeros = addPackedZeros(weights, groups);
  if (!zeros)
    return zeros.error();
  pb::NodeProto &node = addNode("DequantizeLinear", {*codes, scale, *zeros}, output);
  setInt(node, "axis", 1);
  setInt(node, "block_size", std::min(*weights.groupSize, weights.columns));
  opset = kInt4Opset;
  return {};
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

void QuantizedNodes::addQuantize(QuantizeOp op) {
  std::string zero = addTensor<int8_t>(Int8, {}, {0}); // which also says that codes are signed
  addNode("QuantizeLinear", {nameOf(op.getInput()), nameOf(op.getScale()), zero}, nameOf(op.getCodes()));
}

void QuantizedNodes::addDynamicQuantize(DynamicQuantizeOp op) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  int64_t columns = type.getShape().back(), groupSize = op.getGroupSize().value_or(columns);
  std::string input = nameOf(op.getInput()), rows = input;
  if (op.getGroupSize()) {
    int64_t groups = llvm::divideCeil(columns, groupSize), rest = groups * groupSize - columns;
    if (rest) // zeros change no maximum
      rows = addNode("Pad", {rows, addInts({0, rest}), "", addInts({-1})}).output(0);
    SmallVector<int64_t> shape(type.getRank() - 1, 0); // as they are
    shape.append({groups, groupSize});
    rows = addNode("Reshape", {rows, addInts(shape)}).output(0);
  }
  std::string magnitudes = addNode("Abs", {rows}).output(0);
  std::string absmax = addNode("ReduceMax", {magnitudes, addInts({-1})}).output(0); // [..., G, 1] or [..., 1]
  std::string flat = addNode("Squeeze", {absmax, addInts({-1})}).output(0);
  addNode("Div", {flat, addFloat(127)}, nameOf(op.getScale()));
  if (op.getGroupSize()) {
    pb::NodeProto &gather = addNode("Gather", {flat, addGroupsOfColumns(columns, groupSize)});
    setInt(gather, "axis", type.getRank() - 1);
    absmax = gather.output(0);
  }
  // A row of zeros is divided by something, too.
  std::string divisor = addNode("Max", {absmax, addFloat(std::numeric_limits<float>::min())}).output(0);
  std::string scaled = addNode("Mul", {input, addFloat(127)}).output(0);
  std::string rounded = addNode("Round", {addNode("Div", {scaled, divisor}).output(0)}).output(0);
  std::string clipped = addNode("Clip", {rounded, addFloat(-128), addFloat(127)}).output(0);
  setInt(addNode("Cast", {clipped}, nameOf(op.getCodes())), "to", Int8);
}

/// What int8 codes are worth: one scale, one per token, or one per token and group.
std::string QuantizedNodes::addCodesAsFloats(Value codes, Value scale, int64_t groupSize) {
  auto type = cast<RankedTensorType>(codes.getType());
  int64_t rank = cast<RankedTensorType>(scale.getType()).getRank();
  if (rank == 0)
    return addNode("DequantizeLinear", {nameOf(codes), nameOf(scale)}).output(0);
  std::string factors;
  if (rank < type.getRank()) {
    factors = addNode("Unsqueeze", {nameOf(scale), addInts({-1})}).output(0);
  } else {
    pb::NodeProto &gather = addNode("Gather", {nameOf(scale), addGroupsOfColumns(type.getShape().back(), groupSize)});
    setInt(gather, "axis", rank - 1);
    factors = gather.output(0);
  }
  return addNode("Mul", {addCast(nameOf(codes), Float), factors}).output(0);
}

Status QuantizedNodes::addProduct(Operation *op, const std::string &input, const Weights &weights) {
  std::string matrix = uniqueName("weights"), transposed = uniqueName("weights");
  if (Status status = addWeights(weights, matrix); !status)
    return status;
  pb::NodeProto &transpose = addNode("Transpose", {matrix}, transposed);
  pb::AttributeProto &permutation = *transpose.add_attribute();
  permutation.set_name("perm");
  permutation.set_type(IsInts);
  permutation.add_ints(1);
  permutation.add_ints(0);
  addNode("MatMul", {input, transposed}, nameOf(op->getResult(0)));
  return {};
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// The size of the last dimension.
static int64_t columnsOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape().back(); }

/// Of weights that are not written yet.
static Status noForm() {
  return Error{
      "weights of 4 or 8 bits that are no integers with one scale, or with one per group of 4-bit codes and an "
      "integer zero point, are not written as ONNX"};
}

static bool areFloats(Value zeros) { return zeros && getElementTypeOrSelf(zeros).isF32(); }

Result<int64_t> QuantizedNodes::add(Operation *op) {
  opset = kInt8Opset;
  auto rowsOf = [](Value matrix) { return cast<RankedTensorType>(matrix.getType()).getDimSize(0); };
  Status status =
      TypeSwitch<Operation *, Status>(op)
          .Case([&](DequantizeOp dequantize) -> Status {
            if (dequantize.getTable() || dequantize.getFloat8() || dequantize.getBytes() ||
                areFloats(dequantize.getZeros()))
              return noForm();
            Weights weights{
                dequantize.getCodes(), dequantize.getScale(), dequantize.getZeros(), dequantize.getGroupSize(), 0, 0};
            if (weights.groupSize) {
              weights.rows = rowsOf(dequantize.getResult());
              weights.columns = columnsOf(dequantize.getResult());
            }
            return addWeights(weights, nameOf(dequantize.getResult()));
          })
          .Case([&](QuantizeOp quantize) { return addQuantize(quantize), Status(); })
          .Case([&](DynamicQuantizeOp quantize) { return addDynamicQuantize(quantize), Status(); })
          .Case([&](MatmulW8A8Op product) -> Status {
            if (product.getOutliers())
              return Error{"outlier columns beside int8 products have no form in ONNX"};
            return addProduct(op, addCodesAsFloats(product.getX(), product.getXScale(), 0),
                              {product.getW(), product.getWScale(), {}, std::nullopt, 0, 0});
          })
          .Case([&](MatmulW8A16Op product) -> Status {
            if (product.getFloat8() || product.getGroupSize())
              return noForm();
            return addProduct(op, nameOf(product.getX()),
                              {product.getW(), product.getWScale(), {}, std::nullopt, 0, 0});
          })
          .Case([&](MatmulW4A16Op product) -> Status {
            if (product.getTable() || areFloats(product.getZeros()))
              return noForm();
            return addProduct(op, nameOf(product.getX()),
                              {product.getW(), product.getScale(), product.getZeros(), product.getGroupSize(),
                               rowsOf(product.getW()), columnsOf(product.getX())});
          })
          .Case([&](MatmulW4A8Op product) {
            return addProduct(
                op,
                addCodesAsFloats(product.getX(), product.getXScale(), static_cast<int64_t>(product.getXGroupSize())),
                {product.getW(), product.getScale(), product.getZeros(), product.getGroupSize(), rowsOf(product.getW()),
                 columnsOf(product.getX())});
          })
          .Default([&](Operation *) {
            opset = 0;
            return Status();
          });
  if (!status)
    return status.error();
  return opset;
}
