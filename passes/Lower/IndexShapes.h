//===- IndexShapes.h - Shapes as index arithmetic --------------------------===//
//
// The numbers that lowering computes shapes with: constants, and index values of the
// function being lowered. So the rules by which operators infer their types are the ones
// that the generated code computes sizes by, and the checks that they ask for happen when
// the model runs.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_INDEXSHAPES_H
#define QOPT_PASSES_LOWER_INDEXSHAPES_H

#include "qopt/Dialect/Onnx/Onnx.h"
#include <map>

namespace qopt::lowering {

class OnnxLowering;

/// Sizes or elements: IntegerAttr (index) where constant, else an index value.
using Dims = llvm::SmallVector<mlir::OpFoldResult>;

/// Whether sizes that `op` broadcasts may turn out to be 1 when the model runs. Others take sizes
/// that they cannot tell apart for equal, and check that.
bool mayExpandAtRunTime(mlir::Operation *op);

class IndexShapes : public onnx::ShapeMath {
public:
  explicit IndexShapes(OnnxLowering &state) : state(state) {}

  /// Runs the rule of an operator, and gives the shapes of its results. What it reports is
  /// said of the operator. Sizes that it leaves open are null.
  mlir::FailureOr<llvm::SmallVector<Dims, 1>> infer(onnx::OperatorInterface op);
  /// The elements of all results, where they are numbers that are known without reading memory.
  std::optional<llvm::SmallVector<Dims, 1>> inferContents(onnx::ShapeContentsInterface op);

  // What the rules ask for.
  onnx::Extents dims(mlir::Value value) override;
  std::optional<onnx::Extents> contents(mlir::Value value) override;
  std::optional<onnx::Extents> readContents(mlir::Value value) override;
  mlir::LogicalResult addUnknown(int64_t rank, mlir::Type element, llvm::StringRef what) override;
  bool isNonNegative(onnx::Extent extent) override;

  // Numbers of the rules and numbers of the generated code.
  onnx::Extent extentOf(mlir::OpFoldResult size);
  onnx::Extents extentsOf(llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// Null for an unknown extent.
  mlir::OpFoldResult sizeOf(onnx::Extent extent);
  Dims sizesOf(llvm::ArrayRef<onnx::Extent> extents);

protected:
  onnx::Extent compute(Arithmetic operation, onnx::Extent a, onnx::Extent b) override;
  std::optional<bool> compareEqual(onnx::Extent a, onnx::Extent b) override;
  std::optional<bool> compareLess(onnx::Extent a, onnx::Extent b) override;
  mlir::LogicalResult checkEqual(onnx::Extent a, onnx::Extent b) override;
  std::optional<mlir::InFlightDiagnostic> startError() override;

private:
  onnx::Extent expand(onnx::Extent from, onnx::Extent to);
  mlir::Value emit(Arithmetic operation, mlir::Value a, mlir::Value b);
  mlir::Value emitDivision(mlir::Value a, mlir::Value b);
  bool isResultNonNegative(Arithmetic operation, onnx::Extent a, onnx::Extent b);

  OnnxLowering &state;
  mlir::Operation *op = nullptr; ///< whose rule runs
  /// A symbol is the position of its value here.
  llvm::SmallVector<mlir::Value> values;
  llvm::DenseMap<mlir::Value, int64_t> numbers;
  llvm::DenseSet<int64_t> nonNegative;
  std::map<std::tuple<Arithmetic, int, int64_t, int, int64_t>, onnx::Extent> known;
};

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_INDEXSHAPES_H
