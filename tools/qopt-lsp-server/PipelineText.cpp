//===- PipelineText.cpp - Pipelines in the text of a file -----------------===//
//
// Text that is being typed has no end yet, so it is read from its beginning to the place
// that is asked for, and not parsed.
//
//===----------------------------------------------------------------------===//
#include "PipelineText.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace qopt::lsp;
using llvm::StringRef;

static constexpr StringRef kRun = "RUN:";

static bool isWordCharacter(char c) { return llvm::isAlnum(c) || c == '-' || c == '_' || c == '.'; }

/// `document` from where the command of this place begins, to it: a line with those before it that end in "\".
static StringRef commandBefore(StringRef document, size_t offset) {
  size_t begin = document.rfind('\n', offset) + 1; // 0 in the first line
  while (begin > 0 && document.take_front(begin - 1).rtrim(" \t\r").ends_with("\\"))
    begin = document.rfind('\n', begin - 1) + 1;
  return document.slice(begin, offset);
}

/// What is behind the last `marker` in `command`, if it has not ended yet: at a quote where it begins with one, else at
/// a space.
static std::optional<StringRef> textBehind(StringRef command, StringRef marker) {
  size_t at = command.rfind(marker);
  if (at == StringRef::npos)
    return std::nullopt;
  StringRef text = command.drop_front(at + marker.size());
  StringRef end = marker.ends_with("\"") ? "\"" : " \t\n'\"";
  if (text.starts_with("'") || text.starts_with("\"")) {
    end = text.take_front();
    text = text.drop_front();
  }
  return text.find_first_of(end) == StringRef::npos ? std::optional(text) : std::nullopt;
}

/// The last word of a shell's command, with quotes that are open.
static StringRef lastArgument(StringRef command) {
  char quote = 0;
  size_t begin = 0;
  for (size_t i = 0; i < command.size(); ++i) {
    char c = command[i];
    if (quote ? c == quote : c == '\'' || c == '"')
      quote = quote ? 0 : c;
    else if (!quote && llvm::isSpace(c))
      begin = i + 1;
  }
  return command.drop_front(begin);
}

/// The last word of the text of a pipeline.
static std::optional<PipelineWord> lastWord(StringRef text) {
  struct Frame {
    bool hasOptions = false;
    StringRef owner = {};
  };
  llvm::SmallVector<Frame> frames = {{}};
  size_t item = 0, value = 0; // where a name or option begins, and the value of an option; 0 before its "="
  StringRef option;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool isList = frames.back().hasOptions && frames.back().owner.empty();
    if (c == '(' || c == '{')
      frames.push_back({c == '{', c == '{' ? text.slice(value ? value : item, i) : StringRef()});
    else if (c == ')' || c == '}')
      frames.pop_back();
    else if (c == '=' && frames.back().hasOptions && !value) {
      option = text.slice(item, i);
      value = i + 1;
      continue;
    } else if (c == ',' && value && !isList) { // between the values of one option
      value = i + 1;
      continue;
    } else if (c != ',' && !llvm::isSpace(c)) {
      continue;
    }
    if (frames.empty())
      return std::nullopt;
    item = i + 1;
    value = 0;
  }
  const Frame &frame = frames.back();
  StringRef word = text.drop_front(value ? value : item);
  if (!frame.hasOptions)
    return PipelineWord{PipelineWord::Kind::Name, word, {}, {}};
  if (frame.owner.empty()) // the list of an option: PATTERN=SPEC
    return value ? std::optional<PipelineWord>({PipelineWord::Kind::Name, word, {}, {}}) : std::nullopt;
  if (!value)
    return PipelineWord{PipelineWord::Kind::Option, word, frame.owner, {}};
  return PipelineWord{PipelineWord::Kind::Value, word, frame.owner, option};
}

/// The last word of `--NAME` or `--NAME=OPTIONS`, as mlir-opt takes passes.
static std::optional<PipelineWord> lastWordOfFlag(StringRef argument) {
  if (!argument.starts_with("-"))
    return std::nullopt;
  StringRef flag = argument.ltrim('-');
  auto [name, options] = flag.split('=');
  if (name.size() == flag.size())
    return PipelineWord{PipelineWord::Kind::Name, flag, {}, {}};
  options = options.drop_while([](char c) { return c == '"' || c == '\'' || c == '{'; });
  size_t item = options.rfind(' ') + 1;
  auto [option, value] = options.drop_front(item).split('=');
  if (option.size() == options.size() - item)
    return PipelineWord{PipelineWord::Kind::Option, option, name, {}};
  return PipelineWord{PipelineWord::Kind::Value, value, name, option};
}

std::optional<PipelineWord> qopt::lsp::findPipelineWord(StringRef document, size_t offset) {
  offset = std::min(offset, document.size());
  StringRef command = commandBefore(document, offset);
  std::optional<PipelineWord> word;
  if (std::optional<StringRef> text = textBehind(command, "pass-pipeline="))
    word = lastWord(*text);
  else if (std::optional<StringRef> text = textBehind(command, "pipeline: \""))
    word = lastWord(*text);
  else if (size_t run = command.find(kRun); run != StringRef::npos)
    word = lastWordOfFlag(lastArgument(command.drop_front(run + kRun.size())));
  if (!word)
    return std::nullopt;
  size_t begin = static_cast<size_t>(word->text.begin() - document.begin()), end = offset;
  while (end < document.size() && isWordCharacter(document[end]))
    ++end;
  word->text = document.slice(begin, end);
  return word;
}
