//===- QuantizationShapes.cpp - Shapes and rules of quantized values -------===//
//
// The result has the shape of x; what scales and zero points must be follows from how many
// elements share one.
//
//===----------------------------------------------------------------------===//
#include "ShapeRules.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

LogicalResult QuantizeLinearOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  return shapes.addResult(shapes.dims(op.getX()), op.getTo());
}

LogicalResult DequantizeLinearOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  return shapes.addResult(shapes.dims(op.getX()), op.getTo());
}

/// One scale, a vector along `axis`, or one for each block of `blockSize` elements of it.
static LogicalResult verifyScale(Operation *op, Value x, Value scale, Value zero, int64_t axis, int64_t blockSize) {
  RankedTensorType type = typeOf(x), scales = typeOf(scale);
  if (zero && failed(verifyCompatibleShape(typeOf(zero).getShape(), scales.getShape())) &&
      typeOf(zero).getRank() == scales.getRank())
    return op->emitOpError("expected zero points of the shape of the scale, ")
           << scales << ", but got " << typeOf(zero);
  if (blockSize < 0)
    return op->emitOpError("expected a block size of at least 0 but got ") << blockSize;
  bool isSingle = scales.hasStaticShape() && scales.getNumElements() == 1 && scales.getRank() <= 1;
  if (isSingle && !blockSize)
    return success();
  int64_t rank = type.getRank();
  if (axis < -rank || axis >= rank)
    return op->emitOpError("expected an axis in [") << -rank << ", " << rank - 1 << "] but got " << axis;
  axis = axis < 0 ? axis + rank : axis;
  auto fits = [](int64_t size, int64_t wanted) {
    return ShapedType::isDynamic(size) || ShapedType::isDynamic(wanted) || size == wanted;
  };
  if (!blockSize) {
    if (scales.getRank() != 1 || !fits(scales.getDimSize(0), type.getDimSize(axis)))
      return op->emitOpError("expected one scale, or one for each of ")
             << type.getDimSize(axis) << " elements of axis " << axis << ", but got " << scales;
    return success();
  }
  bool isGood = scales.getRank() == rank;
  for (int64_t i = 0; isGood && i < rank; ++i) {
    int64_t size = type.getDimSize(i);
    bool isBlocked = i == axis && !ShapedType::isDynamic(size);
    isGood = fits(scales.getDimSize(i), isBlocked ? (size + blockSize - 1) / blockSize : size);
  }
  if (!isGood)
    return op->emitOpError("expected a scale for each block of ")
           << blockSize << " elements of axis " << axis << " of " << type << ", but got " << scales;
  return success();
}

LogicalResult QuantizeLinearOp::verify() {
  return verifyScale(*this, getX(), getYScale(), getYZeroPoint(), getAxis(), getBlockSize());
}

LogicalResult DequantizeLinearOp::verify() {
  return verifyScale(*this, getX(), getXScale(), getXZeroPoint(), getAxis(), getBlockSize());
}
