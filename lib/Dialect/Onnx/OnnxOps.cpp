//===- OnnxOps.cpp - Folders and constants of the onnx dialect ------------===//
#include "qopt/Dialect/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace qopt::onnx;

#include "qopt/Dialect/Onnx/OnnxOpsDialect.cpp.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Onnx/OnnxOps.cpp.inc"

void OnnxDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "qopt/Dialect/Onnx/OnnxOps.cpp.inc"
      >();
}

Operation *OnnxDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getShapedType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, type, elements);
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValueAttr(); }

OpFoldResult IdentityOp::fold(FoldAdaptor) { return getInput(); }

OpFoldResult CastOp::fold(FoldAdaptor) { return getInput().getType() == getOutput().getType() ? getInput() : Value(); }

OpFoldResult ShapeOp::fold(FoldAdaptor) {
  auto type = cast<RankedTensorType>(getData().getType());
  auto clampDim = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + type.getRank() : i, 0, type.getRank()); };
  int64_t start = clampDim(getStart()), end = clampDim(getEnd().value_or(type.getRank()));
  auto result = dyn_cast<RankedTensorType>(getShape().getType());
  if (!result || !result.hasStaticShape())
    return {};
  auto dims = type.getShape().slice(start, std::max<int64_t>(end - start, 0));
  if (llvm::any_of(dims, ShapedType::isDynamic))
    return {};
  return DenseElementsAttr::get(result, dims);
}

//===----------------------------------------------------------------------===//
// Constants as numbers
//===----------------------------------------------------------------------===//

std::optional<SmallVector<int64_t>> qopt::onnx::getConstantInts(Value value) {
  ElementsAttr elements;
  if (!value || !matchPattern(value, m_Constant(&elements)))
    return std::nullopt;
  auto type = dyn_cast<IntegerType>(elements.getElementType());
  if (!type || elements.getShapedType().getRank() > 1)
    return std::nullopt;
  auto range = elements.tryGetValues<APInt>();
  if (!range)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (const APInt &element : *range)
    result.push_back(type.isUnsigned() || type.getWidth() == 1 ? element.getZExtValue() : element.getSExtValue());
  return result;
}

std::optional<double> qopt::onnx::getConstantScalar(Value value) {
  ElementsAttr elements;
  if (!value || !matchPattern(value, m_Constant(&elements)) || elements.getNumElements() == 0 || !elements.isSplat())
    return std::nullopt;
  if (auto floats = elements.tryGetValues<APFloat>()) {
    APFloat first = *floats->begin();
    bool losesInfo;
    first.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return first.convertToDouble();
  }
  if (auto ints = elements.tryGetValues<APInt>()) {
    auto type = cast<IntegerType>(elements.getElementType());
    APInt first = *ints->begin();
    bool isUnsigned = type.isUnsigned() || type.getWidth() == 1;
    return isUnsigned ? static_cast<double>(first.getZExtValue()) : static_cast<double>(first.getSExtValue());
  }
  return std::nullopt;
}
