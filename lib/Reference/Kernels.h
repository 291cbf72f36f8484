//===- Kernels.h - What the files of the evaluator share ------------------===//
//
// Each evaluateX function knows the operators of one kind. The results come with
// their types set and their elements zero; a kernel fills them in. Floats are
// rounded to the element type by the caller, integers wrapped.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_REFERENCE_KERNELS_H
#define QOPT_LIB_REFERENCE_KERNELS_H

#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Reference/Evaluator.h"
#include "llvm/ADT/SmallVector.h"

namespace qopt::reference {

using Operands = llvm::ArrayRef<const Tensor *>;
using Results = llvm::MutableArrayRef<Tensor>;
using Dims = llvm::SmallVector<int64_t>;

/// No single result may have more elements: far above any model's, far below what
/// a hostile shape could ask for.
inline constexpr int64_t kMaxElements = int64_t(1) << 28;

/// What a kernel file says of an operator: not mine, done, or failed (diagnosed).
enum class Outcome { NotMine, Done, Failed };

inline Outcome fail(mlir::Operation *op, const llvm::Twine &message) {
  op->emitOpError(message);
  return Outcome::Failed;
}

Outcome evaluateElementwise(mlir::Operation *op, Operands in, Results out);
Outcome evaluateMovement(mlir::Operation *op, Operands in, Results out);
Outcome evaluateIndexing(mlir::Operation *op, Operands in, Results out);
Outcome evaluateReduction(mlir::Operation *op, Operands in, Results out);
Outcome evaluateProduct(mlir::Operation *op, Operands in, Results out);
Outcome evaluateAttention(mlir::Operation *op, Operands in, Results out);
Outcome evaluateQuantizeLinear(mlir::Operation *op, Operands in, Results out);
Outcome evaluateQuantized(mlir::Operation *op, Operands in, Results out);

/// Asks the operator which types its results have for operands of these types; a
/// value that is not null may decide about a shape.
mlir::LogicalResult inferTypes(mlir::Operation *op, llvm::ArrayRef<mlir::RankedTensorType> operandTypes,
                               Operands values, llvm::SmallVectorImpl<mlir::Type> &types);
/// What evaluate() does, without copying the operands.
mlir::LogicalResult evaluateInto(mlir::Operation *op, Operands operands, std::vector<Tensor> &results);

/// Sets the type and gives the tensor that many zero elements.
void allocate(Tensor &tensor, mlir::RankedTensorType type);
/// The nearest value of a float type, ties to even.
double roundTo(mlir::Type element, double value);
/// The low bits of an integer, as that type reads them.
int64_t wrapTo(mlir::Type element, int64_t value);
/// Rounds or wraps every element to the tensor's own element type.
void conform(Tensor &tensor);
/// The value of any element as a number.
double numberAt(const Tensor &tensor, int64_t index);

/// An axis of a verified operator, counted from the front.
inline int64_t frontAxis(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }
inline llvm::ArrayRef<int64_t> shapeOf(const Tensor &tensor) { return tensor.type.getShape(); }
int64_t product(llvm::ArrayRef<int64_t> dims);

/// Row-major strides of a dense shape.
Dims denseStrides(llvm::ArrayRef<int64_t> shape);
/// Strides with which a tensor of `shape` is read under the index of a broadcast
/// result of `rank` dimensions: 0 where it repeats.
Dims broadcastStrides(llvm::ArrayRef<int64_t> shape, int64_t rank);

/// Calls visit(i, offsets) for every index of `dims` in row-major order: i counts
/// the visits, offsets[n] is the index times strides[n].
template <size_t N, typename Visit>
void walk(llvm::ArrayRef<int64_t> dims, const std::array<Dims, N> &strides, Visit visit) {
  int64_t total = product(dims), rank = dims.size();
  Dims index(rank, 0);
  std::array<int64_t, N> offsets{};
  for (int64_t i = 0; i < total; ++i) {
    visit(i, offsets);
    for (int64_t axis = rank - 1; axis >= 0; --axis) {
      for (size_t n = 0; n < N; ++n)
        offsets[n] += strides[n][axis];
      if (++index[axis] < dims[axis])
        break;
      for (size_t n = 0; n < N; ++n)
        offsets[n] -= strides[n][axis] * dims[axis];
      index[axis] = 0;
    }
  }
}

/// Copies element `from` of a tensor to element `to` of another of the same type.
inline void copyElement(Tensor &out, int64_t to, const Tensor &in, int64_t from) {
  if (in.isFloat())
    out.floats[to] = in.floats[from];
  else
    out.ints[to] = in.ints[from];
}

} // namespace qopt::reference

#endif // QOPT_LIB_REFERENCE_KERNELS_H
