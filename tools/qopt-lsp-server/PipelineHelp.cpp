//===- PipelineHelp.cpp - What an editor shows of pipelines ---------------===//
//
// MLIR lists registered passes, and their options, to command lines only: names are read off
// the options that such a command line would have, options off a pass as it prints itself.
//
//===----------------------------------------------------------------------===//
#include "PipelineHelp.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Support/CommandLine.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lsp;

/// docs/Passes.md, which TableGen has made of Passes.td.
static constexpr char kPages[] =
#include "PassPages.inc"
    ;

/// The names of all passes.
static std::vector<std::string> registeredPasses() {
  PassPipelineCLParser parser("", "");
  std::vector<std::string> names;
  llvm::SmallPtrSet<llvm::cl::Option *, 2> added;
  for (auto &[name, option] : llvm::cl::getRegisteredOptions()) {
    if (PassInfo::lookup(name))
      names.push_back(name.str());
    if (PassInfo::lookup(name) || name == "pass-pipeline")
      added.insert(option);
  }
  // They go before the parser does.
  for (llvm::cl::Option *option : added)
    option->removeArgument();
  return names;
}

PipelineHelp::PipelineHelp() {
  for (PipelineInfo &pipeline : describePipelines())
    entries[pipeline.name] = {pipeline.summary, pipeline.isScheme ? "scheme" : "pipeline", "", pipeline.isScheme,
                              std::move(pipeline.options)};
  for (const std::string &name : registeredPasses())
    addPass(name);
  for (StringRef rest = kPages; !rest.empty();) {
    auto [section, behind] = rest.split("\n### `-");
    readPage(section);
    rest = behind;
  }
}

/// A pass as it prints itself below `anchor`, ANCHOR(func.func(NAME{option=value ...})), in two parts; `anchor` becomes
/// what it runs on.
static std::string print(const PassInfo &pass, std::string &anchor) {
  OpPassManager passes(anchor, OpPassManager::Nesting::Implicit);
  std::string printed;
  if (failed(pass.addToPipeline(passes, "", [](const Twine &) { return failure(); })))
    return printed;
  llvm::raw_string_ostream stream(printed);
  passes.printAsTextualPipeline(stream);
  auto [before, behind] = StringRef(printed).split(pass.getPassArgument());
  size_t bracket = before.drop_back().rfind('(');
  anchor = before.drop_back().drop_front(bracket + 1).str();
  return behind.starts_with("{") ? behind.slice(1, behind.rfind('}')).str() : "";
}

void PipelineHelp::addPass(const std::string &name) {
  const PassInfo &pass = *PassInfo::lookup(name);
  std::string onModule(ModuleOp::getOperationName()), onFunction = "func.func";
  std::string options = print(pass, onModule);
  (void)print(pass, onFunction);
  Entry entry{pass.getPassDescription().str(),
              "pass on " + (onModule == onFunction ? onModule : "any operation"),
              "",
              false,
              {}};
  for (StringRef option : llvm::split(options, ' ')) {
    auto [key, value] = option.split('=');
    bool isFlag = value == "true" || value == "false";
    if (!key.empty())
      entry.options.push_back({key.str(), "", isFlag ? "bool" : "text", value.str(), {}});
  }
  entries[name] = std::move(entry);
}

/// `section` begins behind "### `-".
void PipelineHelp::readPage(StringRef section) {
  auto found = entries.find(section.take_until([](char c) { return c == '`'; }));
  if (found == entries.end())
    return;
  Entry &entry = found->second;
  auto [text, tables] = section.split("\n#### ");
  // Behind the name and the summary.
  entry.page = text.split("_\n\n").second.trim().str();
  if (!tables.consume_front("Options"))
    return;
  for (StringRef line : llvm::split(tables.split("```\n").second.split("```").first, '\n')) {
    auto [name, help] = line.split(" : ");
    if (!name.consume_front("-"))
      continue;
    auto option = llvm::find_if(entry.options, [&](const auto &option) { return option.name == name.rtrim(); });
    if (option == entry.options.end()) // lists are not printed while they are empty
      option = entry.options.insert(option, {name.rtrim().str(), "", "list", "", {}});
    option->help = help.str();
  }
}

const PipelineOptionInfo *PipelineHelp::findOption(StringRef owner, StringRef name) const {
  auto found = entries.find(owner);
  if (found == entries.end())
    return nullptr;
  auto option = llvm::find_if(found->second.options, [&](const auto &option) { return option.name == name; });
  return option == found->second.options.end() ? nullptr : &*option;
}

/// "integer, default 128"
static std::string describe(const PipelineOptionInfo &option) {
  return option.type + (option.initial.empty() ? "" : ", default " + option.initial);
}

static std::vector<std::string> valuesOf(const PipelineOptionInfo &option) {
  if (option.type == "bool")
    return {"true", "false"};
  if (!option.choices.empty())
    return option.choices;
  return option.initial.empty() ? std::vector<std::string>() : std::vector<std::string>{option.initial};
}

std::vector<PipelineHelp::Item> PipelineHelp::complete(const PipelineWord &word) const {
  std::vector<Item> items;
  if (word.kind == PipelineWord::Kind::Name) {
    for (StringRef anchor : {"builtin.module", "func.func"})
      items.push_back({anchor.str(), "what passes in brackets run on", "", word.kind});
    for (const auto &[name, entry] : entries)
      items.push_back({name, entry.kind, entry.summary, word.kind});
  } else if (word.kind == PipelineWord::Kind::Option) {
    if (auto found = entries.find(word.owner); found != entries.end())
      for (const PipelineOptionInfo &option : found->second.options)
        items.push_back({option.name + "=", describe(option), option.help, word.kind});
  } else if (const PipelineOptionInfo *option = findOption(word.owner, word.option)) {
    for (const std::string &value : valuesOf(*option))
      items.push_back({value, value == option->initial ? "default" : "", "", word.kind});
    // A scheme is a value, too.
    if (word.option == "scheme" || word.option == "head")
      for (const auto &[name, entry] : entries)
        if (entry.isScheme)
          items.push_back({name, entry.kind, entry.summary, word.kind});
  }
  return items;
}

std::string PipelineHelp::explain(const PipelineWord &word) const {
  if (word.kind != PipelineWord::Kind::Name) {
    StringRef name = word.kind == PipelineWord::Kind::Option ? word.text : word.option;
    const PipelineOptionInfo *option = findOption(word.owner, name);
    return option ? "**" + option->name + "** (" + describe(*option) + ")\n\n" + option->help : "";
  }
  auto found = entries.find(word.text);
  if (found == entries.end())
    return "";
  const Entry &entry = found->second;
  std::string text = "**" + found->first + "** (" + entry.kind + "): " + entry.summary + "\n\n" + entry.page + "\n\n";
  for (const PipelineOptionInfo &option : entry.options)
    text += "- `" + option.name + "=" + option.initial + "` " + option.help + "\n";
  return text;
}
