//===- Editor.h - What is said between an editor and MLIR's server --------===//
//
// MLIR's language server knows operations, not pipelines. This stands in front of it, reads
// and passes on all messages, and answers what is asked about a pipeline itself.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LSP_SERVER_EDITOR_H
#define QOPT_LSP_SERVER_EDITOR_H

#include "PipelineHelp.h"
#include "llvm/Support/JSON.h"
#include <mutex>
#include <optional>
#include <thread>

namespace qopt::lsp {

class Editor {
public:
  /// Takes the place of standard input and output, where the server of this process then
  /// reads and writes. Ends the process where the system gives no pipes.
  Editor();
  /// Once the server has ended: hands on what it has written last.
  void finish();

private:
  void readEditor();
  void readServer();
  /// The answer to a question about a pipeline; none to what is for the server.
  std::optional<llvm::json::Value> answer(const llvm::json::Object &message);
  void keepText(llvm::StringRef method, const llvm::json::Object &parameters);
  /// Adds the characters of pipelines to those after which editors ask for completion.
  static void addTriggers(llvm::json::Object &reply);
  void write(int descriptor, llvm::StringRef json);

  const PipelineHelp help;
  std::map<std::string, std::string> texts; // of documents, by URI
  std::mutex writing;                       // to the editor
  int fromEditor, toEditor, fromServer, toServer;
  std::thread server;
};

} // namespace qopt::lsp

#endif // QOPT_LSP_SERVER_EDITOR_H
