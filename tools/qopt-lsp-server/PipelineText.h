//===- PipelineText.h - Pipelines in the text of a file -------------------===//
//
// An editor's file says in its comments how it is run, or is a reproducer: what stands
// there at a place, as far as it has been typed.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LSP_SERVER_PIPELINETEXT_H
#define QOPT_LSP_SERVER_PIPELINETEXT_H

#include "llvm/ADT/StringRef.h"
#include <optional>

namespace qopt::lsp {

/// A word of a pipeline, in the document. It may be empty.
struct PipelineWord {
  enum class Kind { Name, Option, Value } kind = Kind::Name;
  llvm::StringRef text;
  llvm::StringRef owner;  ///< the pass or pipeline whose option it is
  llvm::StringRef option; ///< whose value it is
};

/// The word that `offset` is in or behind. Pipelines stand behind `pass-pipeline=`, in the
/// `pipeline: "..."` of a reproducer, and as `--NAME=OPTIONS` in RUN lines.
std::optional<PipelineWord> findPipelineWord(llvm::StringRef document, size_t offset);

} // namespace qopt::lsp

#endif // QOPT_LSP_SERVER_PIPELINETEXT_H
