//===- Passes.h - qopt's passes and pipelines -----------------------------===//
#ifndef QOPT_PASSES_PASSES_H
#define QOPT_PASSES_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace qopt {

/// The attribute on an `onnx.MatMul` that holds the layer's recovered name
/// (StringAttr), e.g. "model.layers.0.self_attn.q_proj".
inline constexpr llvm::StringLiteral kLayerAttr = "qopt.layer";
/// The attribute that holds what becomes of the layer (#qopt.scheme).
inline constexpr llvm::StringLiteral kSchemeAttr = "qopt.scheme";

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "qopt/Passes/Passes.h.inc"

/// Registers the named pipelines of Pipelines.cpp.
void registerPipelines();

} // namespace qopt

#endif // QOPT_PASSES_PASSES_H
