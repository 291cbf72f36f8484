//===- OnnxOps.cpp - Folders and constants of the onnx dialect ------------===//
//
// Operations on small integers fold by what they do to elements; this is what makes
// constants of the shapes that exporters compute.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/BytecodeVersion.h"
#include "qopt/Dialect/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FoldInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt::onnx;

#include "qopt/Dialect/Onnx/OnnxInterfaces.cpp.inc"
#include "qopt/Dialect/Onnx/OnnxOpsDialect.cpp.inc"
#include "qopt/Dialect/Onnx/OnnxOpsEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "qopt/Dialect/Onnx/OnnxOpsAttributes.cpp.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Onnx/OnnxOps.cpp.inc"

namespace {
/// Folds what has no folder of its own.
struct FoldContents : DialectFoldInterface {
  using DialectFoldInterface::DialectFoldInterface;

  LogicalResult fold(Operation *op, ArrayRef<Attribute>, SmallVectorImpl<OpFoldResult> &results) const override {
    DenseElementsAttr value = foldContents(op);
    if (!value)
      return failure();
    results.push_back(value);
    return success();
  }
};
} // namespace

void OnnxDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "qopt/Dialect/Onnx/OnnxOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "qopt/Dialect/Onnx/OnnxOpsAttributes.cpp.inc"
      >();
  addInterfaces<FoldContents, BytecodeVersion>();
}

Operation *OnnxDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getShapedType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, type, elements);
}

LogicalResult qopt::onnx::verifySameElements(Operation *op, unsigned first) {
  for (Value operand : op->getOperands().drop_front(std::min(first, op->getNumOperands()))) {
    Type expected = getElementTypeOrSelf(op->getOperand(first)), element = getElementTypeOrSelf(operand);
    if (element != expected)
      return op->emitOpError("requires operands of one element type but got ") << expected << " and " << element;
  }
  return success();
}

bool qopt::onnx::keepsValues(Operation *op) { return op->hasTrait<Rearranges>() || isa<CastOp>(op); }

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValueAttr(); }

OpFoldResult IdentityOp::fold(FoldAdaptor) { return getInput(); }

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getInput().getType() == getOutput().getType())
    return getInput();
  return foldContents(*this);
}

DenseElementsAttr qopt::onnx::foldContents(Operation *op) {
  auto contents = dyn_cast<ShapeContentsInterface>(op);
  if (!contents || op->getNumResults() != 1 || !mayHoldShape(op->getResult(0).getType()))
    return {};
  StaticShapes shapes(std::nullopt);
  std::optional<Extents> elements = contents.inferContents(shapes);
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (!elements || static_cast<int64_t>(elements->size()) != type.getNumElements())
    return {};
  SmallVector<APInt> values;
  unsigned width = type.getElementTypeBitWidth();
  for (const Extent &element : *elements) {
    if (!element.isConstant())
      return {};
    values.push_back(APInt(width, element.value, /*isSigned=*/true, /*implicitTrunc=*/true));
  }
  return DenseElementsAttr::get(type, values);
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

std::optional<int64_t> qopt::onnx::getConstantAxis(Value axes, int64_t rank) {
  std::optional<SmallVector<int64_t>> known = getConstantInts(axes);
  return known && known->size() == 1 ? std::optional(frontAxis(known->front(), rank)) : std::nullopt;
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
