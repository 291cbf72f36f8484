//===- Functions.h - Keeping functions in order ---------------------------===//
//
// What passes that rewrite a function of one block do at their end.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_FUNCTIONS_H
#define QOPT_DIALECT_FUNCTIONS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt {

/// Erases operations that nothing uses.
void eraseDeadOps(mlir::func::FuncOp function);

/// Makes the function's type say what its terminator returns.
void updateResultTypes(mlir::func::FuncOp function);

} // namespace qopt

#endif // QOPT_DIALECT_FUNCTIONS_H
