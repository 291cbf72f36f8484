//===- InferTypes.h - What the inference of result types shares -----------===//
#ifndef QOPT_LIB_DIALECT_ONNX_INFERTYPES_H
#define QOPT_LIB_DIALECT_ONNX_INFERTYPES_H

#include "mlir/IR/Builders.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Support/CheckedMath.h"

namespace qopt::onnx {

using namespace mlir;

inline constexpr int64_t kDynamic = ShapedType::kDynamic;
inline constexpr int64_t kMaxRank = 64;
using Dims = SmallVector<int64_t>;
using Types = SmallVectorImpl<Type>;

inline RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// A shape that this file may use for `type`'s users: same shape, other element.
inline LogicalResult withElement(Types &types, ArrayRef<int64_t> dims, Type element) {
  types.push_back(RankedTensorType::get(dims, element));
  return success();
}

template <typename... Args>
LogicalResult error(std::optional<Location> loc, Args &&...args) {
  return emitOptionalError(loc, std::forward<Args>(args)...);
}

/// `axis` counted from the end when negative; fails outside [-rank, rank).
inline FailureOr<int64_t> normalizeAxis(std::optional<Location> loc, int64_t axis, int64_t rank,
                                        bool endAllowed = false) {
  if (axis < -rank || axis >= rank + (endAllowed ? 1 : 0))
    return error(loc, "expected an axis in [", -rank, ", ", rank - (endAllowed ? 0 : 1), "] but got ", axis);
  return axis < 0 ? axis + rank : axis;
}

inline FailureOr<Dims> normalizeAxes(std::optional<Location> loc, ArrayRef<int64_t> axes, int64_t rank) {
  if (axes.size() > kMaxRank)
    return error(loc, "expected at most ", kMaxRank, " axes but got ", axes.size());
  Dims result;
  for (int64_t axis : axes) {
    FailureOr<int64_t> normalized = normalizeAxis(loc, axis, rank);
    if (failed(normalized))
      return failure();
    if (llvm::is_contained(result, *normalized))
      return error(loc, "axis ", axis, " occurs twice");
    result.push_back(*normalized);
  }
  return result;
}

/// The axes that an operand lists, as normalizeAxes has them; fails where it is no constant.
inline FailureOr<Dims> constantAxes(std::optional<Location> loc, Value axes, int64_t rank) {
  auto ints = getConstantInts(axes);
  if (!ints)
    return error(loc, "requires constant axes");
  return normalizeAxes(loc, *ints, rank);
}

/// A rank taken from the length of a shape operand; fails when it is not known.
inline FailureOr<int64_t> lengthOf(std::optional<Location> loc, Value shape, StringRef what) {
  RankedTensorType type = typeOf(shape);
  if (type.getRank() != 1 || type.isDynamicDim(0))
    return error(loc, "requires ", what, " of rank 1 and known length but got ", type);
  if (type.getDimSize(0) > kMaxRank)
    return error(loc, "expected at most ", kMaxRank, " dimensions but got ", type.getDimSize(0));
  return type.getDimSize(0);
}

inline FailureOr<Dims> broadcast(std::optional<Location> loc, ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  Dims result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    int64_t &out = result[result.size() - 1 - i];
    if (x == y || y == 1)
      out = x;
    else if (x == 1)
      out = y;
    else if (x == kDynamic || y == kDynamic)
      out = x == kDynamic ? y : x;
    else
      return error(loc, "cannot broadcast dimension ", x, " with ", y);
  }
  return result;
}

inline LogicalResult requireSameElement(std::optional<Location> loc, ValueRange operands) {
  for (Value operand : operands.drop_front())
    if (typeOf(operand).getElementType() != typeOf(operands[0]).getElementType())
      return error(loc, "requires operands of one element type but got ", typeOf(operands[0]).getElementType(), " and ",
                   typeOf(operand).getElementType());
  return success();
}

/// Whether `value` can be broadcast to `dims` and leaves them as they are.
inline LogicalResult requireBroadcastTo(std::optional<Location> loc, Value value, ArrayRef<int64_t> dims) {
  ArrayRef<int64_t> shape = typeOf(value).getShape();
  bool fits = shape.size() <= dims.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    int64_t from = shape[shape.size() - 1 - i], to = dims[dims.size() - 1 - i];
    fits = from == 1 || from == to || from == kDynamic || to == kDynamic;
  }
  if (fits)
    return success();
  return error(loc, "cannot broadcast ", value.getType(), " to ",
               RankedTensorType::get(dims, typeOf(value).getElementType()));
}

inline LogicalResult requireFloat(std::optional<Location> loc, Value value) {
  if (!isa<FloatType>(typeOf(value).getElementType()))
    return error(loc, "requires a float operand but got ", value.getType());
  return success();
}

inline LogicalResult requireBoolean(std::optional<Location> loc, ValueRange operands) {
  for (Value operand : operands)
    if (!typeOf(operand).getElementType().isInteger(1))
      return error(loc, "requires boolean operands but got ", operand.getType());
  return success();
}

/// Passes may know more dimensions than inference does; never different ones.
inline bool compatible(TypeRange inferred, TypeRange actual) {
  if (inferred.size() != actual.size())
    return false;
  for (auto [a, b] : llvm::zip(inferred, actual)) {
    auto x = dyn_cast<RankedTensorType>(a), y = dyn_cast<RankedTensorType>(b);
    if (!x || !y || x.getElementType() != y.getElementType() || x.getRank() != y.getRank())
      return false;
    for (auto [i, j] : llvm::zip(x.getShape(), y.getShape()))
      if (i != j && i != kDynamic && j != kDynamic)
        return false;
  }
  return true;
}

/// Defines OP's interface methods on top of infer<OP>(loc, adaptor, types).
#define INFER(OP)                                                                                                      \
  bool OP::isCompatibleReturnTypes(TypeRange inferred, TypeRange actual) { return compatible(inferred, actual); }      \
  LogicalResult OP::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor op, Types &types) {           \
    return infer##OP(loc, op, types);                                                                                  \
  }

} // namespace qopt::onnx

#endif // QOPT_LIB_DIALECT_ONNX_INFERTYPES_H
