//===- Passes.h - qopt's passes and pipelines -----------------------------===//
//
// Passes are declared in Passes.td and listed in Pipelines.cpp; code that runs a
// pipeline asks for it here.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_PASSES_H
#define QOPT_PASSES_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Support/Result.h"

namespace qopt {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "qopt/Passes/Passes.h.inc"

/// Registers the named pipelines of Pipelines.cpp.
void registerPipelines();
/// Registers the passes of MLIR that these consist of, so that options can name them and the
/// text of any part of a pipeline can be run.
void registerUpstreamPasses();

/// Adds what `text` names: a scheme with its options, or passes and pipelines as MLIR
/// writes them. `compat`, unless empty, is the package whose choices the scheme repeats.
Status parsePipeline(mlir::OpPassManager &pm, llvm::StringRef text, llvm::StringRef compat = "");

/// The pipeline `qopt-lower`: a graph to functions on memrefs.
void buildLowerPipeline(mlir::OpPassManager &pm, const AddCacheOptions &cache = {});
/// The pipeline `qopt-linalg`: a graph to MLIR's own dialects on tensors, with weights as types of the quant dialect
/// where `quantTypes` asks for it.
void buildLinalgPipeline(mlir::OpPassManager &pm, bool quantTypes = false);
/// The pipeline `qopt-host`: what qopt-lower or qopt-emit-cuda-kernels leaves to the LLVM
/// dialect, for the level of x86-64 of that name.
void buildHostPipeline(mlir::OpPassManager &pm, llvm::StringRef level);
/// The pipeline `qopt-ptx`: the kernels of what qopt-emit-cuda-kernels leaves to what is
/// written as PTX for `chip`; without one, kernels of all architectures.
void buildPtxPipeline(mlir::OpPassManager &pm, llvm::StringRef chip);
/// The pipeline `qopt-sim`: the same kernels to functions that simulated threads call.
void buildSimPipeline(mlir::OpPassManager &pm);
/// Lets bufferization handle the dialects that `qopt-lower` goes through.
void registerLowerInterfaces(mlir::DialectRegistry &registry);

} // namespace qopt

#endif // QOPT_PASSES_PASSES_H
