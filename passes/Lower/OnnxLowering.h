//===- OnnxLowering.h - State of the conversion of onnx to linalg ---------===//
//
// The conversion walks a function once, in order, and keeps for every value what
// shape arithmetic needs to know: its dimensions as index values, equal where
// they are known to be equal, and for small integer tensors (shapes, axes) their
// elements. The dimensions of results come from the operators' own rules
// (IndexShapes), before the handler of an operator makes its loops. So the arithmetic
// that exporters spell with Shape, Gather, Concat and Reshape becomes index arithmetic
// on the dimensions of the function's arguments, and no pass has to find that out again.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_ONNXLOWERING_H
#define QOPT_PASSES_LOWER_ONNXLOWERING_H

#include "IndexShapes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qopt/Runtime/Abi.h"
#include <map>

namespace qopt::lowering {

/// Makes one element of a result from the elements of the inputs.
using Body = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::ValueRange)>;

/// Counted from the end where negative, as ONNX's axes are.
inline int64_t positiveAxis(int64_t axis, size_t rank) { return axis < 0 ? axis + int64_t(rank) : axis; }

/// A float in a type at least as wide, or at most. From f64 to 16 bits it is rounded by way
/// of f32: the direct way is a call that generated code has no library for.
mlir::Value widen(mlir::ImplicitLocOpBuilder &b, mlir::Value v, mlir::Type to);
mlir::Value narrow(mlir::ImplicitLocOpBuilder &b, mlir::Value v, mlir::Type to);

/// The constant behind `size`, if it is one.
std::optional<int64_t> constantOf(mlir::OpFoldResult size);

class OnnxLowering;
using Handler = std::function<mlir::LogicalResult(mlir::Operation *, OnnxLowering &)>;

/// Which function lowers which operator.
class Handlers {
public:
  template <typename Op>
  void add(mlir::LogicalResult (*lower)(Op, OnnxLowering &)) {
    table[Op::getOperationName()] = [lower](mlir::Operation *op, OnnxLowering &state) {
      return lower(mlir::cast<Op>(op), state);
    };
  }
  const Handler *find(mlir::Operation *op) const {
    auto found = table.find(op->getName().getStringRef());
    return found == table.end() ? nullptr : &found->second;
  }

private:
  llvm::StringMap<Handler> table;
};

class OnnxLowering {
public:
  OnnxLowering(mlir::func::FuncOp function, const Handlers &handlers);
  /// Rewrites the function; emits an error naming the first operator that has no
  /// lowering.
  mlir::LogicalResult run();

  /// Creates operations before the operator being lowered.
  mlir::ImplicitLocOpBuilder b;

  // What is known of a value of the onnx graph.
  mlir::Value tensor(mlir::Value value);
  Dims dims(mlir::Value value);
  /// Whether a rule has said them.
  bool hasDims(mlir::Value value) const { return sizes.contains(value); }
  /// The elements of an integer tensor of rank 0 or 1, if it is small and they
  /// are known without reading memory.
  std::optional<Dims> knownElements(mlir::Value value);
  /// The same, reading memory where needed; empty when the size is not static.
  std::optional<Dims> elements(mlir::Value value);
  /// A scalar of the tensor's own element type; the tensor has one element.
  mlir::Value scalar(mlir::Value value);

  /// What stands for a result. Its dimensions are known from the operator's rule.
  void setTensor(mlir::Value value, mlir::Value lowered) { tensors[value] = lowered; }
  /// The same, where the rule leaves the dimensions to the handler.
  void setTensor(mlir::Value value, mlir::Value lowered, Dims dims);
  void setElements(mlir::Value value, Dims elements);

  // Index arithmetic, folded and shared.
  mlir::OpFoldResult index(int64_t value) { return b.getIndexAttr(value); }
  mlir::Value value(mlir::OpFoldResult size);
  mlir::OpFoldResult add(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult sub(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  /// Rounds to zero; 0 where `rhs` is 0.
  mlir::OpFoldResult div(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult max(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult product(llvm::ArrayRef<mlir::OpFoldResult> factors);
  /// The entry point fails at run time unless both are equal; an error now when
  /// both are constants that differ.
  mlir::LogicalResult requireEqual(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);

  // Tensors.
  mlir::RankedTensorType typeOf(llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Type element);
  mlir::Value empty(llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Type element);
  mlir::Value fill(llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Value element);
  mlir::Value constant(mlir::Type type, double value);
  /// A linalg.generic whose loops are `dims`, all parallel, read through `maps`.
  mlir::Value generic(llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Type element, mlir::ValueRange inputs,
                      llvm::ArrayRef<mlir::AffineMap> maps, Body body);
  /// A linalg.generic that folds: its loops are those of `maps`, and those that `write` leaves
  /// out run one after the other. `body` gets the elements and, last, what came out so far,
  /// which starts with `init`.
  mlir::Value fold(mlir::Value init, mlir::AffineMap write, mlir::ValueRange inputs,
                   llvm::ArrayRef<mlir::AffineMap> maps, Body body);
  /// A linalg.generic that reads nothing by itself: `body` gets the indices.
  mlir::Value generate(llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Type element, Body body);
  /// How to read an operand of `from` dimensions that is broadcast to `rank` loops.
  mlir::AffineMap broadcastMap(llvm::ArrayRef<mlir::OpFoldResult> from, size_t rank);
  /// `tensor` of `from` dimensions as it is broadcast to the last ones of `to`, where only the run
  /// time knows which of its dimensions are 1; itself, for broadcastMap(), where that is known. Of
  /// operators for which mayExpandAtRunTime(); `from` becomes the dimensions of the result.
  mlir::Value expand(mlir::Value tensor, Dims &from, llvm::ArrayRef<mlir::OpFoldResult> to);
  /// The elements in row-major order in another shape of the same size.
  mlir::Value reshape(mlir::Value tensor, llvm::ArrayRef<mlir::OpFoldResult> from,
                      llvm::ArrayRef<mlir::OpFoldResult> to);
  mlir::Value castTo(mlir::Value tensor, mlir::RankedTensorType type);
  /// Elementwise with broadcasting, from values of the graph to `result`.
  void elementwise(mlir::Value result, mlir::ValueRange operands, Body body);

  /// The rules of operators, on the sizes and elements of this function.
  IndexShapes shapes;
  /// Weights become types of the quant dialect, where it has one for them.
  bool usesQuantTypes = false;

private:
  void readArguments();
  mlir::LogicalResult lower(mlir::Operation *op);
  bool lowerOnElements(mlir::Operation *op);
  mlir::LogicalResult rewriteOther(mlir::Operation *op);
  Dims dimsOfOther(mlir::Value value);

  mlir::func::FuncOp function;
  const Handlers &handlers;
  llvm::DenseMap<mlir::Value, mlir::Value> tensors;
  llvm::DenseMap<mlir::Value, Dims> sizes;
  llvm::DenseMap<mlir::Value, Dims> contents;
  std::map<int64_t, mlir::Value> indexConstants; ///< no DenseMap: exporters end slices at its key for "empty"
};

/// Lets the entry point fail at run time unless all of `indices`, of the graph, are in [0, size).
void requirePositions(mlir::Value indices, mlir::OpFoldResult size, OnnxLowering &state);

void populateElementwise(Handlers &handlers);
void populateShapes(Handlers &handlers);
void populateMovement(Handlers &handlers);
void populateIndexing(Handlers &handlers);
void populateReductions(Handlers &handlers);
void populateMatMuls(Handlers &handlers);
void populateNormalization(Handlers &handlers);
void populateAttention(Handlers &handlers);
void populateQuantization(Handlers &handlers);
void populateQuantizedProducts(Handlers &handlers);

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_ONNXLOWERING_H
