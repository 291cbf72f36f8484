//===- Configuration.cpp - What the files beside a model say of it --------===//
//
// Several files may say the same. The one that programs ask when they generate text comes
// first: what a chat model ends its turns with often stands in generation_config.json only.
//
//===----------------------------------------------------------------------===//
#include "Configuration.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Utf8.h"

#include <filesystem>
#include <nlohmann/json.hpp>

using namespace qopt;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string qopt::findBeside(const CompileOptions &options, const std::string &name) {
  if (!options.hasFolder)
    return "";
  std::error_code ignored;
  fs::path folder = fs::path(options.model).parent_path();
  if (fs::path file = folder / name; fs::exists(file, ignored))
    return file.string();
  fs::path absolute = fs::absolute(options.model, ignored).lexically_normal().parent_path();
  if (fs::path file = absolute.parent_path() / name; absolute.has_relative_path() && fs::exists(file, ignored))
    return file.string();
  return "";
}

namespace {

/// A file beside the model, and how it is called from the model's folder.
struct ConfigFile {
  std::string origin;
  Json json; ///< null where there is none
};

/// A member of `json`, or of the one of its members that is called `inner`; null where
/// there is none.
const Json *find(const Json &json, const char *name, const char *inner = nullptr) {
  if (!json.is_object())
    return nullptr;
  if (auto found = json.find(name); found != json.end() && !found->is_null())
    return &*found;
  if (!inner)
    return nullptr;
  auto found = json.find(inner);
  return found != json.end() ? find(*found, name) : nullptr;
}

class ConfigurationReader {
public:
  ConfigurationReader(const CompileOptions &options, const Tokenizer *tokenizer)
      : options(options), tokenizer(tokenizer), generation(read("generation_config.json")),
        genai(read("genai_config.json")), model(read("config.json")), texts(read("tokenizer_config.json")),
        special(read("special_tokens_map.json")) {}

  Configuration run() {
    readContext();
    readRope();
    std::vector<int32_t> begin = readTokens("bos_token", result.text.beginOrigin);
    if (!begin.empty())
      result.text.beginOfText = begin.front();
    result.text.endOfText = readTokens("eos_token", result.text.endOrigin);
    return std::move(result);
  }

private:
  ConfigFile read(const char *name) const {
    std::string path = findBeside(options, name);
    if (path.empty())
      return {};
    auto warn = [&](const std::string &why) {
      if (options.onWarning)
        options.onWarning(printable(path) + ": " + why + ", so nothing is read from it");
      return ConfigFile();
    };
    Result<MappedFile> file = MappedFile::open(path);
    if (!file)
      return warn(file.error().message);
    // Configurations are small; whatever else bears the name is not one.
    constexpr size_t most = 64 << 20;
    if (file->size() > most)
      return warn("expected at most " + std::to_string(most) + " bytes but got " + std::to_string(file->size()));
    Json json = Json::parse(file->text(), nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded() || !json.is_object())
      return warn("expected a JSON object");
    std::error_code ignored;
    bool isNear = fs::path(path).parent_path() == fs::path(options.model).parent_path();
    return {(isNear ? "" : "../") + std::string(name), std::move(json)};
  }

  void readContext() {
    // By the names that architectures have for it.
    for (const char *name : {"max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "n_ctx"})
      if (setContext(find(model.json, name, "text_config"), model))
        return;
    setContext(find(genai.json, "context_length", "model"), genai);
  }

  bool setContext(const Json *value, const ConfigFile &file) {
    // Longer ones are how some files say that there is no limit.
    constexpr int64_t most = int64_t(1) << 31;
    if (!value || !value->is_number_integer() || value->get<int64_t>() < 1 || value->get<int64_t>() >= most)
      return false;
    result.contextLength = value->get<int64_t>();
    result.text.contextOrigin = file.origin;
    return true;
  }

  void readRope() {
    Json rope = Json::object();
    for (const char *name :
         {"rope_parameters", "rope_theta", "rope_scaling", "rotary_emb_base", "partial_rotary_factor", "rotary_pct",
          "rope_local_base_freq", "original_max_position_embeddings"})
      if (const Json *value = find(model.json, name, "text_config"))
        rope[name] = *value;
    if (rope.empty())
      return;
    result.text.rope = rope.dump(-1, ' ', false, Json::error_handler_t::replace);
    result.text.ropeOrigin = model.origin;
  }

  /// The tokens of the first file that says what NAME_id, or the text NAME, is.
  std::vector<int32_t> readTokens(const std::string &name, std::string &origin) const {
    auto given = [&](const ConfigFile &file, std::vector<int32_t> ids) {
      if (!ids.empty())
        origin = file.origin;
      return ids;
    };
    std::string id = name + "_id";
    for (const auto &[file, inner] : {std::pair(&generation, ""), {&genai, "model"}, {&model, "text_config"}})
      if (auto ids = given(*file, asIds(find(file->json, id.c_str(), inner))); !ids.empty())
        return ids;
    for (const ConfigFile *file : {&texts, &special})
      if (auto ids = given(*file, asIds(find(file->json, name.c_str()))); !ids.empty())
        return ids;
    return {};
  }

  /// One token or a list of them, each an id, its text, or an object with that.
  std::vector<int32_t> asIds(const Json *value) const {
    std::vector<int32_t> ids;
    auto add = [&](int64_t id) {
      if (id >= 0 && id <= INT32_MAX && std::find(ids.begin(), ids.end(), id) == ids.end())
        ids.push_back(static_cast<int32_t>(id));
    };
    if (!value)
      return ids;
    if (value->is_number_integer())
      add(value->get<int64_t>());
    else if (value->is_string() && tokenizer)
      add(tokenizer->tokenId(value->get_ref<const std::string &>()));
    else if (value->is_array())
      for (const Json &item : *value)
        for (int32_t id : item.is_array() ? std::vector<int32_t>() : asIds(&item))
          add(id);
    else if (const Json *text = find(*value, "content"); text && text->is_string())
      return asIds(text);
    return ids;
  }

  const CompileOptions &options;
  const Tokenizer *tokenizer;
  ConfigFile generation, genai, model, texts, special;
  Configuration result;
};

} // namespace

Configuration qopt::readConfiguration(const CompileOptions &options, const Tokenizer *tokenizer) {
  return ConfigurationReader(options, tokenizer).run();
}
