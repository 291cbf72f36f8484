//===- ExternalData.h - Weights outside the model file --------------------===//
//
// Maps the files that a model names for its weights.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_EXTERNALDATA_H
#define QOPT_LIB_IMPORT_EXTERNALDATA_H

#include "onnx.pb.h"
#include "qopt/Support/File.h"
#include <map>
#include <memory>

namespace qopt {

/// Bytes of a mapped file or of a buffer, which lives as long as `owner`.
struct OwnedBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

/// Opens the files that hold the external data of one model, each once.
///
/// A location is a path relative to the model's directory that does not leave it,
/// not even through a symbolic link (ONNX, docs/ExternalData.md; CVE-2024-27318,
/// CVE-2026-27489). One exception: where the model itself is a symbolic link, as in
/// the cache of Hugging Face, the data may also lie beside the model's real file, or
/// be a link to a file there. Another is a directory that the user names: a location is
/// looked for there first, and does not leave it either.
class ExternalData {
public:
  /// `hasFolder`: whether the model is a file, or has the folder of its path though it is none.
  /// `dataDirectory`: see ImportOptions.
  ExternalData(std::string modelPath, bool hasFolder, std::string dataDirectory)
      : modelPath(std::move(modelPath)), hasFolder(hasFolder), dataDirectory(std::move(dataDirectory)) {}

  /// The data of `tensor`, which takes `size` bytes by its shape. Errors: unknown,
  /// repeated or malformed entries, a location outside, a range outside the file,
  /// a length other than `size`.
  Result<OwnedBytes> read(const pb::TensorProto &tensor, uint64_t size);

private:
  Result<std::shared_ptr<const MappedFile>> open(const std::string &location);

  std::string modelPath;
  bool hasFolder;
  std::string dataDirectory;
  std::map<std::string, std::shared_ptr<const MappedFile>> files;
};

} // namespace qopt

#endif // QOPT_LIB_IMPORT_EXTERNALDATA_H
