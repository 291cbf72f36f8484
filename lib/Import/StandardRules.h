//===- StandardRules.h - Operators of ONNX written as others --------------===//
//
// Operators that the dialect need not have, because others compute the same. Each function
// replaces its node; Operators.cpp lists them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_STANDARDRULES_H
#define QOPT_LIB_IMPORT_STANDARDRULES_H

#include "OperatorBuilder.h"

namespace qopt::standard {

// Choices.cpp
Status importArgMax(NodeImport &node);
Status importNonZero(NodeImport &node);
Status importOneHot(NodeImport &node);
Status importReduceL2(NodeImport &node);
/// The reduction `name` with the node's operands and attributes.
Result<mlir::Value> reduce(NodeImport &node, OperatorBuilder &b, llvm::StringRef name);
Status importScatterElements(NodeImport &node);
Status importTensorScatter(NodeImport &node);
/// `data` with the updates added to ("add", "mul", "max", "min") the slices that index tuples choose.
Result<mlir::Value> scatterAndReduce(OperatorBuilder &b, mlir::Value data, mlir::Value indices, mlir::Value updates,
                                     llvm::StringRef reduction);
/// `cache` with the rows of `update` along `axis`, those of batch element b from starts[b] on, or, where they
/// go around, behind the last row from the first one on. Null starts are 0.
mlir::Value scatterRows(OperatorBuilder &b, mlir::Value cache, mlir::Value update, mlir::Value starts, int64_t axis,
                        bool goesAround);

// TopK.cpp
Status importTopK(NodeImport &node);

// Pad.cpp
Status importPad(NodeImport &node);
/// `x` with elements of `value`, null for 0, before and behind those along `axis`: [1] of i64 each, less
/// than 0 where elements are dropped.
mlir::Value padAxis(OperatorBuilder &b, mlir::Value x, int64_t axis, mlir::Value before, mlir::Value after,
                    mlir::Value value);

// RunTimeAxes.cpp
/// Whether these are an input of the model, which stays unknown.
bool areRunTimeAxes(mlir::Value axes);
/// The reduction `name` of x over `axes`, one after the other.
Result<mlir::Value> reduceAtRunTime(OperatorBuilder &b, llvm::StringRef name, mlir::Value x, mlir::Value axes,
                                    bool keepsDims);
Status squeezeAtRunTime(NodeImport &node);
Status unsqueezeAtRunTime(NodeImport &node);
Status sliceAtRunTime(NodeImport &node);
Status cumSumAtRunTime(NodeImport &node);
mlir::Value padsOfAllAxes(OperatorBuilder &b, mlir::Value pads, mlir::Value axes, int64_t rank);

// Conv.cpp, Einsum.cpp
Status importConv(NodeImport &node);
/// Makes what a product reads of the weight as a matrix [outputs, inputs].
using MatrixMaker = llvm::function_ref<mlir::Value(mlir::Value)>;
/// The convolution that the node's attributes say; `bias` may be null.
Result<mlir::Value> convolve(NodeImport &node, mlir::Value x, mlir::Value weight, mlir::Value bias,
                             MatrixMaker toFloats);
Status importEinsum(NodeImport &node);

// AttentionForms.cpp
Status importAttention(NodeImport &node);

} // namespace qopt::standard

#endif // QOPT_LIB_IMPORT_STANDARDRULES_H
