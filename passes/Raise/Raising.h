//===- Raising.h - What the raise passes share ----------------------------===//
//
// Limits and little constructions that several of them need.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_RAISING_H
#define QOPT_PASSES_RAISE_RAISING_H

#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Reference/ModelInputs.h"
#include "llvm/ADT/DenseSet.h"

namespace qopt::raise {

using reference::ModelInputs;
using reference::Padding;
using reference::randomTensor;
using reference::Sizes;

/// Whether a function is what a model is: one block of operations. A pass leaves anything
/// else as it is; of a function with branches a remark says so.
bool isGraph(mlir::func::FuncOp function);

/// The values that what the function returns is computed from.
llvm::DenseSet<mlir::Value> findUsedValues(mlir::func::FuncOp function);

/// By how much two ways to compute the same value in `element` may differ.
double toleranceOf(mlir::Type element);

/// The tokens a raised model must work for: `option`, else the module's
/// `qopt.context_length`, else kAssumedContext. Fails, diagnosed, below 1.
mlir::FailureOr<int64_t> contextLength(mlir::func::FuncOp function, int64_t option);
/// Whether contextLength() knows it from neither the option nor the module.
bool isContextAssumed(mlir::func::FuncOp function, int64_t option);
inline constexpr int64_t kAssumedContext = 4096;
/// No text is longer, as numbers in a graph that say something else are.
inline constexpr int64_t kLongestContext = int64_t(1) << 24;

/// `value` times a number; itself where that is 1.
mlir::Value scaledBy(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, const llvm::APFloat &factor);

/// A constant vector of i64.
mlir::Value createInts(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<int64_t> values);

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_RAISING_H
