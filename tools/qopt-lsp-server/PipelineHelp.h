//===- PipelineHelp.h - What an editor shows of pipelines -----------------===//
//
// Passes and pipelines that are registered, with their options and what docs/Passes.md says.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LSP_SERVER_PIPELINEHELP_H
#define QOPT_LSP_SERVER_PIPELINEHELP_H

#include "PipelineText.h"
#include "qopt/Passes/Pipelines.h"
#include <map>

namespace qopt::lsp {

class PipelineHelp {
public:
  /// Of all that is registered now.
  PipelineHelp();

  struct Item {
    std::string text, detail, help; ///< what is inserted, half a line, and Markdown
    PipelineWord::Kind kind;
  };
  /// What may stand where `word` is.
  std::vector<Item> complete(const PipelineWord &word) const;
  /// What `word` is, in Markdown; empty where nobody knows.
  std::string explain(const PipelineWord &word) const;

private:
  struct Entry {
    std::string summary, kind, page; ///< `page`: the description in docs/Passes.md
    bool isScheme = false;
    std::vector<PipelineOptionInfo> options;
  };
  void addPass(const std::string &name);
  void readPage(llvm::StringRef section);
  const PipelineOptionInfo *findOption(llvm::StringRef owner, llvm::StringRef name) const;

  std::map<std::string, Entry, std::less<>> entries;
};

} // namespace qopt::lsp

#endif // QOPT_LSP_SERVER_PIPELINEHELP_H
