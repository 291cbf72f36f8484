//===- Logits.h - Where the outputs of a model come from ------------------===//
//
// The way back from an output to the product that gives it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_LOGITS_H
#define QOPT_DIALECT_LOGITS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "llvm/ADT/DenseSet.h"

namespace qopt {

/// Visits the values on the way back from an output to the product it comes out of; `visit` returns
/// whether to go on.
void walkBack(mlir::Value value, llvm::function_ref<bool(mlir::Value)> visit);

/// The product that `value` comes out of, but for scaling, a bias, capping, a choice of rows and
/// a new shape; null where it comes out of something else.
mlir::Operation *findProduct(mlir::Value value);

/// The products that outputs of these roles come out of.
llvm::DenseSet<mlir::Operation *> findProducts(mlir::func::FuncOp function, llvm::ArrayRef<Role> roles);

/// Whether a layer is the head: logits come out of it, or it has the usual name.
bool isHead(mlir::Operation *layer);

} // namespace qopt

#endif // QOPT_DIALECT_LOGITS_H
