//===- Transforming.h - What the passes before quantizing share -----------===//
//
// They move factors between normalizations and weights, so that the float model computes the
// same and its numbers suit a scheme better. Weights that they change are float32 afterwards.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_QUANTIZE_TRANSFORMING_H
#define QOPT_PASSES_QUANTIZE_TRANSFORMING_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Numerics/Matrix.h"
#include "qopt/Numerics/Quantizers.h"
#include <optional>

namespace qopt::transform {

/// A constant of floats whose data are there, as `operand` or a cast of one.
bool isFloatConstant(mlir::Value operand);
/// Replaces a constant by another of the same shape in f32 in this one use. Weights of a head that
/// was an embedding's table are no longer.
void setConstant(mlir::OpOperand &operand, llvm::ArrayRef<float> values);
std::vector<float> readConstant(mlir::Value operand);

/// Whether the second factor of a product is a constant [K, N], read as float32.
bool hasConstantWeights(onnx::MatMulOp op);
/// The operand of a sum that is a constant with `features` elements in its last dimension; null where none is.
mlir::OpOperand *findAddedConstant(mlir::Operation *sum, int64_t features);
/// The name of the layer of a product; else "a product".
std::string layerName(onnx::MatMulOp op);
/// Whether nothing but the head reads what `linears` read.
bool isHead(llvm::ArrayRef<onnx::MatMulOp> linears);

/// Divides constants, whose last dimension has as many elements, by the factors, and multiplies the rows of weights
/// [K, N] with them.
void moveFactors(llvm::ArrayRef<mlir::OpOperand *> divided, llvm::ArrayRef<onnx::MatMulOp> multiplied,
                 llvm::ArrayRef<float> factors);

/// Observes `value`, which `reader` is named for, behind `after` and what observes there already. Nothing reads the
/// observer.
ObserveOp observeBehind(mlir::Operation *after, mlir::Value value, onnx::MatMulOp reader);

/// A normalization whose result products with constant weights alone read, as their first factor.
struct NormGroup {
  mlir::Operation *norm; ///< onnx.RMSNormalization or onnx.LayerNormalization
  llvm::SmallVector<onnx::MatMulOp> linears;

  mlir::OpOperand &scale() const { return norm->getOpOperand(1); }
  bool hasBias() const { return norm->getNumOperands() > 2; }
  int64_t features() const;

  /// The scale, and what is added, if anything is.
  llvm::SmallVector<mlir::OpOperand *> constants() const;
};

/// The groups of `function`. What keeps a normalization that linears read from being one goes to
/// `onMissed`.
std::vector<NormGroup> findNormGroups(mlir::func::FuncOp function,
                                      llvm::function_ref<void(mlir::Operation *, const llvm::Twine &)> onMissed);

/// Collects what a transformation leaves out: a remark for each, and an error where it changes nothing.
class LeftOut {
public:
  explicit LeftOut(llvm::StringRef transformation) : transformation(transformation) {}
  void add(mlir::Operation *op, const llvm::Twine &reason);
  /// Something was done. (Statistics of passes do not count in release builds of LLVM.)
  void countDone() { isUseful = true; }
  /// Unless something was done an error: "TRANSFORMATION found nothing to do: expected ...", at `location`.
  mlir::LogicalResult check(mlir::Location location, const llvm::Twine &expected) const;

private:
  std::string transformation, first;
  int64_t count = 0;
  bool isUseful = false;
};

/// The functions of a module that passes may change: of one block.
llvm::SmallVector<mlir::func::FuncOp> functionsOf(mlir::ModuleOp module);

} // namespace qopt::transform

#endif // QOPT_PASSES_QUANTIZE_TRANSFORMING_H
