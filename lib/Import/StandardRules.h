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
Status importScatterElements(NodeImport &node);
Status importTensorScatter(NodeImport &node);
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

// Conv.cpp, Einsum.cpp
Status importConv(NodeImport &node);
Status importEinsum(NodeImport &node);

// AttentionForms.cpp
Status importAttention(NodeImport &node);

} // namespace qopt::standard

#endif // QOPT_LIB_IMPORT_STANDARDRULES_H
