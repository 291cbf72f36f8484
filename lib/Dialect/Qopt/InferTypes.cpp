//===- InferTypes.cpp - Result types of the qopt dialect ------------------===//
//
// What an operation gives follows from its operands and attributes: builders need no
// types, the interface compares what is written with what is inferred, and the evaluator
// asks about the shapes that values really have. None of these fails: what operands
// must be to each other is up to the verifiers, which run afterwards.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Types.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace qopt;

using Types = SmallVectorImpl<Type>;

/// The shape of `value` with `columns` in place of its last dimension.
static SmallVector<int64_t> withColumns(Value value, int64_t columns) {
  SmallVector<int64_t> shape(typeOf(value).getShape());
  shape.back() = columns;
  return shape;
}

/// int8 codes of a float value.
static Type codesOf(Value value) { return typeOf(value).clone(IntegerType::get(value.getContext(), 8)); }

static Type floats(MLIRContext *context, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, Float32Type::get(context));
}

/// One scale for each row of a float value.
static Type rowScales(Value value) { return floats(value.getContext(), typeOf(value).getShape().drop_back()); }

//===----------------------------------------------------------------------===//
// Weights and values
//===----------------------------------------------------------------------===//

LogicalResult ParameterOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor, Types &types) {
  types.push_back(adaptor.getValue().getShapedType());
  return success();
}

LogicalResult QuantizeOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor, Types &types) {
  types.push_back(codesOf(adaptor.getInput()));
  return success();
}

/// How many groups of `size` a row of `value` has, the last one being the rest.
static int64_t groupsOf(Value value, int64_t size) {
  int64_t columns = typeOf(value).getShape().back();
  return ShapedType::isDynamic(columns) || size < 1 ? ShapedType::kDynamic : (columns + size - 1) / size;
}

LogicalResult DynamicQuantizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                                  Types &types) {
  Value input = adaptor.getInput();
  std::optional<uint64_t> size = adaptor.getGroupSize();
  types.append({codesOf(input), size ? floats(context, withColumns(input, groupsOf(input, static_cast<int64_t>(*size))))
                                     : rowScales(input)});
  return success();
}

LogicalResult SplitColumnsOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                               Types &types) {
  Value input = adaptor.getInput();
  auto columns = RankedTensorType::get(typeOf(input).getShape().take_back(), IntegerType::get(context, 32));
  types.append({codesOf(input), rowScales(input), columns});
  return success();
}

LogicalResult SplitColumnsAtOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                                 Types &types) {
  Value input = adaptor.getInput();
  int64_t count = adaptor.getColumns().size();
  types.append({codesOf(input), rowScales(input), floats(context, withColumns(input, count))});
  return success();
}

LogicalResult ReplaceColumnsOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                                 Types &types) {
  types.push_back(adaptor.getInput().getType());
  return success();
}

LogicalResult DequantizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                             Types &types) {
  SmallVector<int64_t> shape(typeOf(adaptor.getCodes()).getShape());
  // Two codes per byte: only `columns` can say that K is odd.
  if (adaptor.getGroupSize() && !adaptor.getBytes() && !shape.empty()) {
    bool isKnown = !ShapedType::isDynamic(shape.back());
    shape.back() = adaptor.getColumns() ? static_cast<int64_t>(*adaptor.getColumns())
                   : isKnown            ? 2 * shape.back()
                                        : ShapedType::kDynamic;
  }
  types.push_back(floats(context, shape));
  return success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// y = x W^T: the rows of x, with a column for each row of W.
static LogicalResult inferProduct(Value x, Value w, Types &types) {
  types.push_back(floats(x.getContext(), withColumns(x, typeOf(w).getDimSize(0))));
  return success();
}

LogicalResult MatmulW8A8Op::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor, Types &types) {
  return inferProduct(adaptor.getX(), adaptor.getW(), types);
}

LogicalResult MatmulW8A16Op::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor, Types &types) {
  return inferProduct(adaptor.getX(), adaptor.getW(), types);
}

LogicalResult MatmulW4A16Op::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor, Types &types) {
  return inferProduct(adaptor.getX(), adaptor.getW(), types);
}

LogicalResult MatmulW4A8Op::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor, Types &types) {
  return inferProduct(adaptor.getX(), adaptor.getW(), types);
}

//===----------------------------------------------------------------------===//
// CachedAttentionOp
//===----------------------------------------------------------------------===//

LogicalResult CachedAttentionOp::inferReturnTypes(MLIRContext *context, std::optional<Location>, Adaptor adaptor,
                                                  Types &types) {
  int64_t columns = typeOf(adaptor.getQ()).getShape().back();
  int64_t keySize = cast<MemRefType>(adaptor.getKeyCache().getType()).getDimSize(3);
  int64_t valueSize = cast<MemRefType>(adaptor.getValueCache().getType()).getDimSize(3);
  // There is one output per query head, of the size of a value.
  if (!ShapedType::isDynamic(columns))
    columns = columns / keySize * valueSize;
  types.push_back(floats(context, withColumns(adaptor.getQ(), columns)));
  return success();
}
