//===- ModelFiles.cpp - What lies beside a model and what goes into it ----===//
#include "ModelFiles.h"
#include "qopt/Tokenizer/TokenWindows.h"

#include <filesystem>
#include <nlohmann/json.hpp>

using namespace qopt;
namespace fs = std::filesystem;

static fs::path beside(const std::string &model, const char *name) { return fs::path(model).parent_path() / name; }

/// A positive integer member, looked for in `json` and in its member `inner`.
static int64_t findNumber(const nlohmann::json &json, const char *name, const char *inner) {
  if (!json.is_object())
    return 0;
  if (auto found = json.find(name); found != json.end() && found->is_number_integer())
    return std::max<int64_t>(found->get<int64_t>(), 0);
  if (auto found = json.find(inner); found != json.end())
    return findNumber(*found, name, "");
  return 0;
}

int64_t qopt::readContextLength(const std::string &model) {
  struct {
    const char *file, *name, *inner;
  } places[] = {{"config.json", "max_position_embeddings", "text_config"},
                {"genai_config.json", "context_length", "model"}};
  for (const auto &place : places) {
    Result<MappedFile> file = MappedFile::open(beside(model, place.file).string());
    // Configurations are small; whatever else bears the name is not one.
    if (!file || file->size() > (1 << 20))
      continue;
    auto json = nlohmann::json::parse(file->text(), nullptr, /*allow_exceptions=*/false);
    if (int64_t length = findNumber(json, place.name, place.inner); length > 0 && length < (int64_t(1) << 31))
      return length;
  }
  return 0;
}

Result<TokenizerFile> qopt::readTokenizer(const CompileOptions &options) {
  TokenizerFile result;
  result.path = options.tokenizer.empty() ? beside(options.model, "tokenizer.json").string() : options.tokenizer;
  std::error_code ignored;
  if (options.tokenizer.empty() && !fs::exists(result.path, ignored))
    return TokenizerFile();
  Result<MappedFile> file = MappedFile::open(result.path);
  if (!file)
    return Error{result.path + ": " + file.error().message};
  auto tokenizer = Tokenizer::parse(file->text());
  if (!tokenizer)
    return Error{result.path + ": " + tokenizer.error().message};
  result.file = std::move(*file);
  result.tokenizer = std::move(*tokenizer);
  return result;
}
