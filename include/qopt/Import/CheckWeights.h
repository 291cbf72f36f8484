//===- CheckWeights.h - Weights that are no numbers -----------------------===//
//
// The importer looks at small tensors only: a model of any size is then read in a moment, by
// who wants to know what is in it. Who computes with its weights looks at the others.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_IMPORT_CHECKWEIGHTS_H
#define QOPT_IMPORT_CHECKWEIGHTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Support/Result.h"

namespace qopt {

/// Tensors of more bytes are left to checkWeights().
inline constexpr size_t kCheckedAtOnce = size_t(1) << 20;

/// An error that names the first large constant of `function` with a NaN, or with an infinity
/// where it is multiplied or looked up. Reads all of them, with the threads of the context.
Status checkWeights(mlir::func::FuncOp function);

} // namespace qopt

#endif // QOPT_IMPORT_CHECKWEIGHTS_H
