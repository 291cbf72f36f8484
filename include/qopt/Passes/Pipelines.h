//===- Pipelines.h - The named pipelines as data --------------------------===//
//
// What lists of pipelines show, and pipelines from text with more than their text says.
// passes/Pipelines.cpp has the pipelines themselves.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_PIPELINES_H
#define QOPT_PASSES_PIPELINES_H

#include "qopt/Support/Result.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace qopt {

/// An option of a pipeline, as it stands in the braces behind the name.
struct PipelineOptionInfo {
  std::string name, help;
  std::string type;                 ///< "bool", "integer", "number", "word", "text" or "list" (of texts)
  std::string initial;              ///< the default as text
  std::vector<std::string> choices; ///< of a word
};

/// A named pipeline.
struct PipelineInfo {
  std::string name, summary;
  bool isScheme = false;         ///< a quantization scheme, which takes the raised form
  bool isTransformation = false; ///< may stand before a scheme: takes the raised form and leaves it
  std::vector<PipelineOptionInfo> options;
};

/// The pipelines that registerPipelines() registers.
std::vector<PipelineInfo> describePipelines();

/// Those of transformations.
std::vector<std::string> transformationNames();

/// As parsePipeline(). `overrides`, PATTERN=SPEC, come after those that the text has; only a
/// scheme takes them.
Status parsePipelineWithOverrides(mlir::OpPassManager &pm, llvm::StringRef text, llvm::StringRef compat,
                                  llvm::ArrayRef<std::string> overrides);

} // namespace qopt

#endif // QOPT_PASSES_PIPELINES_H
