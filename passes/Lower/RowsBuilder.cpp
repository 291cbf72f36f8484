//===- RowsBuilder.cpp - Tensors in the shapes that kernels take ------------===//
//
// Reshapes between tensors of any rank and rows or heads, by tensor operations that cost
// nothing in memory.
//
//===----------------------------------------------------------------------===//
#include "RowsBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;

namespace qopt::lowering {

Value RowsBuilder::dim(Value tensor, int64_t i) { return createOrFold<tensor::DimOp>(tensor, i); }

OpFoldResult RowsBuilder::size(Value tensor, int64_t i) {
  if (!typeOf(tensor).isDynamicDim(i))
    return getIndexAttr(typeOf(tensor).getDimSize(i));
  return getAsOpFoldResult(dim(tensor, i));
}

Value RowsBuilder::empty(ArrayRef<OpFoldResult> sizes, Type element) {
  return tensor::EmptyOp::create(*this, sizes, element);
}

Value RowsBuilder::emptyRows(Value rows, int64_t width, Type element) {
  return empty({size(rows, 0), getIndexAttr(width)}, element);
}

Value RowsBuilder::emptyPerRow(Value rows, Type element) { return empty(size(rows, 0), element); }

Value RowsBuilder::flatten(Value tensor) {
  int64_t rank = typeOf(tensor).getRank();
  if (rank < 2)
    return tensor;
  return tensor::CollapseShapeOp::create(
      *this, tensor, ArrayRef<ReassociationIndices>{llvm::to_vector<2>(llvm::seq<int64_t>(0, rank))});
}

void RowsBuilder::requireEqual(Value x, Value y) {
  if (x == y || (getConstantIntValue(x) && getConstantIntValue(x) == getConstantIntValue(y)))
    return;
  Value equal = arith::CmpIOp::create(*this, arith::CmpIPredicate::eq, x, y);
  emitRequire(*this, getLoc(), equal, RuntimeError::ShapeMismatch, x, y);
}

Value RowsBuilder::withShape(Value tensor, ArrayRef<int64_t> shape, ValueRange sizes) {
  RankedTensorType type = typeOf(tensor);
  if (type.getShape() == shape)
    return tensor;
  for (auto [i, size] : llvm::enumerate(shape))
    if (type.isDynamicDim(i) && !ShapedType::isDynamic(size))
      requireEqual(i < sizes.size() ? sizes[i] : dim(tensor, i), arith::ConstantIndexOp::create(*this, size));
  return tensor::CastOp::create(*this, RankedTensorType::get(shape, type.getElementType()), tensor);
}

Value RowsBuilder::toRows(Value tensor, int64_t width) {
  RankedTensorType type = typeOf(tensor);
  int64_t rank = type.getRank();
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = width;
  tensor = withShape(tensor, shape);
  if (rank == 1)
    tensor = tensor::ExpandShapeOp::create(*this, RankedTensorType::get({1, width}, type.getElementType()), tensor,
                                           ArrayRef<ReassociationIndices>{{0, 1}});
  if (rank > 2)
    tensor = tensor::CollapseShapeOp::create(
        *this, tensor, ArrayRef<ReassociationIndices>{llvm::to_vector<2>(llvm::seq<int64_t>(0, rank - 1)), {rank - 1}});
  return tensor;
}

Value RowsBuilder::fromRows(Value rows, Value like, int64_t dropped, Type type) {
  RankedTensorType rowsType = typeOf(rows), likeType = typeOf(like);
  int64_t width = rowsType.getDimSize(1), leading = likeType.getRank() - dropped;
  SmallVector<int64_t> shape(likeType.getShape().take_front(leading));
  SmallVector<OpFoldResult> sizes;
  int64_t product = 1;
  for (int64_t i = 0; i < leading; ++i) {
    // Of the kind that the type says: upstream folds rely on it.
    sizes.push_back(ShapedType::isDynamic(shape[i]) ? OpFoldResult(dim(like, i)) : getIndexAttr(shape[i]));
    product =
        ShapedType::isDynamic(shape[i]) || ShapedType::isDynamic(product) ? ShapedType::kDynamic : product * shape[i];
  }
  shape.push_back(width);
  sizes.push_back(getIndexAttr(width));
  if (!ShapedType::isDynamic(product) && rowsType.isDynamicDim(0)) // so many rows were computed
    rows = tensor::CastOp::create(*this, RankedTensorType::get({product, width}, rowsType.getElementType()), rows);
  if (leading == 0)
    rows = tensor::CollapseShapeOp::create(*this, rows, ArrayRef<ReassociationIndices>{{0, 1}});
  if (leading > 1)
    rows = tensor::ExpandShapeOp::create(
        *this, RankedTensorType::get(shape, rowsType.getElementType()), rows,
        ArrayRef<ReassociationIndices>{llvm::to_vector<2>(llvm::seq<int64_t>(0, leading)), {leading}}, sizes);
  return withShape(rows, cast<RankedTensorType>(type).getShape());
}

Value RowsBuilder::splitHeads(Value tensor, int64_t heads) {
  RankedTensorType type = typeOf(tensor);
  int64_t rank = type.getRank(), size = type.getDimSize(rank - 1) / heads;
  SmallVector<int64_t> shape(type.getShape().drop_back());
  SmallVector<OpFoldResult> sizes;
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i + 1 < rank; ++i) {
    sizes.push_back(ShapedType::isDynamic(shape[i]) ? OpFoldResult(dim(tensor, i)) : getIndexAttr(shape[i]));
    groups.push_back({i});
  }
  groups.push_back({rank - 1, rank});
  shape.append({heads, size});
  sizes.append({getIndexAttr(heads), getIndexAttr(size)});
  return tensor::ExpandShapeOp::create(*this, RankedTensorType::get(shape, type.getElementType()), tensor, groups,
                                       sizes);
}

} // namespace qopt::lowering
