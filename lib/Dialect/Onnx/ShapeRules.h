//===- ShapeRules.h - What the shape rules of operators share -------------===//
//
// Helpers to read axes and shapes off operands, with the messages that a malformed model
// earns: they name the rule and the numbers.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DIALECT_ONNX_SHAPERULES_H
#define QOPT_LIB_DIALECT_ONNX_SHAPERULES_H

#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Types.h"

namespace qopt::onnx {

using namespace mlir;

inline constexpr int64_t kMaxRank = 64;
using Axes = SmallVector<int64_t>;

inline Type elementOf(Value value) { return typeOf(value).getElementType(); }
inline int64_t rankOf(Value value) { return typeOf(value).getRank(); }

/// `axis` counted from the front; fails outside [-rank, rank), or where `endAllowed` outside
/// [-rank, rank].
FailureOr<int64_t> normalizeAxis(int64_t axis, int64_t rank, ShapeMath &shapes, bool endAllowed = false);
/// The same for several axes, none of which may occur twice.
FailureOr<Axes> normalizeAxes(ArrayRef<int64_t> axes, int64_t rank, ShapeMath &shapes);
/// The length of an operand that lists `what`; fails where it is not known.
FailureOr<int64_t> lengthOf(Value list, StringRef what, ShapeMath &shapes);
/// The dimensions that a shape operand lists; fails where their number is not known.
FailureOr<Extents> readShape(Value shape, StringRef what, ShapeMath &shapes);

/// Where a slice along a dimension of `size` starts, in steps of `step`, and how many elements
/// it takes.
struct SliceExtent {
  Extent start, length;
};
SliceExtent sliceExtent(Extent start, Extent end, int64_t step, Extent size, ShapeMath &shapes);

/// Applies `function` to the elements of the operands, each of which may be a single one.
std::optional<Extents> mapContents(ValueRange operands, ShapeMath &shapes,
                                   function_ref<Extent(ArrayRef<Extent>)> function);

/// The first dimension that Shape takes and the one behind the last.
template <typename Shape>
std::pair<int64_t, int64_t> shapeRange(Shape op) {
  int64_t rank = rankOf(op.getData());
  auto clamp = [&](int64_t at) { return std::clamp<int64_t>(frontAxis(at, rank), 0, rank); };
  int64_t start = clamp(op.getStart()), end = clamp(op.getEnd().value_or(rank));
  return {start, std::max(start, end)};
}

} // namespace qopt::onnx

#endif // QOPT_LIB_DIALECT_ONNX_SHAPERULES_H
