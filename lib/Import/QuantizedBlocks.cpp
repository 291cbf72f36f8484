//===- QuantizedBlocks.cpp - Weights in blocks ----------------------------===//
//
// MatMulNBits and GatherBlockQuantized, as DequantizeLinear with a product or a look-up
// behind it. Definitions: docs/ContribOperators.md of onnxruntime.
//
//===----------------------------------------------------------------------===//
#include "QuantizedOperators.h"
#include "QuantizedWeights.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::quantized;

namespace {
/// The sizes of a matrix [outputs, inputs] in blocks of inputs.
struct Blocks {
  int64_t n, k, size, bits;

  int64_t count() const { return (k + size - 1) / size; }
};
} // namespace

static std::string describe(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// The bytes of an input that must be a constant of ui8 with so many elements.
static Result<ElementsAttr> bytesOf(Value value, StringRef what, int64_t count) {
  ElementsAttr bytes = constantOf(value);
  if (!bytes)
    return Error{what.str() + " must be constant"};
  if (!bytes.getElementType().isUnsignedInteger(8) || bytes.getNumElements() != count)
    return Error{what.str() + ": expected " + std::to_string(count) + " elements of ui8 but got " +
                 describe(bytes.getShapedType())};
  return bytes;
}

static std::string nameOf(ElementsAttr value, StringRef suffix) {
  StringRef name = viewConstant(value).name;
  return (name.empty() ? "weight" : name.str()) + suffix.str();
}

/// Zero points as a constant [rows, blocks]: packed as codes are, floats, or the middle.
static Result<Value> blockZeros(NodeImport &node, Value given, int64_t rows, const Blocks &blocks, int64_t middle) {
  auto type = RankedTensorType::get({rows, blocks.count()}, node.builder.getIntegerType(8, /*isSigned=*/false));
  if (!given)
    return node.constant(DenseElementsAttr::get(type, APInt(8, static_cast<uint64_t>(middle), /*isSigned=*/false)));
  if (isa<FloatType>(typeOf(given).getElementType())) {
    ElementsAttr floats = constantOf(given);
    if (!floats || floats.getNumElements() != type.getNumElements())
      return Error{"zero points: expected " + std::to_string(type.getNumElements()) + " constants but got " +
                   describe(given.getType())};
    return node.constant(reshaped(floats, type.getShape()));
  }
  int64_t rowBytes = (blocks.count() * blocks.bits + 7) / 8;
  Result<ElementsAttr> bytes = bytesOf(given, "zero points", rows * rowBytes);
  if (!bytes)
    return bytes.error();
  std::vector<uint8_t> zeros =
      PackedCodes{*bytes, rows, rowBytes, static_cast<int>(blocks.bits)}.unpack(blocks.count());
  return node.constant(packCodes(node.builder.getContext(), zeros, rows, /*bits=*/8, nameOf(*bytes, ".unpacked")));
}

/// Inputs in the order of their groups, where `groups` names each one's; empty where they
/// are in order. An error where groups are not of the size of a block.
static Result<SmallVector<int64_t>> orderByGroups(Value groups, const Blocks &blocks) {
  SmallVector<int64_t> order;
  if (!groups)
    return order;
  ElementsAttr constant = constantOf(groups);
  auto ids = constant ? viewConstant(constant).readAs<int64_t>() : std::nullopt;
  if (!ids || static_cast<int64_t>(ids->size()) < blocks.k)
    return Error{"g_idx: expected " + std::to_string(blocks.k) + " constants but got " + describe(groups.getType())};
  std::vector<SmallVector<int64_t>> members(blocks.count());
  bool isInOrder = true;
  for (int64_t k = 0; k < blocks.k; ++k) {
    int64_t group = (*ids)[k];
    if (group < 0 || group >= blocks.count())
      return Error{"g_idx: expected groups below " + std::to_string(blocks.count()) + " but got " +
                   std::to_string(group)};
    members[group].push_back(k);
    isInOrder &= group == k / blocks.size;
  }
  if (isInOrder)
    return order;
  for (auto [group, list] : llvm::enumerate(members)) {
    int64_t expected = std::min(blocks.size, blocks.k - static_cast<int64_t>(group) * blocks.size);
    if (static_cast<int64_t>(list.size()) != expected)
      return Error{"g_idx: expected " + std::to_string(expected) + " inputs in group " + std::to_string(group) +
                   " but got " + std::to_string(list.size())};
    order.append(list);
  }
  return order;
}

Status quantized::importMatMulNBits(NodeImport &node) {
  CodeBuilder b(node);
  Blocks blocks{node.takeInt("N", 0), node.takeInt("K", 0), node.takeInt("block_size", 0), node.takeInt("bits", 4)};
  node.attributes.erase("accuracy_level"); // how much less exact than float the product may be: not at all
  if (node.takeInt("weight_prepacked", 0) != 0)
    return Error{"weight_prepacked is not supported: the codes are in the order of one device"};
  constexpr int64_t most = int64_t(1) << 30;
  if (blocks.n < 1 || blocks.k < 1 || blocks.size < 1 || blocks.n > most || blocks.k > most || blocks.size > most ||
      blocks.bits < 2 || blocks.bits > 8 || blocks.size * blocks.bits % 8)
    return Error{"expected N, K, block_size of at least 1 and bits of 2 to 8 that fill bytes, but got " +
                 std::to_string(blocks.n) + ", " + std::to_string(blocks.k) + ", " + std::to_string(blocks.size) +
                 " and " + std::to_string(blocks.bits)};
  int64_t rowBytes = blocks.count() * (blocks.size * blocks.bits / 8);
  Result<ElementsAttr> bytes = bytesOf(node.input(1), "B", blocks.n * rowBytes);
  if (!bytes)
    return bytes.error();
  ElementsAttr scales = constantOf(node.input(2));
  if (!scales || scales.getNumElements() != blocks.n * blocks.count())
    return Error{"scales: expected " + std::to_string(blocks.n * blocks.count()) + " constants but got " +
                 describe(node.input(2).getType())};
  Result<Value> zeros = blockZeros(node, node.input(3), blocks.n, blocks, int64_t(1) << (blocks.bits - 1));
  if (!zeros)
    return zeros.error();
  Result<SmallVector<int64_t>> order = orderByGroups(node.input(4), blocks);
  if (!order)
    return order.error();

  PackedCodes packed{*bytes, blocks.n, rowBytes, static_cast<int>(blocks.bits)};
  ElementsAttr codes;
  Value a = node.input(0);
  if (order->empty()) {
    codes = packed.toConstant(blocks.k, nameOf(*bytes, ".codes"));
  } else {
    std::vector<uint8_t> unpacked = packed.unpack(blocks.k), ordered;
    for (int64_t n = 0; n < blocks.n; ++n)
      for (int64_t k : *order)
        ordered.push_back(unpacked[n * blocks.k + k]);
    codes = packCodes(node.builder.getContext(), ordered, blocks.n, packed.bits, nameOf(*bytes, ".ordered"));
    a = b.make("Gather", {a, node.constant(*order)}, b.attribute("axis", int64_t(-1)));
  }
  Type element = typeOf(node.input(0)).getElementType();
  Value scale = node.constant(reshaped(scales, {blocks.n, blocks.count()}));
  Value w = b.make("DequantizeLinear", {node.constant(codes), scale, *zeros},
                   {b.attribute("axis", int64_t(1)), b.attribute("block_size", blocks.size), b.type(element)});
  Value y = b.make("MatMul", {a, b.transpose(w, {1, 0})});
  return b.finish(b.addBias(y, node.input(5)));
}

Status quantized::importGatherBlockQuantized(NodeImport &node) {
  CodeBuilder b(node);
  int64_t bits = node.takeInt("bits", 4), size = node.takeInt("block_size", 128);
  int64_t gatherAxis = node.takeInt("gather_axis", 0), quantizeAxis = node.takeInt("quantize_axis", 1);
  ElementsAttr data = constantOf(node.input(0));
  if (!data)
    return Error{"data must be constant"};
  Value table = node.constant(data), scale = node.input(2), zeros = node.input(3);
  if (data.getElementType().isUnsignedInteger(8)) {
    auto type = data.getShapedType();
    ElementsAttr scales = constantOf(scale);
    bool isMatrix = type.getRank() == 2 && scales && scales.getShapedType().getRank() == 2;
    if (!isMatrix || (quantizeAxis != 1 && quantizeAxis != -1) || (bits != 2 && bits != 4 && bits != 8) || size < 1)
      return Error{"expected a matrix of ui8 in blocks along axis 1 with 2, 4 or 8 bits, but got " + describe(type) +
                   ", axis " + std::to_string(quantizeAxis) + " and " + std::to_string(bits) + " bits"};
    int64_t rows = type.getDimSize(0), rowBytes = type.getDimSize(1);
    Blocks blocks{rows, rowBytes * 8 / bits, size, bits};
    PackedCodes packed{data, rows, rowBytes, static_cast<int>(bits)};
    table = node.constant(packed.toConstant(blocks.k, nameOf(data, ".codes")));
    Result<Value> unpacked = blockZeros(node, zeros, rows, blocks, int64_t(1) << (bits - 1));
    if (!unpacked)
      return unpacked.error();
    zeros = *unpacked;
  }
  Value rows = b.make(
      "DequantizeLinear", {table, scale, zeros},
      {b.attribute("axis", quantizeAxis), b.attribute("block_size", size), b.type(typeOf(scale).getElementType())});
  return b.finish(b.make("Gather", {rows, node.input(1)}, b.attribute("axis", gatherAxis)));
}
