//===- GraphFacts.h - What a raised graph says about its model ------------===//
//
// Read by the driver where the files beside the model say nothing.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_GRAPHFACTS_H
#define QOPT_LIB_DRIVER_GRAPHFACTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt {

/// Numbers in all float constants of an imported graph, each constant once.
int64_t countWeights(mlir::func::FuncOp function);

/// Positions that all rotary tables have; 0 without tables.
int64_t countPositions(mlir::func::FuncOp function);

/// The last dimension of the logits, which have one for each token of the vocabulary; 0
/// where there are none, or it is not known.
int64_t findVocabularySize(mlir::func::FuncOp function);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_GRAPHFACTS_H
