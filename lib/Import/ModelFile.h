//===- ModelFile.h - An ONNX file, mapped and parsed ----------------------===//
//
// What the importer starts from: structure by protobuf, weights as mapped bytes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_MODELFILE_H
#define QOPT_LIB_IMPORT_MODELFILE_H

#include "onnx.pb.h"
#include "qopt/Import/Import.h"
#include "qopt/Support/File.h"
#include <memory>

namespace qopt {

/// The versions that this importer knows. IR version 3 is the first with operator
/// sets. Operators are judged by their own versions, so a newer file is read as far as its
/// operators are known.
inline constexpr int64_t kMinIrVersion = 3, kMaxIrVersion = 14;
inline constexpr int64_t kMinOpset = 1, kMaxOpset = 28;

/// Dimensions of one tensor.
inline constexpr int kMaxRank = 64;

struct ModelFile {
  std::string path;
  /// All of it, and what keeps it in memory; null where the caller does.
  std::span<const std::byte> bytes;
  std::shared_ptr<const MappedFile> mapping;
  bool hasFolder = true;     ///< whether external data may be beside it
  std::string dataDirectory; ///< see ImportOptions
  /// Without raw data: see Wire.h.
  pb::ModelProto model;
  /// Of the default domain; 0 where the model does not import it.
  int64_t opset = 0;

  /// Reads `path`, or options.bytes. Errors: no regular file, no ONNX model, or versions out
  /// of range. The message does not repeat the path.
  static Result<ModelFile> open(const std::string &path, const ImportOptions &options);
  /// Which versions are newer than those above, which are in brackets; empty where none is.
  std::string newerThanKnown() const;
};

} // namespace qopt

#endif // QOPT_LIB_IMPORT_MODELFILE_H
