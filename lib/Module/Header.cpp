//===- Header.cpp - The JSON header of a .qmod file -----------------------===//
//
// {"producer": ..., "model": ..., "pipeline": ..., "context_length": n,
//  "vocabulary_size": n,
//  "text": {"context_origin": ..., "begin_of_text": [n], "begin_origin": ..., "end_of_text": [n...],
//           "end_origin": ..., "rope": ..., "rope_origin": ...},
//  "entry_points": [{"name": ..., "inputs": [T...], "outputs": [T...]}],
//  "parameters": [{"name": ..., "type": "i8", "dims": [n...], "offset": n, "bytes": n}],
//  "layers": [{"name": ..., "scheme": ..., "out_features": n, "in_features": n, "bits_per_weight": x,
//             "activations": ..., "activation_group_size": n}],
//  "kernels": [{"name": ..., "shared_bytes": n, "arch": "",
//               "resources": [{"arch": "sm_90a", "registers": n, "spill_bytes": n}]}],
//  "sections": [{"name": ..., "offset": n, "bytes": n}],
//  "chunk_bytes": n, "chunk_hashes": ["64 hexadecimal digits"...]}
// T is {"name": ..., "type": "f32", "role": "logits", "dims": [2048, "batch", ...]}: a
// string is a symbol. "kernels" is there from version 1.1 on, "arch" of a kernel from 1.2
// on, roles (Roles.h) from 1.3 on, hashes of chunks (ChunkHashes.h) from 1.4 on, "text"
// from 1.6 on. Keys that are not known are skipped: a later minor version may add some.
//
//===----------------------------------------------------------------------===//
#include "Layout.h"
#include "qopt/Support/ElementType.h"
#include "qopt/Support/Utf8.h"
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

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
  return {
      {"name", tensor.name}, {"type", elementTypeName(tensor.type)}, {"role", roleName(tensor.role)}, {"dims", dims}};
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
  OrderedJson begin = OrderedJson::array();
  if (info.text.beginOfText)
    begin.push_back(*info.text.beginOfText);
  json["text"] = {{"context_origin", info.text.contextOrigin}, {"begin_of_text", begin},
                  {"begin_origin", info.text.beginOrigin},     {"end_of_text", info.text.endOfText},
                  {"end_origin", info.text.endOrigin},         {"rope", info.text.rope},
                  {"rope_origin", info.text.ropeOrigin}};
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
                       {"bits_per_weight", layer.bitsPerWeight},
                       {"activations", layer.activations},
                       {"activation_group_size", layer.activationGroupSize}};
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
  json["chunk_bytes"] = header.chunks.chunkBytes;
  json["chunk_hashes"] = listOf(header.chunks.digests, toHex);
  // A file name need not be UTF-8; JSON must.
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
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
  int32_t asToken(const Json &value, const char *key) {
    int64_t id = asSize(value, key);
    if (id > INT32_MAX)
      fail(key, "is no list of tokens");
    return static_cast<int32_t>(id);
  }
  const Json &object(const Json &object, const char *key) {
    static const Json empty = Json::object();
    const Json *value = find(object, key);
    if (value && !value->is_object())
      fail(key, "is not an object");
    return value && value->is_object() ? *value : empty;
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
  Role role(const Json &object) {
    std::string name = string(object, "role");
    std::optional<Role> role = roleByName(name);
    if (!role)
      fail("role", "is '" + printable(name) + "', which is not known");
    return role.value_or(Role::Other);
  }
  Sha256::Digest asDigest(const Json &value, const char *key) {
    Sha256::Digest digest = {};
    std::string text = value.is_string() ? value.get<std::string>() : std::string();
    bool isHex = text.size() == 2 * digest.size();
    for (size_t i = 0; isHex && i < digest.size(); ++i) {
      unsigned byte = 0;
      auto [end, error] = std::from_chars(&text[2 * i], &text[2 * i] + 2, byte, 16);
      isHex = error == std::errc() && end == &text[2 * i] + 2;
      digest[i] = static_cast<std::byte>(byte);
    }
    if (!isHex)
      fail(key, "is not a list of " + std::to_string(2 * digest.size()) + " hexadecimal digits each");
    return digest;
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

static TensorInfo readTensor(FieldReader &read, const Json &json, uint32_t minor) {
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
  if (minor >= 3)
    tensor.role = read.role(json);
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

static TextFacts readText(FieldReader &read, const Json &json) {
  TextFacts text;
  text.contextOrigin = read.string(json, "context_origin");
  for (const Json &id : read.list(json, "begin_of_text"))
    text.beginOfText = read.asToken(id, "begin_of_text");
  text.beginOrigin = read.string(json, "begin_origin");
  for (const Json &id : read.list(json, "end_of_text"))
    text.endOfText.push_back(read.asToken(id, "end_of_text"));
  text.endOrigin = read.string(json, "end_origin");
  text.rope = read.string(json, "rope");
  text.ropeOrigin = read.string(json, "rope_origin");
  return text;
}

static ModuleInfo readInfo(FieldReader &read, const Json &json, uint32_t minor) {
  ModuleInfo info;
  info.producer = read.string(json, "producer");
  info.model = read.string(json, "model");
  info.pipeline = read.string(json, "pipeline");
  info.contextLength = read.size(json, "context_length");
  info.vocabularySize = read.size(json, "vocabulary_size");
  if (minor >= 6)
    info.text = readText(read, read.object(json, "text"));
  for (const Json &item : read.list(json, "entry_points")) {
    EntryPoint entry;
    entry.name = read.string(item, "name");
    for (const Json &tensor : read.list(item, "inputs"))
      entry.inputs.push_back(readTensor(read, tensor, minor));
    for (const Json &tensor : read.list(item, "outputs"))
      entry.outputs.push_back(readTensor(read, tensor, minor));
    if (minor < 3)
      assignRolesByName(entry);
    info.entryPoints.push_back(std::move(entry));
  }
  for (const Json &item : read.list(json, "parameters")) {
    Parameter parameter{
        read.string(item, "name"), read.type(item), {}, read.size(item, "offset"), read.size(item, "bytes")};
    for (const Json &dim : read.list(item, "dims"))
      parameter.dims.push_back(read.asSize(dim, "dims"));
    info.parameters.push_back(std::move(parameter));
  }
  for (const Json &item : read.list(json, "layers")) {
    info.layers.push_back({read.string(item, "name"), read.string(item, "scheme"), read.size(item, "out_features"),
                           read.size(item, "in_features"), read.number(item, "bits_per_weight")});
    if (minor >= 5) {
      info.layers.back().activations = read.string(item, "activations");
      info.layers.back().activationGroupSize = read.size(item, "activation_group_size");
    }
  }
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
  if (minor >= firstMinorWithChunks) {
    header.chunks.chunkBytes = read.size(json, "chunk_bytes");
    for (const Json &item : read.list(json, "chunk_hashes"))
      header.chunks.digests.push_back(read.asDigest(item, "chunk_hashes"));
  }
  if (!read.error.empty())
    return Error{read.error};
  if (Status status = checkInfo(header.info); !status)
    return status.error();
  if (Status status = checkPlaces(header, firstOffset, fileBytes); !status)
    return status.error();
  if (minor >= firstMinorWithChunks)
    if (Status status = checkChunks(header, fileBytes); !status)
      return status.error();
  return header;
}
