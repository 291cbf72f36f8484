//===- Editor.cpp - What is said between an editor and MLIR's server ------===//
//
// JSON-RPC as the language server protocol frames it, a thread for each direction.
//
//===----------------------------------------------------------------------===//
#include "Editor.h"
#include "llvm/Support/LSP/Protocol.h"
#include "llvm/Support/LSP/Transport.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdio>
#include <unistd.h>

using namespace qopt::lsp;
using llvm::StringRef;
using llvm::json::Object;
using llvm::json::Value;

/// A pipe whose one end takes the place of `descriptor`, and the other end.
static int replace(int descriptor) {
  int ends[2];
  bool isInput = descriptor == STDIN_FILENO;
  if (::pipe(ends) != 0 || ::dup2(ends[isInput ? 0 : 1], descriptor) < 0) {
    std::perror("qopt-lsp-server: error: cannot make a pipe");
    std::exit(1);
  }
  ::close(ends[isInput ? 0 : 1]);
  return ends[isInput ? 1 : 0];
}

Editor::Editor() : fromEditor(::dup(STDIN_FILENO)), toEditor(::dup(STDOUT_FILENO)) {
  toServer = replace(STDIN_FILENO);
  fromServer = replace(STDOUT_FILENO);
  server = std::thread([this] { readServer(); });
  std::thread([this] { readEditor(); }).detach();
}

void Editor::finish() {
  // The end of the server's output, which ends the thread.
  (void)::dup2(toEditor, STDOUT_FILENO);
  server.join();
}

void Editor::write(int descriptor, StringRef json) {
  std::string message = "Content-Length: " + std::to_string(json.size()) + "\r\n\r\n" + json.str();
  for (StringRef rest = message; !rest.empty();) {
    ssize_t count = ::write(descriptor, rest.data(), rest.size());
    if (count < 0 && errno != EINTR)
      return; // who should read it has left, and the server ends with its input
    rest = rest.drop_front(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  }
}

/// Calls `handle` with each message of `descriptor`, until it ends or `handle` returns false.
static void readMessages(int descriptor, llvm::function_ref<bool(std::string &)> handle) {
  std::FILE *file = ::fdopen(descriptor, "r");
  if (!file)
    return;
  llvm::lsp::JSONTransportInputOverFile input(file);
  std::string json;
  while (!input.isEndOfInput() && !input.hasError())
    if (succeeded(input.readMessage(json)) && !handle(json))
      break;
  std::fclose(file);
}

//===----------------------------------------------------------------------===//
// From the server
//===----------------------------------------------------------------------===//

void Editor::addTriggers(Object &reply) {
  Object *result = reply.getObject("result");
  Object *capabilities = result ? result->getObject("capabilities") : nullptr;
  Object *completion = capabilities ? capabilities->getObject("completionProvider") : nullptr;
  if (auto *characters = completion ? completion->getArray("triggerCharacters") : nullptr)
    for (StringRef character : {"{", "=", "'", "-"})
      characters->push_back(character);
}

void Editor::readServer() {
  bool isFirst = true; // the reply to "initialize"
  readMessages(fromServer, [&](std::string &json) {
    if (std::exchange(isFirst, false)) {
      llvm::Expected<Value> reply = llvm::json::parse(json);
      if (Object *object = reply ? reply->getAsObject() : nullptr) {
        addTriggers(*object);
        json = llvm::formatv("{0}", Value(std::move(*object)));
      } else {
        llvm::consumeError(reply.takeError());
      }
    }
    std::lock_guard lock(writing);
    write(toEditor, json);
    return true;
  });
}

//===----------------------------------------------------------------------===//
// From the editor
//===----------------------------------------------------------------------===//

void Editor::readEditor() {
  readMessages(fromEditor, [&](std::string &json) {
    llvm::Expected<Value> message = llvm::json::parse(json);
    StringRef method;
    if (const Object *object = message ? message->getAsObject() : nullptr) {
      method = object->getString("method").value_or("");
      if (std::optional<Value> result = answer(*object)) {
        Object reply{{"jsonrpc", "2.0"}, {"id", *object->get("id")}, {"result", std::move(*result)}};
        std::lock_guard lock(writing);
        write(toEditor, llvm::formatv("{0}", Value(std::move(reply))).str());
        return true;
      }
    } else {
      llvm::consumeError(message.takeError());
    }
    write(toServer, json);
    return method != "exit";
  });
  ::close(toServer);
}

void Editor::keepText(StringRef method, const Object &parameters) {
  const Object *document = parameters.getObject("textDocument");
  std::optional<StringRef> uri = document ? document->getString("uri") : std::nullopt;
  if (!uri)
    return;
  if (method == "textDocument/didClose") {
    texts.erase(uri->str());
    return;
  }
  // MLIR's server asks for whole texts.
  if (const auto *changes = parameters.getArray("contentChanges"); changes && changes->size() == 1)
    document = changes->front().getAsObject();
  if (std::optional<StringRef> text = document ? document->getString("text") : std::nullopt)
    texts[uri->str()] = text->str();
}

/// Where the units of UTF-16 that a position counts are in UTF-8.
static size_t offsetOf(StringRef text, const llvm::lsp::Position &position) {
  size_t offset = 0;
  for (int line = 0; line < position.line && offset < text.size(); ++line)
    offset = std::min(text.find('\n', offset), text.size() - 1) + 1;
  for (int unit = 0; offset < text.size() && text[offset] != '\n'; ++offset) {
    auto byte = static_cast<unsigned char>(text[offset]);
    if ((byte & 0xC0) != 0x80 && (unit += byte >= 0xF0 ? 2 : 1) > position.character)
      break;
  }
  return offset;
}

/// `word`, which is ASCII, around `position` in one line.
static llvm::lsp::Range rangeOf(StringRef text, StringRef word, const llvm::lsp::Position &position, size_t offset) {
  auto before = static_cast<int>(offset - static_cast<size_t>(word.begin() - text.begin()));
  llvm::lsp::Position begin(position.line, position.character - before);
  return {begin, {begin.line, begin.character + static_cast<int>(word.size())}};
}

std::optional<Value> Editor::answer(const Object &message) {
  StringRef method = message.getString("method").value_or("");
  const Object *parameters = message.getObject("params");
  if (!parameters)
    return std::nullopt;
  if (method.starts_with("textDocument/did"))
    keepText(method, *parameters);
  bool isCompletion = method == "textDocument/completion";
  if ((!isCompletion && method != "textDocument/hover") || !message.get("id"))
    return std::nullopt;
  llvm::lsp::Position position;
  llvm::json::Path::Root root;
  const Object *document = parameters->getObject("textDocument");
  const Value *at = parameters->get("position");
  auto found = texts.find(document ? document->getString("uri").value_or("").str() : "");
  if (found == texts.end() || !at || !llvm::lsp::fromJSON(*at, position, root))
    return std::nullopt;
  StringRef text = found->second;
  size_t offset = offsetOf(text, position);
  std::optional<PipelineWord> word = findPipelineWord(text, offset);
  if (!word)
    return std::nullopt;
  llvm::lsp::Range range = rangeOf(text, word->text, position, offset);
  if (!isCompletion) {
    std::string explanation = help.explain(*word);
    if (explanation.empty())
      return std::nullopt;
    llvm::lsp::Hover hover(range);
    hover.contents.value = std::move(explanation);
    return llvm::lsp::toJSON(hover);
  }
  llvm::lsp::CompletionList list;
  for (PipelineHelp::Item &item : help.complete(*word)) {
    using llvm::lsp::CompletionItemKind;
    llvm::lsp::CompletionItem shown(item.text, item.kind == PipelineWord::Kind::Name     ? CompletionItemKind::Function
                                               : item.kind == PipelineWord::Kind::Option ? CompletionItemKind::Property
                                                                                         : CompletionItemKind::Value);
    shown.detail = std::move(item.detail);
    if (!item.help.empty())
      shown.documentation = {llvm::lsp::MarkupKind::Markdown, std::move(item.help)};
    shown.textEdit = {range, item.text};
    list.items.push_back(std::move(shown));
  }
  return llvm::lsp::toJSON(list);
}
