//===- Report.cpp - The report as JSON and CSV ----------------------------===//
//
// Numbers are written so that they read back as they are, in every locale; names may hold
// anything and are made printable.
//
//===----------------------------------------------------------------------===//
#include "qopt/Driver/CompileReport.h"
#include "qopt/Support/Utf8.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json;

void qopt::addTotals(CompileReport &report) {
  double bits = 0;
  for (const LayerReport &layer : report.layers) {
    // The average is over what a scheme has quantized, so layers left in float do not count.
    if (!layer.isQuantized && !report.pipeline.empty())
      continue;
    int64_t weights = layer.outFeatures * layer.inFeatures;
    report.linearWeights += weights;
    bits += layer.bitsPerWeight * weights;
  }
  report.bitsPerWeight = report.linearWeights ? bits / report.linearWeights : 0;
  report.linearBytes = static_cast<int64_t>(bits / 8);
}

std::optional<double> qopt::modelBitsPerWeight(const CompileReport &report) {
  if (!report.modelWeights || !report.weightBytes)
    return std::nullopt;
  return 8.0 * report.weightBytes / report.modelWeights;
}

std::vector<std::string> qopt::choiceOverrides(const CompileReport &report) {
  std::vector<std::string> overrides;
  for (const LayerChoice &choice : report.choices) {
    std::string pattern; // a glob that is the name
    for (char c : choice.name)
      pattern += (std::string("*?[]{}\\").find(c) == std::string::npos ? "" : "\\") + std::string(1, c);
    overrides.push_back(pattern + "=" + choice.scheme);
  }
  return overrides;
}

/// null for what was not measured, and for what JSON cannot express.
static Json optional(std::optional<double> value) { return value && std::isfinite(*value) ? Json(*value) : Json(); }

/// One row. Keys that only some schemes have are left out for the others.
static Json layerToJson(const LayerReport &layer) {
  Json result = {
      {"name", printable(layer.name)},
      {"node", printable(layer.node)},
      {"shape", {layer.outFeatures, layer.inFeatures}},
      {"group", printable(layer.group)},
      {"scheme", layer.scheme},
      {"activations", layer.hasInt8Activations ? "int8" : "float"},
      {"bits_per_weight", layer.bitsPerWeight},
      {"loss", optional(layer.loss)},
      {"damping", optional(layer.damping)},
      {"tokens", layer.tokens},
      {"dead_columns", layer.deadColumns},
      {"sqnr_db", optional(layer.sqnrDb)},
      {"fallback", layer.fallback},
      {"seconds", layer.seconds},
  };
  if (layer.activationGroupSize > 0)
    result["activation_group_size"] = layer.activationGroupSize;
  if (layer.inputScale)
    result["input_scale"] = *layer.inputScale;
  if (layer.outlierColumns)
    result["outlier_columns"] = *layer.outlierColumns;
  return result;
}

std::string qopt::toJson(const CompileReport &report) {
  Json layers = Json::array();
  for (const LayerReport &layer : report.layers)
    layers.push_back(layerToJson(layer));
  Json remarks = Json::array();
  for (const ReportedRemark &remark : report.remarks)
    remarks.push_back({{"topic", remark.topic}, {"where", printable(remark.where)}, {"text", printable(remark.text)}});
  Json result = {
      {"model", printable(report.model)},
      {"pipeline", report.pipeline},
      {"calibration_tokens", report.calibrationTokens},
      {"warnings", report.warnings},
      {"remarks", remarks},
      {"layers", layers},
      {"total",
       {{"linear_weights", report.linearWeights},
        {"bits_per_weight", report.bitsPerWeight},
        {"linear_bytes", report.linearBytes},
        {"model_weights", report.modelWeights},
        {"model_bits_per_weight", optional(modelBitsPerWeight(report))},
        {"module_bytes", report.moduleBytes},
        {"quantize_seconds", report.quantizeSeconds},
        {"seconds", report.seconds},
        {"peak_memory_bytes", report.peakMemoryBytes}}},
  };
  for (const LayerChoice &choice : report.choices)
    result["choices"].push_back({{"name", printable(choice.name)},
                                 {"scheme", choice.scheme},
                                 {"bits_per_weight", choice.bitsPerWeight},
                                 {"divergence", choice.divergence}});
  if (!report.choices.empty())
    result["overrides"] = choiceOverrides(report);
  if (const auto &evaluation = report.evaluation)
    result["eval"] = {
        {"mode", evaluation->mode},
        {"float", {{"perplexity", evaluation->floatPerplexity}, {"standard_error", evaluation->floatStandardError}}},
        {"quantized", {{"perplexity", evaluation->quantizedPerplexity}, {"standard_error", evaluation->standardError}}},
        {"kl_divergence_mean", evaluation->klDivergenceMean},
        {"kl_divergence_median", evaluation->klDivergenceMedian},
        {"kl_divergence_p99", evaluation->klDivergenceP99},
        {"same_top1", evaluation->sameTop1},
        {"tokens", evaluation->tokens},
        {"windows", evaluation->windows},
        {"window", evaluation->window}};
  return result.dump(2) + "\n";
}

/// Shortest text that reads back as `value`; the same in every locale.
static std::string number(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

/// RFC 4180: quoted where it holds a comma or a quote.
static std::string field(const std::string &text) {
  if (text.find_first_of(",\"") == std::string::npos)
    return text;
  std::string result = "\"";
  for (char c : text)
    result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

std::string qopt::toCsv(const CompileReport &report) {
  std::string result =
      "name,scheme,out_features,in_features,bits_per_weight,loss,damping,tokens,sqnr_db,fallback,seconds\n";
  auto maybe = [](std::optional<double> value) { return value ? number(*value) : std::string(); };
  for (const LayerReport &layer : report.layers)
    result += field(printable(layer.name)) + ',' + layer.scheme + ',' + std::to_string(layer.outFeatures) + ',' +
              std::to_string(layer.inFeatures) + ',' + number(layer.bitsPerWeight) + ',' + maybe(layer.loss) + ',' +
              maybe(layer.damping) + ',' + std::to_string(layer.tokens) + ',' + maybe(layer.sqnrDb) + ',' +
              (layer.fallback ? "1" : "0") + ',' + number(layer.seconds) + '\n';
  return result;
}
