//===- SchemeTable.cpp - What schemes there are, for people ---------------===//
//
// In Markdown: docs/Quantization.md has this text word for word.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Driver/ReportText.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace qopt;
using llvm::StringRef;

/// `name`, or `name{option=value}` of a variant that an option chooses.
static std::string nameOf(const SchemeInfo &info, const SchemeVariant &variant) {
  StringRef setting = variant.setting;
  return (setting.empty() ? "`" + info.name + "`" : "`" + info.name + "{" + setting + "}`").str();
}

static void listVariants(llvm::raw_ostream &os) {
  os << "| scheme | weights | bits | activations | data needed | reproduces |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const SchemeInfo *info : allSchemes())
    for (const SchemeVariant &variant : llvm::reverse(info->variants)) {
      bool needsData = (variant.weightStatistics | variant.activationStatistics) != StatisticSet::None;
      os << "| " << nameOf(*info, variant) << " | " << variant.weightText << " | " << variant.weightBits << " | "
         << variant.activationText << " | " << (needsData ? "calibration text" : "none") << " | " << variant.reproduces
         << " |\n";
    }
}

static void listOptions(llvm::raw_ostream &os) {
  llvm::SetVector<const OptionInfo *> options;
  for (const SchemeInfo *info : allSchemes())
    options.insert(info->options.begin(), info->options.end());
  os << "| option | of | values | default | meaning |\n| --- | --- | --- | --- | --- |\n";
  for (const OptionInfo *option : options) {
    auto hasOption = [&](const SchemeInfo &info) { return llvm::is_contained(info.options, option); };
    std::string values = option->isWord() ? llvm::join(option->choices, ", ") : option->expected.rtrim(',').str();
    os << "| `" << option->name << "` | " << listSchemes(hasOption) << " | " << values << " | "
       << option->text(option->initial) << " | " << option->help << " |\n";
  }
}

static void listPresets(llvm::raw_ostream &os) {
  os << "| `--compat` | of | options that it sets |\n| --- | --- | --- |\n";
  for (const SchemeInfo *info : allSchemes())
    for (const SchemePreset &preset : info->presets)
      os << "| `" << preset.name << "` | `" << info->name << "` | "
         << (preset.settings.empty() ? "none" : "`" + preset.settings.str() + "`") << " |\n";
}

std::string qopt::schemeTable() {
  std::string text;
  llvm::raw_string_ostream os(text);
  listVariants(os);
  os << "\n";
  listOptions(os);
  os << "\n";
  listPresets(os);
  return text;
}
