//===- HostForm.h - What lowerAbi expects of a function --------------------===//
//
// Checked before anything is rewritten, so that wrong IR gets a message.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_HOST_HOSTFORM_H
#define QOPT_LIB_CODEGEN_HOST_HOSTFORM_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt::host {

/// What crosses the boundary of an entry point is memory as QrtTensor describes it, and what
/// lowerAbi rewrites belongs to the function as a whole. `isParameter` says which globals
/// are in the parameter table. Emits a diagnostic.
mlir::LogicalResult checkForm(mlir::func::FuncOp function, llvm::function_ref<bool(llvm::StringRef)> isParameter);

} // namespace qopt::host

#endif // QOPT_LIB_CODEGEN_HOST_HOSTFORM_H
