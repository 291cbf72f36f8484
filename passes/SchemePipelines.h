//===- SchemePipelines.h - A pipeline for every scheme --------------------===//
//
// What a user types is the name of a scheme with its options. These pipelines follow from
// the descriptions (qopt/Dialect/Qopt/Scheme.h); their passes are listed in Pipelines.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_SCHEMEPIPELINES_H
#define QOPT_PASSES_SCHEMEPIPELINES_H

#include "mlir/Pass/PassRegistry.h"
#include "qopt/Dialect/Qopt/Scheme.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Pipelines.h"

namespace qopt::pipelines {

/// Adds the passes that carry out a scheme. Takes the raised form.
void buildScheme(mlir::OpPassManager &pm, const AssignSchemeOptions &scheme, const CalibrateOptions &calibrate);

/// Which layers get a scheme, for pipelines that assign one.
struct AssignmentOptions : virtual mlir::detail::PassOptions {
  Option<std::string> head{
      *this, "head",
      llvm::cl::desc("Scheme of the output layer: NAME{...} or same; by default int8 weights, and float with compat")};
  ListOption<std::string> overrides{*this, "overrides", llvm::cl::desc("PATTERN=SPEC per layer; the last match wins")};

  AssignSchemeOptions assign(llvm::StringRef scheme, llvm::StringRef compat) const {
    AssignSchemeOptions result;
    result.scheme = scheme.str();
    result.compat = compat.str();
    result.head = head;
    result.overrides.assign(overrides.begin(), overrides.end());
    return result;
  }
};

/// A pipeline as MLIR's registry takes it and as lists show it.
struct NamedPipeline {
  std::string name, summary;
  mlir::PassRegistryFunction build;
  /// Hands over the options with their defaults.
  std::function<void(llvm::function_ref<void(const mlir::detail::PassOptions &)>)> withOptions;
  const SchemeInfo *scheme = nullptr; ///< whose pipeline it is
  bool isTransformation = false;      ///< of the float model, before a scheme
};

/// A pipeline for every transformation.
std::vector<NamedPipeline> transformationPipelines();
/// A pipeline for every scheme.
std::vector<NamedPipeline> schemePipelines();
/// What lists show of a pipeline.
PipelineInfo describe(const NamedPipeline &pipeline);

} // namespace qopt::pipelines

#endif // QOPT_PASSES_SCHEMEPIPELINES_H
