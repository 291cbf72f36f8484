//===- ReportText.cpp - The report for people -----------------------------===//
//
// Everything that comes from the model or the command line is made printable before it goes
// to a terminal.
//
//===----------------------------------------------------------------------===//
#include "qopt/Driver/ReportText.h"
#include "qopt/Support/Utf8.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace qopt;
using llvm::format;

std::string qopt::toText(const Evaluation &evaluation) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "perplexity (windows of " << evaluation.window << " tokens, " << evaluation.tokens << " tokens scored)\n"
         << format("  float      %10.4f\n", evaluation.floatPerplexity)
         << format("  quantized  %10.4f  (%+.2f %%)\n", evaluation.quantizedPerplexity,
                   100 * (evaluation.quantizedPerplexity / evaluation.floatPerplexity - 1))
         << format("mean KL divergence %.5f, same top-1 %.1f %%\n", evaluation.klDivergenceMean,
                   100 * evaluation.sameTop1);
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
