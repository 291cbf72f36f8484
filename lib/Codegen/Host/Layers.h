//===- Layers.h - Loops of layers in host code ------------------------------===//
//
// A loop becomes branches between blocks of its function, so that calls in it can leave the
// function as all others do. What a layer selects is an entry of a table of the caller.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_HOST_LAYERS_H
#define QOPT_LIB_CODEGEN_HOST_LAYERS_H

#include "qopt/Codegen/Host/LlvmBuilder.h"
#include "llvm/ADT/StringMap.h"

namespace qopt::host {

/// What a qopt.select chooses from: numbers in the table of parameters, or of inputs.
struct LayerChoice {
  bool areParameters = true;
  llvm::SmallVector<int64_t> numbers;
};
using LayerChoices = llvm::DenseMap<mlir::Operation *, LayerChoice>;

/// The choices of all qopt.select, which lose their operands: what nothing else uses then is
/// gone. Emits a diagnostic.
mlir::FailureOr<LayerChoices> takeChoices(mlir::func::FuncOp function, const llvm::StringMap<int64_t> &parameters);

/// Every qopt.repeat to branches.
void branchRepeats(mlir::func::FuncOp function);

/// What a qopt.select gives: an entry of the parameters or inputs of QrtEntry.
mlir::Value chooseOfLayer(LlvmBuilder &b, SelectOp select, const LayerChoice &choice, mlir::Value parameters,
                          mlir::Value inputs);

} // namespace qopt::host

#endif // QOPT_LIB_CODEGEN_HOST_LAYERS_H
