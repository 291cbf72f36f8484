//===- Tensor.cpp - Tensors of the evaluator and constant attributes ------===//
//
// Floats are held as double and rounded to the element type, so one loop does for all
// of them.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "qopt/Dialect/Constants.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

int64_t reference::product(ArrayRef<int64_t> dims) {
  int64_t result = 1;
  for (int64_t dim : dims)
    result *= dim;
  return result;
}

Dims reference::denseStrides(ArrayRef<int64_t> shape) {
  Dims strides(shape.size(), 1);
  for (int64_t i = static_cast<int64_t>(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

Dims reference::broadcastStrides(ArrayRef<int64_t> shape, int64_t rank) {
  Dims dense = denseStrides(shape), strides(rank, 0);
  for (size_t i = 0; i < shape.size(); ++i)
    strides[rank - shape.size() + i] = shape[i] == 1 ? 0 : dense[i];
  return strides;
}

void reference::allocate(Tensor &tensor, RankedTensorType type) {
  tensor.type = type;
  tensor.floats.clear();
  tensor.ints.clear();
  if (tensor.isFloat())
    tensor.floats.resize(type.getNumElements());
  else
    tensor.ints.resize(type.getNumElements());
}

double reference::roundTo(Type element, double value) {
  if (element.isF32())
    return static_cast<float>(value);
  if (element.isF64())
    return value;
  llvm::APFloat number(value);
  bool losesInfo;
  number.convert(cast<FloatType>(element).getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  number.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return number.convertToDouble();
}

int64_t reference::wrapTo(Type element, int64_t value) {
  auto type = cast<IntegerType>(element);
  if (type.getWidth() >= 64)
    return value;
  if (type.isUnsigned() || type.getWidth() == 1)
    return static_cast<int64_t>(static_cast<uint64_t>(value) & llvm::maskTrailingOnes<uint64_t>(type.getWidth()));
  return llvm::SignExtend64(static_cast<uint64_t>(value), type.getWidth());
}

void reference::conform(Tensor &tensor) {
  Type element = tensor.type.getElementType();
  if (element.isF64())
    return;
  if (element.isF32()) {
    for (double &value : tensor.floats)
      value = static_cast<float>(value);
    return;
  }
  for (double &value : tensor.floats)
    value = roundTo(element, value);
  for (int64_t &value : tensor.ints)
    value = wrapTo(element, value);
}

double reference::numberAt(const Tensor &tensor, int64_t index) {
  return tensor.isFloat() ? tensor.floats[index] : static_cast<double>(tensor.ints[index]);
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

FailureOr<Tensor> reference::fromAttribute(ElementsAttr attribute) {
  auto type = dyn_cast<RankedTensorType>(attribute.getShapedType());
  if (!type || !isa<FloatType, IntegerType>(type.getElementType()) || type.getElementTypeBitWidth() > 64)
    return failure();
  ConstantView view = viewConstant(attribute);
  Tensor tensor{type, {}, {}};
  if (std::optional<std::vector<double>> floats = view.readAs<double>())
    tensor.floats = std::move(*floats);
  else if (std::optional<std::vector<int64_t>> ints = view.readAs<int64_t>())
    tensor.ints = std::move(*ints);
  else
    return failure();
  return tensor;
}

ElementsAttr reference::toAttribute(const Tensor &tensor) {
  Type element = tensor.type.getElementType();
  if (auto type = dyn_cast<FloatType>(element)) {
    SmallVector<APFloat> values;
    values.reserve(tensor.floats.size());
    for (double value : tensor.floats) {
      bool losesInfo;
      APFloat number(value);
      number.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
      values.push_back(number);
    }
    return DenseElementsAttr::get(tensor.type, values);
  }
  SmallVector<APInt> values;
  values.reserve(tensor.ints.size());
  unsigned width = cast<IntegerType>(element).getWidth();
  for (int64_t value : tensor.ints)
    values.push_back(APInt(width, static_cast<uint64_t>(value), false, /*implicitTrunc=*/true));
  return DenseElementsAttr::get(tensor.type, values);
}

FailureOr<Tensor> reference::getConstant(Value value) {
  std::optional<ConstantView> view = matchConstant(value);
  if (!view)
    return failure();
  return fromAttribute(view->value);
}
