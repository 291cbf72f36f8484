//===- Codegen.h - From lowered IR to code of a module --------------------===//
//
// What a module says about itself. Its code is made by qopt/Passes/Codegen.h.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_CODEGEN_H
#define QOPT_CODEGEN_CODEGEN_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Module/Module.h"
#include <string>
#include <vector>

namespace qopt {

/// What the lowering pipeline leaves: the IR, and the arrays its entry points
/// read, in the order of `parameters` of QrtEntry. The data of a parameter is
/// owned by the MLIR context (resources) or the mapped model file.
struct LoweredModule {
  std::vector<EntryPoint> entryPoints;
  std::vector<Parameter> parameters; ///< offsets not yet assigned
  std::vector<std::span<const char>> weights;
  /// How a parameter is made whose data are deferred and were not asked for; else null.
  std::vector<const DeferredConstant *> deferred;
  /// Data that the IR holds in shorter form (splats, bits) or not yet; `weights` points here.
  std::vector<std::unique_ptr<std::vector<char>>> expanded;
};

/// What `qopt-lower` left: the public functions are the entry points; the globals
/// that it marked are the parameters, shared by all entry points. The names and
/// symbols of inputs and outputs are those of the importer (`onnx.name`, `onnx.dims`).
/// Emits a diagnostic on types that the runtime does not take and on missing data.
/// `keepDeferred`: the caller makes deferred data.
mlir::FailureOr<LoweredModule> describeLoweredModule(mlir::ModuleOp module, bool keepDeferred = false);

} // namespace qopt

#endif // QOPT_CODEGEN_CODEGEN_H
