//===- Header.cpp - The JSON header of a .qmod file -----------------------===//
//
// {"producer": ..., "model": ..., "pipeline": ..., "context_length": n,
//  "vocabulary_size": n,
//  "entry_points": [{"name": ..., "inputs": [T...], "outputs": [T...]}],
//  "parameters": [{"name": ..., "type": "i8", "dims": [n...], "offset": n, "bytes": n}],
//  "layers": [{"name": ..., "scheme": ..., "out_features": n, "in_features": n, "bits_per_weight": x}],
//  "kernels": [{"name": ..., "shared_bytes": n, "arch": "",
//               "resources": [{"arch": "sm_90a", "registers": n, "spill_bytes": n}]}],
//  "sections": [{"name": ..., "offset": n, "bytes": n}]}
// T is {"name": ..., "type": "f32", "dims": [2048, "batch", ...]}: a string is a
// symbol. "kernels" is there from version 1.1 on, "arch" of a kernel from 1.2 on. Keys that are not known are
// skipped: a later minor version may add some.
//
//===----------------------------------------------------------------------===//
#include "Layout.h"
#include "qopt/Runtime/Abi.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/ElementType.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

using namespace qopt;
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static OrderedJson toJson(const TensorInfo &tensor) {
  OrderedJson dims = OrderedJson::array();
  for (const Dimension &dim : tensor.dims)
    dims.push_back(dim.symbol.empty() ? OrderedJson(dim.size) : OrderedJson(dim.symbol));
  return {{"name", tensor.name}, {"type", elementTypeName(tensor.type)}, {"dims", dims}};
}

template <typename Items, typename Function>
static OrderedJson listOf(const Items &items, Function toObject) {
  OrderedJson list = OrderedJson::array();
  for (const auto &item : items)
    list.push_back(toObject(item));
  return list;
}

std::string qopt::writeHeader(const ModuleHeader &header) {
  const ModuleInfo &info = header.info;
  OrderedJson json;
  json["producer"] = info.producer;
  json["model"] = info.model;
  json["pipeline"] = info.pipeline;
  json["context_length"] = info.contextLength;
  json["vocabulary_size"] = info.vocabularySize;
  json["entry_points"] = listOf(info.entryPoints, [](const EntryPoint &entry) {
    return OrderedJson{
        {"name", entry.name}, {"inputs", listOf(entry.inputs, toJson)}, {"outputs", listOf(entry.outputs, toJson)}};
  });
  json["parameters"] = listOf(info.parameters, [](const Parameter &parameter) {
    return OrderedJson{{"name", parameter.name},
                       {"type", elementTypeName(parameter.type)},
                       {"dims", parameter.dims},
                       {"offset", parameter.offset},
                       {"bytes", parameter.bytes}};
  });
  json["layers"] = listOf(info.layers, [](const LayerInfo &layer) {
    return OrderedJson{{"name", layer.name},
                       {"scheme", layer.scheme},
                       {"out_features", layer.outFeatures},
                       {"in_features", layer.inFeatures},
                       {"bits_per_weight", layer.bitsPerWeight}};
  });
  json["kernels"] = listOf(info.kernels, [](const KernelInfo &kernel) {
    auto resources = listOf(kernel.resources, [](const KernelUse &needs) {
      return OrderedJson{{"arch", needs.arch}, {"registers", needs.registers}, {"spill_bytes", needs.spillBytes}};
    });
    return OrderedJson{
        {"name", kernel.name}, {"shared_bytes", kernel.sharedBytes}, {"arch", kernel.arch}, {"resources", resources}};
  });
  json["sections"] = listOf(header.sections, [](const Section &section) {
    return OrderedJson{{"name", section.name}, {"offset", section.offset}, {"bytes", section.bytes}};
  });
  // A file name need not be UTF-8; JSON must.
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static std::string quoted(const std::string &name) { return "'" + printable(name) + "'"; }

static Status checkTensor(const EntryPoint &entry, const TensorInfo &tensor) {
  std::string place = "entry point " + quoted(entry.name) + ", " + quoted(tensor.name) + ": ";
  if (elementBytes(tensor.type) == 0)
    return Error{place + "has the unknown element type " + std::to_string(static_cast<int64_t>(tensor.type))};
  if (tensor.dims.size() > QRT_MAX_RANK)
    return Error{place + "has " + std::to_string(tensor.dims.size()) + " dimensions, more than " +
                 std::to_string(QRT_MAX_RANK)};
  for (const Dimension &dim : tensor.dims)
    if (dim.symbol.empty() && dim.size < 0)
      return Error{place + "has the dimension " + std::to_string(dim.size)};
  return {};
}

/// A kernel's name is handed to the driver and the dynamic loader.
static bool isSymbol(const std::string &name) {
  auto isAllowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
  };
  return !name.empty() && name.size() <= 4096 && std::all_of(name.begin(), name.end(), isAllowed);
}

static Status checkKernels(const std::vector<KernelInfo> &kernels) {
  constexpr int64_t mostShared = 1 << 20, mostRegisters = 255; // no GPU has more
  std::set<std::string> names;
  for (const KernelInfo &kernel : kernels) {
    std::string what = "kernel " + quoted(kernel.name);
    if (!isSymbol(kernel.name) || !names.insert(kernel.name).second)
      return Error{what + " has no proper name or occurs twice"};
    if (kernel.sharedBytes < 0 || kernel.sharedBytes > mostShared)
      return Error{what + " needs " + std::to_string(kernel.sharedBytes) + " bytes of shared memory, more than " +
                   std::to_string(mostShared)};
    if (!kernel.arch.empty() && !isSymbol(kernel.arch))
      return Error{what + " has the impossible architecture " + quoted(kernel.arch)};
    std::set<std::string> archs;
    for (const KernelUse &needs : kernel.resources)
      if (!isSymbol(needs.arch) || !archs.insert(needs.arch).second || needs.registers < 0 ||
          needs.registers > mostRegisters || needs.spillBytes < 0)
        return Error{what + " has impossible resources for " + quoted(needs.arch)};
  }
  return {};
}

Status qopt::checkInfo(const ModuleInfo &info) {
  if (info.contextLength < 0 || info.vocabularySize < 0)
    return Error{"context length " + std::to_string(info.contextLength) + " or vocabulary size " +
                 std::to_string(info.vocabularySize) + " is negative"};
  std::set<std::string> names;
  for (const EntryPoint &entry : info.entryPoints) {
    if (entry.name.empty() || entry.name.find('\0') != std::string::npos || !names.insert(entry.name).second)
      return Error{"entry point " + quoted(entry.name) + " has no proper name or occurs twice"};
    for (const auto *tensors : {&entry.inputs, &entry.outputs})
      for (const TensorInfo &tensor : *tensors)
        if (Status status = checkTensor(entry, tensor); !status)
          return status;
  }
  for (const Parameter &parameter : info.parameters) {
    std::optional<int64_t> elements = checkedNumElements(parameter.dims);
    std::optional<int64_t> bytes = elements ? checkedMul(*elements, elementBytes(parameter.type)) : std::nullopt;
    if (elementBytes(parameter.type) == 0 || parameter.dims.size() > QRT_MAX_RANK || !bytes)
      return Error{"parameter " + quoted(parameter.name) + " has an unknown type or an impossible shape"};
    if (*bytes != parameter.bytes)
      return Error{"parameter " + quoted(parameter.name) + " has " + std::to_string(parameter.bytes) +
                   " bytes, but its shape needs " + std::to_string(*bytes)};
  }
  return checkKernels(info.kernels);
}

/// Whether [offset, offset + bytes) lies after `end` and inside `limit`; moves
/// `end` behind it.
static Status checkPlace(const std::string &what, int64_t offset, int64_t bytes, int64_t alignment, int64_t limit,
                         int64_t &end) {
  std::optional<int64_t> last = checkedAdd(offset, bytes);
  if (!last || *last > limit)
    return Error{what + " at offset " + std::to_string(offset) + " with " + std::to_string(bytes) +
                 " bytes does not fit in " + std::to_string(limit) + " bytes"};
  if (offset % alignment != 0)
    return Error{what + " at offset " + std::to_string(offset) + " is not aligned to " + std::to_string(alignment)};
  if (offset < end)
    return Error{what + " at offset " + std::to_string(offset) + " overlaps what ends at " + std::to_string(end)};
  end = *last;
  return {};
}

static Status checkPlaces(const ModuleHeader &header, int64_t firstOffset, int64_t fileBytes) {
  std::set<std::string> names;
  int64_t end = firstOffset, weightsBytes = 0;
  for (const Section &section : header.sections) {
    std::string what = "section " + quoted(section.name);
    if (section.name.empty() || !names.insert(section.name).second)
      return Error{what + " has no name or occurs twice"};
    if (Status status = checkPlace(what, section.offset, section.bytes, alignmentOf(section), fileBytes, end); !status)
      return status;
    if (section.name == weightsSection)
      weightsBytes = section.bytes;
  }
  end = 0;
  for (const Parameter &parameter : header.info.parameters)
    if (Status status = checkPlace("parameter " + quoted(parameter.name), parameter.offset, parameter.bytes,
                                   parameterAlignment, weightsBytes, end);
        !status)
      return status;
  return {};
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {
/// Reads fields of objects. After the first error everything returns defaults
/// and only the error counts, so that the code below reads like the format.
class FieldReader {
public:
  std::string error;

  const Json &list(const Json &object, const char *key) {
    static const Json empty = Json::array();
    const Json *value = find(object, key);
    if (value && !value->is_array())
      fail(key, "is not a list");
    return value && value->is_array() ? *value : empty;
  }
  std::string string(const Json &object, const char *key) {
    const Json *value = find(object, key);
    if (value && !value->is_string())
      fail(key, "is not a string");
    return value && value->is_string() ? value->get<std::string>() : std::string();
  }
  int64_t size(const Json &object, const char *key) {
    const Json *value = find(object, key);
    return value ? asSize(*value, key) : 0;
  }
  int64_t asSize(const Json &value, const char *key) {
    if (value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX))
      return value.get<int64_t>();
    fail(key, "is not an integer from 0 to 2^63 - 1");
    return 0;
  }
  double number(const Json &object, const char *key) {
    const Json *value = find(object, key);
    if (value && (!value->is_number() || !std::isfinite(value->get<double>())))
      fail(key, "is not a finite number");
    return value && value->is_number() ? value->get<double>() : 0;
  }
  ElementType type(const Json &object) {
    std::string name = string(object, "type");
    std::optional<ElementType> type = elementTypeByName(name);
    if (!type)
      fail("type", "is '" + printable(name) + "', which is not known");
    return type.value_or(ElementType::None);
  }
  void fail(const char *key, const std::string &reason) {
    if (error.empty())
      error = "header field '" + std::string(key) + "' " + reason;
  }

private:
  const Json *find(const Json &object, const char *key) {
    if (object.is_object())
      if (auto found = object.find(key); found != object.end())
        return &*found;
    fail(key, "is missing");
    return nullptr;
  }
};
} // namespace

static TensorInfo readTensor(FieldReader &read, const Json &json) {
  TensorInfo tensor;
  tensor.name = read.string(json, "name");
  tensor.type = read.type(json);
  for (const Json &item : read.list(json, "dims")) {
    Dimension dim;
    if (item.is_string() && !item.get_ref<const std::string &>().empty())
      dim.symbol = item.get<std::string>();
    else
      dim.size = read.asSize(item, "dims");
    tensor.dims.push_back(std::move(dim));
  }
  return tensor;
}

static KernelInfo readKernel(FieldReader &read, const Json &json, uint32_t minor) {
  KernelInfo kernel{read.string(json, "name"), read.size(json, "shared_bytes"), {}};
  for (const Json &item : read.list(json, "resources"))
    kernel.resources.push_back(
        {read.string(item, "arch"), read.size(item, "registers"), read.size(item, "spill_bytes")});
  if (minor >= 2)
    kernel.arch = read.string(json, "arch");
  return kernel;
}

static ModuleInfo readInfo(FieldReader &read, const Json &json, uint32_t minor) {
  ModuleInfo info;
  info.producer = read.string(json, "producer");
  info.model = read.string(json, "model");
  info.pipeline = read.string(json, "pipeline");
  info.contextLength = read.size(json, "context_length");
  info.vocabularySize = read.size(json, "vocabulary_size");
  for (const Json &item : read.list(json, "entry_points")) {
    EntryPoint entry;
    entry.name = read.string(item, "name");
    for (const Json &tensor : read.list(item, "inputs"))
      entry.inputs.push_back(readTensor(read, tensor));
    for (const Json &tensor : read.list(item, "outputs"))
      entry.outputs.push_back(readTensor(read, tensor));
    info.entryPoints.push_back(std::move(entry));
  }
  for (const Json &item : read.list(json, "parameters")) {
    Parameter parameter{
        read.string(item, "name"), read.type(item), {}, read.size(item, "offset"), read.size(item, "bytes")};
    for (const Json &dim : read.list(item, "dims"))
      parameter.dims.push_back(read.asSize(dim, "dims"));
    info.parameters.push_back(std::move(parameter));
  }
  for (const Json &item : read.list(json, "layers"))
    info.layers.push_back({read.string(item, "name"), read.string(item, "scheme"), read.size(item, "out_features"),
                           read.size(item, "in_features"), read.number(item, "bits_per_weight")});
  if (minor >= 1)
    for (const Json &item : read.list(json, "kernels"))
      info.kernels.push_back(readKernel(read, item, minor));
  return info;
}

Result<ModuleHeader> qopt::readHeader(std::string_view text, uint32_t minor, int64_t firstOffset, int64_t fileBytes) {
  // The deepest value is a dimension: entry_points[i].inputs[j].dims[k].
  constexpr int deepest = 7;
  bool isTooDeep = false;
  Json json = Json::parse(
      text.begin(), text.end(),
      [&](int depth, Json::parse_event_t, Json &) {
        isTooDeep |= depth > deepest;
        return !isTooDeep;
      },
      /*allow_exceptions=*/false);
  if (isTooDeep)
    return Error{"header is nested more than " + std::to_string(deepest) + " deep"};
  if (json.is_discarded() || !json.is_object())
    return Error{"header of " + std::to_string(text.size()) + " bytes is not a JSON object"};

  FieldReader read;
  ModuleHeader header;
  header.info = readInfo(read, json, minor);
  for (const Json &item : read.list(json, "sections"))
    header.sections.push_back({read.string(item, "name"), read.size(item, "offset"), read.size(item, "bytes")});
  if (!read.error.empty())
    return Error{read.error};
  if (Status status = checkInfo(header.info); !status)
    return status.error();
  if (Status status = checkPlaces(header, firstOffset, fileBytes); !status)
    return status.error();
  return header;
}
