//===- Describe.cpp - A module in words -----------------------------------===//
//
// Both forms are made of the same header, in the same order.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Describe.h"
#include "CacheEntries.h"
#include "qopt/Support/ElementType.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json;

/// `fraction` digits after the point, whatever the locale.
static std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

/// "15.4 MB"; bytes below 10 kB.
static std::string humanBytes(int64_t bytes) {
  if (bytes < 10000)
    return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1000;
  const char *unit = "kB";
  for (const char *larger : {"MB", "GB", "TB"})
    if (value >= 1000) {
      value /= 1000;
      unit = larger;
    }
  return fixed(value, 1) + " " + unit;
}

std::string qrt::describeType(const TensorInfo &info) {
  std::string text = std::string(elementTypeName(info.type)) + " [";
  for (const Dimension &dim : info.dims)
    text += (text.back() == '[' ? "" : ", ") + (dim.symbol.empty() ? std::to_string(dim.size) : printable(dim.symbol));
  return text + "]";
}

namespace {
/// Rows of cells, written with columns aligned.
class Table {
public:
  void add(std::vector<std::string> cells) { rows.push_back(std::move(cells)); }
  std::string text() const {
    std::vector<size_t> widths;
    for (const auto &row : rows)
      for (size_t i = 0; i < row.size(); ++i) {
        widths.resize(std::max(widths.size(), i + 1));
        widths[i] = std::max(widths[i], row[i].size());
      }
    std::string result;
    for (const auto &row : rows) {
      std::string line = " ";
      for (size_t i = 0; i < row.size(); ++i)
        line += " " + row[i] + (i + 1 < row.size() ? std::string(widths[i] - row[i].size() + 1, ' ') : "");
      result += line + "\n";
    }
    return result;
  }

private:
  std::vector<std::vector<std::string>> rows;
};

/// All linear layers together.
struct Totals {
  int64_t weights = 0; // what fits is checked where a header is read
  double bits = 0;
  double bitsPerWeight() const { return weights > 0 ? bits / static_cast<double>(weights) : 0; }
};
} // namespace

static Totals totalsOf(const ModuleInfo &info) {
  Totals totals;
  for (const LayerInfo &layer : info.layers) {
    int64_t weights = layer.outFeatures * layer.inFeatures;
    totals.weights += weights;
    totals.bits += static_cast<double>(weights) * layer.bitsPerWeight;
  }
  return totals;
}

/// "activations int8 per 128"; empty where the file does not say it.
static std::string describeActivations(const LayerInfo &layer) {
  if (layer.activations.empty())
    return "";
  std::string size = layer.activationGroupSize > 0 ? " per " + std::to_string(layer.activationGroupSize) : "";
  return "activations " + printable(layer.activations) + size;
}

/// A line for each input, but one for all caches of a shape.
static void addInputs(const std::vector<TensorInfo> &inputs, Table &table) {
  for (size_t first = 0, last; first < inputs.size(); first = last + 1) {
    std::string name = printable(inputs[first].name), type = qrt::describeType(inputs[first]);
    last = first;
    while (isCache(inputs[first].role) && last + 1 < inputs.size() && isCache(inputs[last + 1].role) &&
           qrt::describeType(inputs[last + 1]) == type)
      ++last;
    std::string role(roleName(inputs[first].role));
    if (inputs[last].role != inputs[first].role)
      role += ", " + std::string(roleName(inputs[last].role));
    table.add({"  in", name + (last > first ? " .. " + printable(inputs[last].name) : ""), type, role});
  }
}

std::string qrt::describeModule(const Module &module) {
  const ModuleInfo &info = module.info();
  auto orUnknown = [](int64_t value) { return value > 0 ? std::to_string(value) : std::string("unknown"); };
  Table head;
  head.add({"model", printable(info.model)});
  head.add({"pipeline", info.pipeline.empty() ? "none (float)" : printable(info.pipeline)});
  head.add({"made by", printable(info.producer)});
  auto from = [](std::string what, const std::string &origin) {
    return origin.empty() ? what : what + " (" + printable(origin) + ")";
  };
  head.add({"context", from(orUnknown(info.contextLength), info.text.contextOrigin)});
  if (info.text.beginOfText)
    head.add({"begins texts", from("token " + std::to_string(*info.text.beginOfText), info.text.beginOrigin)});
  if (!info.text.endOfText.empty()) {
    std::string ids;
    for (int32_t id : info.text.endOfText)
      ids += (ids.empty() ? "" : ", ") + std::to_string(id);
    head.add({"ends texts", from((info.text.endOfText.size() > 1 ? "tokens " : "token ") + ids, info.text.endOrigin)});
  }
  if (!info.text.rope.empty())
    head.add({"rope", from(printable(info.text.rope), info.text.ropeOrigin)});
  head.add({"vocabulary", orUnknown(info.vocabularySize)});
  head.add({"file", humanBytes(module.fileBytes())});
  std::string text = head.text();

  Table entries;
  for (const EntryPoint &entry : info.entryPoints) {
    entries.add({printable(entry.name)});
    addInputs(entry.inputs, entries);
    for (const TensorInfo &output : entry.outputs)
      entries.add({"  out", printable(output.name), describeType(output), std::string(roleName(output.role))});
  }
  text += "\nentry points:\n" + entries.text();

  if (!info.layers.empty()) {
    Table layers;
    for (const LayerInfo &layer : info.layers)
      layers.add({printable(layer.name), std::to_string(layer.outFeatures) + " x " + std::to_string(layer.inFeatures),
                  printable(layer.scheme), fixed(layer.bitsPerWeight, 3) + " bits", describeActivations(layer)});
    Totals totals = totalsOf(info);
    text += "\nlinear layers (out x in, bits per weight with scales and zero points):\n" + layers.text();
    text += "  all: " + std::to_string(totals.weights) + " weights, " + fixed(totals.bitsPerWeight(), 3) +
            " bits per weight\n";
  }

  if (!info.kernels.empty()) {
    Table kernels;
    for (const KernelInfo &kernel : info.kernels) {
      std::string use = kernel.arch.empty() ? "" : "only " + printable(kernel.arch);
      for (const KernelUse &on : kernel.resources)
        use += (use.empty() ? "" : "; ") + printable(on.arch) + ": " + std::to_string(on.registers) + " registers" +
               (on.spillBytes > 0 ? ", " + std::to_string(on.spillBytes) + " B spilled" : "");
      kernels.add({printable(kernel.name), std::to_string(kernel.sharedBytes) + " B shared", use});
    }
    text += "\nkernels:\n" + kernels.text();
  }

  Table sections;
  for (const Section &section : module.sections())
    sections.add({printable(section.name), humanBytes(section.bytes), "at " + std::to_string(section.offset)});
  return text + "\nsections:\n" + sections.text();
}

static Json tensorsToJson(const std::vector<TensorInfo> &tensors) {
  Json list = Json::array();
  for (const TensorInfo &tensor : tensors) {
    Json dims = Json::array();
    for (const Dimension &dim : tensor.dims)
      dims.push_back(dim.symbol.empty() ? Json(dim.size) : Json(dim.symbol));
    list.push_back({{"name", tensor.name},
                    {"type", elementTypeName(tensor.type)},
                    {"role", roleName(tensor.role)},
                    {"dims", dims}});
  }
  return list;
}

std::string qrt::describeModuleAsJson(const Module &module) {
  const ModuleInfo &info = module.info();
  Json json = {{"producer", info.producer},
               {"model", info.model},
               {"pipeline", info.pipeline},
               {"context_length", info.contextLength},
               {"context_origin", info.text.contextOrigin},
               {"begin_of_text", info.text.beginOfText ? Json(*info.text.beginOfText) : Json()},
               {"begin_origin", info.text.beginOrigin},
               {"end_of_text", info.text.endOfText},
               {"end_origin", info.text.endOrigin},
               {"rope", info.text.rope},
               {"rope_origin", info.text.ropeOrigin},
               {"vocabulary_size", info.vocabularySize},
               {"module_bytes", module.fileBytes()},
               {"linear_weights", totalsOf(info).weights},
               {"bits_per_weight", totalsOf(info).bitsPerWeight()},
               {"entry_points", Json::array()},
               {"layers", Json::array()},
               {"kernels", Json::array()},
               {"sections", Json::array()}};
  for (const EntryPoint &entry : info.entryPoints)
    json["entry_points"].push_back(
        {{"name", entry.name}, {"inputs", tensorsToJson(entry.inputs)}, {"outputs", tensorsToJson(entry.outputs)}});
  for (const LayerInfo &layer : info.layers)
    json["layers"].push_back({{"name", layer.name},
                              {"shape", {layer.outFeatures, layer.inFeatures}},
                              {"scheme", layer.scheme},
                              {"activations", layer.activations},
                              {"activation_group_size", layer.activationGroupSize},
                              {"bits_per_weight", layer.bitsPerWeight}});
  for (const KernelInfo &kernel : info.kernels) {
    Json resources = Json::object();
    for (const KernelUse &on : kernel.resources)
      resources[on.arch] = {{"registers", on.registers}, {"spill_bytes", on.spillBytes}};
    json["kernels"].push_back(
        {{"name", kernel.name}, {"shared_bytes", kernel.sharedBytes}, {"arch", kernel.arch}, {"resources", resources}});
  }
  for (const Section &section : module.sections())
    json["sections"].push_back({{"name", section.name}, {"offset", section.offset}, {"bytes", section.bytes}});
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}
