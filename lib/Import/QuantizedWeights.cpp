//===- QuantizedWeights.cpp - The codes of onnxruntime's operators --------===//
//
// Bytes with codes of 2 to 8 bits, as constants of ONNX's types.
//
//===----------------------------------------------------------------------===//
#include "QuantizedWeights.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"

using namespace mlir;
using namespace qopt;

ElementsAttr qopt::constantOf(Value value) {
  if (!value)
    return {};
  if (auto reshape = value.getDefiningOp<onnx::ReshapeOp>()) {
    ElementsAttr inner = constantOf(reshape.getData());
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return inner && type && type.hasStaticShape() && type.getNumElements() == inner.getNumElements()
               ? reshaped(inner, type.getShape())
               : ElementsAttr();
  }
  std::optional<ConstantView> view = matchConstant(value);
  return view && view->isComplete() ? view->value : ElementsAttr();
}

ElementsAttr qopt::reshaped(ElementsAttr value, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, value.getElementType());
  if (value.getShapedType() == type)
    return value;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    return DenseResourceElementsAttr::get(type, resource.getRawHandle());
  return cast<DenseElementsAttr>(value).reshape(type);
}

std::vector<uint8_t> PackedCodes::unpack(int64_t columns) const {
  std::vector<char> data = viewConstant(bytes).expanded();
  std::vector<uint8_t> codes;
  codes.reserve(rows * columns);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      int64_t bit = column * bits, at = row * rowBytes + bit / 8;
      unsigned both = static_cast<uint8_t>(data[at]);
      if (bit / 8 + 1 < rowBytes)
        both |= static_cast<unsigned>(static_cast<uint8_t>(data[at + 1])) << 8;
      codes.push_back(static_cast<uint8_t>((both >> (bit % 8)) & ((1u << bits) - 1)));
    }
  return codes;
}

/// The type with the fewest bits that holds codes of `bits`.
static Type codeType(MLIRContext *context, int bits) {
  return IntegerType::get(context, bits <= 2 ? 2 : bits <= 4 ? 4 : 8, IntegerType::Unsigned);
}

ElementsAttr qopt::packCodes(MLIRContext *context, ArrayRef<uint8_t> codes, int64_t rows, int bits, StringRef name) {
  Type element = codeType(context, bits);
  unsigned width = element.getIntOrFloatBitWidth(), perByte = 8 / width;
  AsmResourceBlob blob =
      HeapAsmResourceBlob::allocate((codes.size() + perByte - 1) / perByte, /*align=*/64, /*dataIsMutable=*/true);
  MutableArrayRef<char> to = blob.getMutableData();
  llvm::fill(to, 0);
  for (auto [i, code] : llvm::enumerate(codes))
    to[i / perByte] |= static_cast<char>(code << (i % perByte * width));
  auto columns = rows ? static_cast<int64_t>(codes.size()) / rows : 0;
  return DenseResourceElementsAttr::get(RankedTensorType::get({rows, columns}, element), name, std::move(blob));
}

ElementsAttr PackedCodes::toConstant(int64_t columns, StringRef name) const {
  MLIRContext *context = bytes.getContext();
  Type element = codeType(context, bits);
  bool isAlike = static_cast<int>(element.getIntOrFloatBitWidth()) == bits && columns * bits == rowBytes * 8;
  auto resource = dyn_cast<DenseResourceElementsAttr>(bytes);
  if (isAlike && resource)
    return DenseResourceElementsAttr::get(RankedTensorType::get({rows, columns}, element), resource.getRawHandle());
  return packCodes(context, unpack(columns), rows, bits, name);
}
