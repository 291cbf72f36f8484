//===- WriteModel.cpp - A model and its weights as files ------------------===//
//
// Data have a name that says what they are, so that the rename of the model replaces both: a run
// that ends between the two renames leaves the old model with its own data.
//
//===----------------------------------------------------------------------===//
#include "WriteModel.h"
#include "TensorData.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Sha256.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include <filesystem>
#include <optional>
#include <span>

using namespace qopt;

using Visit = llvm::function_ref<Status(pb::TensorProto &, std::span<const std::byte>)>;

/// Calls `visit` with each tensor and its bytes, which are made for it.
static Status forEach(const ExternalTensors &external, Visit visit) {
  for (auto &[tensor, value] : external) {
    pb::TensorProto filled = *tensor;
    if (Status status = fillTensor(value, filled); !status)
      return Error{printable(tensor->name()) + ": " + status.error().message};
    if (Status status = visit(filled, std::as_bytes(std::span(filled.raw_data()))); !status)
      return status;
    filled.clear_raw_data();
    *tensor = std::move(filled);
  }
  return {};
}

Status qopt::writeModel(const pb::ModelProto &model, const ExternalTensors &external, const std::string &path) {
  Sha256 hash;
  int64_t size = 0;
  Status status = forEach(external, [&](pb::TensorProto &, std::span<const std::byte> bytes) {
    hash.update(bytes);
    size += static_cast<int64_t>(bytes.size());
    return Status();
  });
  if (!status)
    return status;
  const std::string ending = "." + toHex(hash.finish()).substr(0, 16) + ".data", dataPath = path + ending;
  const std::string location = std::filesystem::path(path).filename().string() + ending;
  std::optional<AtomicFile> data;
  if (!external.empty()) {
    Result<AtomicFile> created = AtomicFile::create(dataPath, size);
    if (!created)
      return inFile(dataPath, created.error());
    data.emplace(std::move(*created));
  }
  status = forEach(external, [&](pb::TensorProto &tensor, std::span<const std::byte> bytes) -> Status {
    for (const auto &[key, entry] : {std::pair("location", location),
                                     {"offset", std::to_string(data->position())},
                                     {"length", std::to_string(bytes.size())}}) {
      pb::StringStringEntryProto &property = *tensor.add_external_data();
      property.set_key(key);
      property.set_value(entry);
    }
    tensor.set_data_location(1);
    Status written = data->write(bytes);
    return written ? written : Status(inFile(dataPath, written.error()));
  });
  if (!status)
    return status;
  std::string bytes;
  if (!model.SerializeToString(&bytes))
    return inFile(path, {"cannot hold a model of 2 GiB"});
  if (data)
    if (status = data->commit(); !status)
      return inFile(dataPath, status.error());
  status = writeFileAtomically(path, bytes);
  return status ? status : Status(inFile(path, status.error()));
}
