//===- PipelineList.cpp - The named pipelines, for people and programs ----===//
//
// Lists come from the descriptions of pipelines and schemes. A pipeline is expanded by
// building it and printing the passes.
//
//===----------------------------------------------------------------------===//
#include "qopt/Driver/PipelineList.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/InitAll.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Pipelines.h"
#include "qopt/Support/Utf8.h"
#include "llvm/Support/raw_ostream.h"

#include <nlohmann/json.hpp>

using namespace mlir;
using namespace qopt;
using Json = nlohmann::ordered_json;

std::string qopt::pipelineTable() {
  std::string text;
  for (const PipelineInfo &pipeline : describePipelines()) {
    text += pipeline.name + ": " + pipeline.summary +
            (pipeline.isScheme           ? " (a scheme)"
             : pipeline.isTransformation ? " (a transformation)"
                                         : "") +
            "\n";
    for (const PipelineOptionInfo &option : pipeline.options) {
      std::string kind = option.type;
      for (size_t i = 0; i < option.choices.size(); ++i)
        kind += (i == 0 ? " " : "|") + option.choices[i];
      text += "  " + option.name + "=" + option.initial + "  (" + kind + ") " + option.help + "\n";
    }
  }
  return text;
}

std::string qopt::pipelinesAsJson() {
  Json pipelines = Json::array();
  for (const PipelineInfo &pipeline : describePipelines()) {
    Json options = Json::array();
    for (const PipelineOptionInfo &option : pipeline.options) {
      Json entry = {{"name", option.name}, {"type", option.type}, {"default", option.initial}, {"help", option.help}};
      if (!option.choices.empty())
        entry["choices"] = option.choices;
      options.push_back(std::move(entry));
    }
    pipelines.push_back({{"name", pipeline.name},
                         {"summary", pipeline.summary},
                         {"is_scheme", pipeline.isScheme},
                         {"is_transformation", pipeline.isTransformation},
                         {"options", std::move(options)}});
  }
  return Json{{"pipelines", std::move(pipelines)}}.dump(2) + "\n";
}

static Json variantToJson(const SchemeVariant &variant) {
  StatisticSet statistics = variant.weightStatistics | variant.activationStatistics;
  return {{"setting", variant.setting.str()},
          {"weights", variant.weightText.str()},
          {"weight_bits", variant.weightBits},
          {"activations", variant.activationText.str()},
          {"needs_data", statistics != StatisticSet::None},
          {"reproduces", variant.reproduces.str()}};
}

std::string qopt::schemesAsJson() {
  Json schemes = Json::array();
  for (const SchemeInfo *info : allSchemes()) {
    Json variants = Json::array(), options = Json::array(), presets = Json::array();
    for (const SchemeVariant &variant : llvm::reverse(info->variants))
      variants.push_back(variantToJson(variant));
    for (const OptionInfo *option : info->options)
      options.push_back(option->name.str());
    for (const SchemePreset &preset : info->presets)
      presets.push_back({{"name", preset.name.str()}, {"settings", preset.settings.str()}});
    schemes.push_back({{"name", info->name.str()},
                       {"summary", info->summary.str()},
                       {"variants", std::move(variants)},
                       {"options", std::move(options)},
                       {"presets", std::move(presets)}});
  }
  return Json{{"schemes", std::move(schemes)}}.dump(2) + "\n";
}

Result<std::string> qopt::expandPipeline(const std::string &pipeline, const std::string &compat,
                                         const std::vector<std::string> &overrides) {
  registerAllPasses();
  auto print = [](OpPassManager &passes) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    passes.printAsTextualPipeline(stream);
    return text;
  };
  OpPassManager passes(ModuleOp::getOperationName());
  if (Status status = parsePipelineWithOverrides(passes, pipeline, compat, overrides); !status)
    return status.error();
  std::string text = print(passes);
  // MLIR prints values that it does not quote: some cannot be read back.
  OpPassManager again(ModuleOp::getOperationName());
  if (Status status = parsePipeline(again, text); !status || print(again) != text)
    return Error{"pipeline \"" + printable(pipeline) +
                 "\": an option has a value that the text of a pipeline cannot hold"};
  return text;
}

std::string qopt::passPipelineAsJson(const std::string &text) { return Json{{"pass_pipeline", text}}.dump(2) + "\n"; }
