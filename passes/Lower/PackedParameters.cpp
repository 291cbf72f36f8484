//===- PackedParameters.cpp - Weights in the form of kernels ----------------===//
//
// Looks at constants, packs them once and remembers what was packed.
//
//===----------------------------------------------------------------------===//
#include "PackedParameters.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Codegen/Packing.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "llvm/Support/MathExtras.h"

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

/// Whether `columns` [K, V] is `rows` [V, K] transposed, bit by bit. A splat is not looked at.
template <typename Bits>
static bool isTransposed(const ConstantView &rows, const ConstantView &columns) {
  if (rows.isSplat || columns.isSplat)
    return false;
  int64_t v = rows.type.getDimSize(0), k = rows.type.getDimSize(1);
  auto at = [](const ConstantView &constant, int64_t i) {
    Bits bits; // data of a mapped file need not be aligned
    std::memcpy(&bits, constant.bytes.data() + i * sizeof(Bits), sizeof(Bits));
    return bits;
  };
  auto isRow = [&](int64_t j) {
    return llvm::all_of(llvm::seq(k), [&](int64_t i) { return at(rows, j * k + i) == at(columns, i * v + j); });
  };
  return llvm::all_of(llvm::seq(v), isRow);
}

std::optional<ConstantView> PackedParameters::findTiedWeight(Value table) const {
  auto type = cast<RankedTensorType>(table.getType());
  Type element = type.getElementType();
  std::optional<ConstantView> rows = matchData(table, element, 2);
  if (!rows || !(element.isF32() || element.isF16() || element.isBF16()))
    return std::nullopt;
  for (const ConstantView &columns : weights)
    if (columns.type.getShape() == ArrayRef<int64_t>{type.getDimSize(1), type.getDimSize(0)} &&
        columns.type.getElementType() == element &&
        (element.isF32() ? isTransposed<uint32_t> : isTransposed<uint16_t>)(*rows, columns))
      return columns;
  return std::nullopt;
}

} // namespace qopt::lowering
