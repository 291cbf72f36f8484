//===- Wire.h - A model's structure without its weights -------------------===//
//
// Keeps weights out of protobuf, which copies what it parses and stops at 2 GiB.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_WIRE_H
#define QOPT_LIB_IMPORT_WIRE_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace qopt {

/// Where the raw_data of a tensor lies in the model file, in bytes.
struct RawData {
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// A copy of the serialized ModelProto `file` in which the raw_data of every
/// TensorProto is a 16-byte reference into `file`, so that protobuf, which copies
/// what it parses, never sees the weights. The encoding is checked on the way:
/// errors name the byte offset of what is truncated, too deep (more than 100
/// nested messages, protobuf's own limit) or no protobuf at all.
Result<std::string> stripRawData(std::span<const std::byte> file);

/// Reads back what stripRawData() put in place of raw_data.
RawData decodeRawData(std::string_view reference);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_WIRE_H
