//===- ModelFile.cpp - An ONNX file, mapped and parsed --------------------===//
//
// Protobuf sees the structure only. What is not ONNX is recognised before, as its messages say
// nothing to a user.
//
//===----------------------------------------------------------------------===//
#include "ModelFile.h"
#include "OtherFormats.h"
#include "Wire.h"
#include "qopt/Support/Utf8.h"
#include <filesystem>
#include <set>

using namespace qopt;

/// A version beyond this one is no newer file, but a damaged one.
static constexpr int64_t kMaxPlausible = 1000;

static Status checkRange(const char *what, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= kMaxPlausible)
    return {};
  return Error{std::string(what) + " " + std::to_string(value) + " is not supported: expected " + std::to_string(min) +
               " to " + std::to_string(max)};
}

/// Checks the versions; the default domain's goes to `file.opset`.
static Status checkVersions(ModelFile &file) {
  const pb::ModelProto &model = file.model;
  if (!model.has_ir_version())
    return Error{"model has no ir_version"};
  if (Status status = checkRange("ir_version", model.ir_version(), kMinIrVersion, kMaxIrVersion); !status)
    return status;
  if (model.opset_import().empty())
    return Error{"model imports no operator set"};
  std::set<std::string> seen;
  // Other domains have versions of their own, which nothing here depends on.
  for (const pb::OperatorSetIdProto &import : model.opset_import()) {
    std::string domain = import.domain() == "ai.onnx" ? "" : import.domain();
    if (!seen.insert(domain).second)
      return Error{"model imports the operator set of domain \"" + printable(domain) + "\" twice"};
    if (!domain.empty())
      continue;
    file.opset = import.version();
    if (Status status = checkRange("operator set", file.opset, kMinOpset, kMaxOpset); !status)
      return status;
  }
  return {};
}

std::string ModelFile::newerThanKnown() const {
  std::string text;
  if (model.ir_version() > kMaxIrVersion)
    text = "IR version " + std::to_string(model.ir_version()) + " (" + std::to_string(kMaxIrVersion) + ")";
  if (opset > kMaxOpset)
    text += (text.empty() ? "" : " and ") + ("operator set " + std::to_string(opset)) + " (" +
            std::to_string(kMaxOpset) + ")";
  return text;
}

Result<ModelFile> ModelFile::open(const std::string &path, const ImportOptions &options) {
  ModelFile file;
  file.path = path;
  file.hasFolder = options.hasFolder;
  file.dataDirectory = options.dataDirectory;
  if (options.bytes) {
    file.bytes = *options.bytes;
  } else {
    Result<MappedFile> mapping = MappedFile::open(path);
    std::error_code ignored;
    if (!mapping && std::filesystem::is_directory(path, ignored))
      return Error{mapping.error().message + ": give the .onnx file in it"};
    if (!mapping)
      return mapping.error();
    file.mapping = std::make_shared<const MappedFile>(std::move(*mapping));
    file.bytes = file.mapping->bytes();
  }
  std::string format = describeOtherFormat({reinterpret_cast<const char *>(file.bytes.data()), file.bytes.size()});
  if (!format.empty())
    return Error{format};
  Result<std::string> structure = stripRawData(file.bytes);
  if (!structure) {
    // Weights begin like anything, models with their IR version.
    bool beginsAsModel = file.bytes.front() == std::byte(8);
    return Error{structure.error().message +
                 (beginsAsModel ? "" : "; if it holds the weights of a model, give the .onnx file beside it")};
  }
  if (!file.model.ParseFromString(*structure))
    return Error{"not an ONNX model: protobuf cannot parse it"};
  if (!file.model.has_graph())
    return Error{"model has no graph"};
  if (Status status = checkVersions(file); !status)
    return status.error();
  return file;
}
