//===- PackedParameters.cpp - Weights in the form of kernels ----------------===//
//
// Looks at constants, packs them once and remembers what was packed.
//
//===----------------------------------------------------------------------===//
#include "PackedParameters.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Codegen/Packing.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;

namespace qopt::lowering {

/// Whether all bytes are there, with this element type and rank.
static bool hasData(const std::optional<ConstantView> &constant, Type element, int64_t rank) {
  return constant && constant->type.getElementType() == element && constant->type.getRank() == rank &&
         constant->isComplete();
}

std::optional<ConstantView> matchData(Value value, Type element, int64_t rank) {
  std::optional<ConstantView> constant = matchConstant(value);
  return hasData(constant, element, rank) ? constant : std::nullopt;
}

std::optional<ConstantView> matchFloatWeight(Value value) {
  std::optional<ConstantView> weight = matchWeight(value);
  Type element = weight ? weight->type.getElementType() : Type();
  bool isFloat = element && (element.isF32() || element.isF16() || element.isBF16());
  return isFloat && hasData(weight, element, 2) ? weight : std::nullopt;
}

PackedParameters::PackedParameters(ModuleOp module) {
  module.walk([&](onnx::MatMulOp product) {
    if (std::optional<ConstantView> weight = matchFloatWeight(product.getB()))
      weights.push_back(*weight);
  });
  auto remember = [](llvm::DenseSet<Attribute> &codes, Value w) {
    if (std::optional<ConstantView> constant = matchConstant(w))
      codes.insert(constant->value);
  };
  module.walk([&](MatmulW8A16Op product) { remember(columnCodes, product.getW()); });
  module.walk([&](MatmulW8A8Op product) { remember(dotCodes, product.getW()); });
}

Value PackedParameters::createOfBytes(ImplicitLocOpBuilder &b, const ConstantView &source, StringRef form,
                                      RankedTensorType type, function_ref<std::vector<char>()> make, Attribute key) {
  std::string name = ((source.name.empty() ? "constant" : source.name) + "." + form).str();
  ElementsAttr &value = packed[{key ? key : Attribute(source.value), b.getStringAttr(name)}];
  if (!value || value.getShapedType() != type) {
    std::vector<char> bytes = make();
    value = DenseResourceElementsAttr::get(
        type, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64, /*dataIsMutable=*/false));
  }
  return ParameterOp::create(b, type, b.getStringAttr(name), value);
}

Value PackedParameters::createFloatWeight(ImplicitLocOpBuilder &b, const ConstantView &weight) {
  int64_t k = weight.type.getDimSize(0), n = weight.type.getDimSize(1);
  SmallVector<int64_t> shape{static_cast<int64_t>(llvm::divideCeil(n, kernel::kColumns)), k, kernel::kColumns};
  Type element = weight.type.getElementType();
  if (element.isF32())
    return create<float>(b, weight, "packed", shape, element,
                         [&] { return packFloatWeights(elementsOf<float>(weight), k, n); });
  return create<uint16_t>(b, weight, "packed", shape, element,
                          [&] { return packHalfWeights(elementsOf<uint16_t>(weight), k, n); });
}

Value PackedParameters::createInt8Columns(ImplicitLocOpBuilder &b, const ConstantView &codes) {
  int64_t n = codes.type.getDimSize(0), k = codes.type.getDimSize(1);
  return create<int8_t>(b, codes, "columns", {blocksOf(n), k, kernel::kColumns}, b.getI8Type(),
                        [&] { return packInt8Columns(elementsOf<int8_t>(codes), n, k); });
}

Value PackedParameters::createInt8Dot(ImplicitLocOpBuilder &b, const ConstantView &codes) {
  int64_t n = codes.type.getDimSize(0), k = codes.type.getDimSize(1), steps = llvm::divideCeil(k, 4);
  return create<int8_t>(b, codes, "dot", {blocksOf(n), steps, 4 * kernel::kColumns}, b.getI8Type(),
                        [&] { return packInt8Dot(elementsOf<int8_t>(codes), n, k); });
}

Value PackedParameters::createAsProduct(ImplicitLocOpBuilder &b, const ConstantView &codes) {
  if (columnCodes.contains(codes.value))
    return createInt8Columns(b, codes);
  return dotCodes.contains(codes.value) ? createInt8Dot(b, codes) : Value();
}

std::optional<ConstantView> PackedParameters::findTiedWeight(Value table) const {
  auto type = cast<RankedTensorType>(table.getType());
  Type element = type.getElementType();
  std::optional<ConstantView> rows = matchData(table, element, 2);
  if (!rows || !(element.isF32() || element.isF16() || element.isBF16()))
    return std::nullopt;
  for (const ConstantView &columns : weights)
    if (isTransposed(*rows, columns))
      return columns;
  return std::nullopt;
}

} // namespace qopt::lowering
