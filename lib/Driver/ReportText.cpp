//===- ReportText.cpp - The report for people -----------------------------===//
//
// Everything that comes from the model or the command line is made printable before it goes
// to a terminal.
//
//===----------------------------------------------------------------------===//
#include "qopt/Driver/ReportText.h"
#include "qopt/Support/Utf8.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace qopt;
using llvm::format;

/// "+- 0.12"; nothing where one row was scored.
static std::string errorText(double standardError) {
  return std::isnan(standardError) ? "" : llvm::formatv(" +- {0:f4}", standardError).str();
}

/// The layers whose weights were changed most: with the least ratio of signal to noise.
static std::vector<LayerReport> findWorst(const CompileReport &report) {
  constexpr size_t kCount = 5;
  std::vector<LayerReport> layers;
  llvm::copy_if(report.layers, std::back_inserter(layers), [](const LayerReport &layer) { return layer.sqnrDb; });
  llvm::stable_sort(layers, [](const LayerReport &a, const LayerReport &b) { return *a.sqnrDb < *b.sqnrDb; });
  layers.resize(std::min(layers.size(), kCount));
  return layers;
}

std::string qopt::evaluationText(const CompileReport &report) {
  const Evaluation &evaluation = *report.evaluation;
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "perplexity (mode " << evaluation.mode << ": " << evaluation.tokens << " tokens in " << evaluation.windows
         << " windows of " << evaluation.window << ")\n"
         << format("  float      %10.4f", evaluation.floatPerplexity) << errorText(evaluation.floatStandardError)
         << format("\n  quantized  %10.4f", evaluation.quantizedPerplexity) << errorText(evaluation.standardError)
         << format("  (%+.2f %%)\n", 100 * (evaluation.quantizedPerplexity / evaluation.floatPerplexity - 1))
         << format("KL divergence mean %.5f, median %.5f, 99 %% below %.5f", evaluation.klDivergenceMean,
                   evaluation.klDivergenceMedian, evaluation.klDivergenceP99)
         << format("; same top-1 %.1f %%\n", 100 * evaluation.sameTop1);
  std::vector<LayerReport> worst = findWorst(report);
  if (!worst.empty())
    stream << "weights changed most (signal to noise):\n";
  for (const LayerReport &layer : worst)
    stream << format("  %6.2f dB  ", *layer.sqnrDb) << printable(layer.name) << "  " << layer.scheme << '\n';
  return text;
}

/// Outputs first, as PyTorch writes the shape of a weight.
static std::string shapeOf(const LayerReport &layer) {
  return std::to_string(layer.outFeatures) + "x" + std::to_string(layer.inFeatures);
}

/// "float", "int8", or "int8 per 128" inputs that share a scale.
static std::string activationsOf(const LayerReport &layer) {
  if (layer.activationGroupSize > 0)
    return "int8 per " + std::to_string(layer.activationGroupSize);
  return layer.hasInt8Activations ? "int8" : "float";
}

std::string qopt::choiceText(const CompileReport &report) {
  size_t width = 5, schemeWidth = 6; // of the words above them
  for (const LayerChoice &choice : report.choices) {
    width = std::max(width, printable(choice.name).size());
    schemeWidth = std::max(schemeWidth, choice.scheme.size());
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << llvm::left_justify("layer", width) << "  " << llvm::left_justify("scheme", schemeWidth)
         << "    bits  divergence\n";
  for (const LayerChoice &choice : report.choices)
    stream << llvm::left_justify(printable(choice.name), width) << "  "
           << llvm::left_justify(choice.scheme, schemeWidth)
           << format("  %6.3f  %10.3g\n", choice.bitsPerWeight, choice.divergence);
  stream << "the same without a search:\n";
  for (const std::string &text : choiceOverrides(report))
    stream << "  --override='" << printable(text) << "'\n";
  return text;
}

std::string qopt::layerTable(const CompileReport &report) {
  // At least as wide as the word "layer".
  size_t width = 5;
  for (const LayerReport &layer : report.layers)
    width = std::max(width, printable(layer.name).size());
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto row = [&](llvm::StringRef name, llvm::StringRef shape, llvm::StringRef group, llvm::StringRef scheme,
                 llvm::StringRef activations) {
    stream << llvm::left_justify(name, width) << "  " << llvm::right_justify(shape, 12) << "  "
           << llvm::left_justify(group, width) << "  " << llvm::left_justify(scheme, 12) << "  " << activations << '\n';
  };
  row("layer", "shape", "group", "scheme", "activations");
  for (const LayerReport &layer : report.layers)
    row(printable(layer.name), shapeOf(layer), printable(layer.group), layer.scheme, activationsOf(layer));
  return text;
}

std::string qopt::summaryLine(const CompileReport &report, const std::string &output) {
  size_t quantized = 0, fallbacks = 0;
  for (const LayerReport &layer : report.layers) {
    quantized += layer.isQuantized;
    fallbacks += layer.fallback;
  }
  std::string text = printable(output) + ": ";
  llvm::raw_string_ostream stream(text);
  if (report.moduleBytes > 0)
    stream << format("%.1f MB, ", report.moduleBytes / 1e6);
  stream << quantized << " of " << report.layers.size() << " linear layers quantized, ";
  if (quantized > 0)
    stream << format("%.3f bits per weight", report.bitsPerWeight);
  if (std::optional<double> all = modelBitsPerWeight(report); all && quantized > 0)
    stream << format(" (%.3f with the rest of the model)", *all);
  if (quantized > 0)
    stream << ", ";
  if (fallbacks > 0)
    stream << fallbacks << " fell back to round to nearest, ";
  stream << format("%.1f s", report.seconds);
  return text;
}

std::string qopt::progressLine(const LayerReport &layer) {
  std::string text = printable(layer.name) + "  " + shapeOf(layer) + "  " + layer.scheme;
  llvm::raw_string_ostream stream(text);
  if (layer.loss)
    stream << format("  loss %.4g", *layer.loss);
  if (layer.damping)
    stream << format("  damping %.2g", *layer.damping);
  stream << format("  %.2f s", layer.seconds);
  if (layer.fallback)
    stream << "  fell back to round to nearest";
  return text;
}
