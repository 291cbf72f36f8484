//===- DescribePipelines.cpp - What options pipelines have ----------------===//
//
// Read off the options that parse the text: MLIR prints them, but does not list them.
//
//===----------------------------------------------------------------------===//
#include "SchemePipelines.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::pipelines;

namespace {
/// The options of MLIR are those of a subcommand, which only classes that inherit from it see.
struct OpenOptions : mlir::detail::PassOptions {
  static const llvm::cl::SubCommand &of(const PassOptions &options) { return options; }
};
} // namespace

/// The value that an option has, from `{name=value name=value}`: values in braces hold spaces.
static std::string valueIn(StringRef printed, StringRef name) {
  printed.consume_front("{");
  printed.consume_back("}");
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= printed.size(); ++i) {
    char c = i < printed.size() ? printed[i] : ' ';
    depth += (c == '{') - (c == '}');
    if (c != ' ' || depth > 0)
      continue;
    auto [key, value] = printed.slice(begin, i).split('=');
    if (key == name)
      return value.str();
    begin = i + 1;
  }
  return "";
}

/// What MLIR says of an option: which of its kinds it is shows in how often and how it is given.
static PipelineOptionInfo describeOption(const llvm::cl::Option &option, StringRef printed) {
  PipelineOptionInfo result;
  result.name = option.ArgStr.str();
  result.help = option.HelpStr.str();
  result.initial = valueIn(printed, option.ArgStr);
  result.type = option.getNumOccurrencesFlag() == llvm::cl::ZeroOrMore     ? "list"
                : option.getValueExpectedFlag() == llvm::cl::ValueOptional ? "bool"
                                                                           : "text";
  return result;
}

/// What a scheme says of an option of its own.
static void refine(PipelineOptionInfo &result, const OptionInfo &option) {
  result.initial = option.text(option.initial);
  result.type = option.isWord()                                   ? "word"
                : option.isFlag()                                 ? "bool"
                : std::holds_alternative<int64_t>(option.initial) ? "integer"
                                                                  : "number";
  for (StringRef choice : option.choices)
    result.choices.push_back(choice.str());
}

PipelineInfo qopt::pipelines::describe(const NamedPipeline &pipeline) {
  PipelineInfo result{pipeline.name, pipeline.summary, pipeline.scheme != nullptr, pipeline.isTransformation, {}};
  pipeline.withOptions([&](const mlir::detail::PassOptions &options) {
    std::string printed;
    llvm::raw_string_ostream stream(printed);
    options.print(stream);
    for (const auto &[name, option] : OpenOptions::of(options).OptionsMap)
      result.options.push_back(describeOption(*option, printed));
  });
  // The map has no order.
  llvm::sort(result.options, [](const auto &a, const auto &b) { return a.name < b.name; });
  if (const SchemeInfo *scheme = pipeline.scheme)
    for (PipelineOptionInfo &option : result.options) {
      if (const OptionInfo *info = scheme->findOption(option.name))
        refine(option, *info);
      if (option.name == "compat") {
        option.type = "word";
        for (const SchemePreset &preset : scheme->presets)
          option.choices.push_back(preset.name.str());
      }
    }
  return result;
}

std::vector<std::string> qopt::transformationNames() {
  std::vector<std::string> names;
  for (const PipelineInfo &pipeline : describePipelines())
    if (pipeline.isTransformation)
      names.push_back(pipeline.name);
  return names;
}
