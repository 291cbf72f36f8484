//===- Wire.cpp - A model's structure without its weights -----------------===//
//
// Protobuf's wire format is followed just far enough to know where tensors have their bytes; all
// else is copied as it is. Offsets are checked against the enclosing message before they are used.
//
//===----------------------------------------------------------------------===//
#include "Wire.h"
#include <cstring>
#include <optional>

using namespace qopt;

namespace {

/// The messages on the way from the model to a tensor; all else is copied as it is.
enum class Kind { Model, Graph, Node, Attribute, Tensor, SparseTensor, TrainingInfo, Function };

/// https://protobuf.dev/programming-guides/encoding: the low three bits of a tag.
enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, StartGroup = 3, EndGroup = 4, Fixed32 = 5 };

constexpr int kMaxDepth = 100;
constexpr uint64_t kRawDataField = 9;
// protobuf counts in int.
constexpr size_t kMaxStructure = size_t(1) << 30;

class Stripper {
public:
  explicit Stripper(std::span<const std::byte> file) : begin(file.data()) {}

  /// Appends the message in [position, end) to `out`; false leaves `error` set.
  bool message(Kind kind, uint64_t position, uint64_t end, int depth, std::string &out);

  std::string error;

private:
  bool fail(uint64_t position, const std::string &what) {
    error = what + " at byte " + std::to_string(position);
    return false;
  }
  bool varint(uint64_t &position, uint64_t end, uint64_t &value);

  const std::byte *begin;
};

} // namespace

static void appendVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

/// The kind of the message in `field` of a message of `kind`, where it may hold a tensor.
static std::optional<Kind> childKind(Kind kind, uint64_t field) {
  switch (kind) {
  case Kind::Model:
    if (field == 7)
      return Kind::Graph;
    if (field == 20)
      return Kind::TrainingInfo;
    if (field == 25)
      return Kind::Function;
    break;
  case Kind::Graph:
    if (field == 1)
      return Kind::Node;
    if (field == 5)
      return Kind::Tensor;
    if (field == 15)
      return Kind::SparseTensor;
    break;
  case Kind::Node:
    if (field == 5)
      return Kind::Attribute;
    break;
  case Kind::Attribute:
    if (field == 5 || field == 10)
      return Kind::Tensor;
    if (field == 6 || field == 11)
      return Kind::Graph;
    if (field == 22 || field == 23)
      return Kind::SparseTensor;
    break;
  case Kind::SparseTensor:
    if (field == 1 || field == 2)
      return Kind::Tensor;
    break;
  case Kind::TrainingInfo:
    if (field == 1 || field == 2)
      return Kind::Graph;
    break;
  case Kind::Function:
    if (field == 7)
      return Kind::Node;
    if (field == 11)
      return Kind::Attribute;
    break;
  case Kind::Tensor:
    break;
  }
  return std::nullopt;
}

/// The fields of ModelProto. A file may be a valid model and, read from its other
/// end, something else: what is appended shows up as fields that no model has.
static bool isModelField(uint64_t field) {
  return (field >= 1 && field <= 8) || field == 14 || field == 20 || field == 25 || field == 26;
}

bool Stripper::varint(uint64_t &position, uint64_t end, uint64_t &value) {
  uint64_t start = position;
  value = 0;
  // Ten bytes of seven bits; the last may hold one bit more only.
  for (int shift = 0; shift < 70; shift += 7) {
    if (position == end)
      return fail(start, "truncated number");
    auto byte = static_cast<uint64_t>(begin[position++]);
    if (shift == 63 && byte > 1)
      return fail(start, "number of more than 64 bits");
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return fail(start, "number of more than 64 bits");
}

bool Stripper::message(Kind kind, uint64_t position, uint64_t end, int depth, std::string &out) {
  if (depth > kMaxDepth)
    return fail(position, "nesting too deep: more than " + std::to_string(kMaxDepth) + " nested messages");
  bool hasGraph = false;
  while (position < end) {
    uint64_t start = position, tag, size = 0;
    if (!varint(position, end, tag))
      return false;
    uint64_t field = tag >> 3, type = tag & 7;
    if (field == 0 || field > (1u << 29) - 1 || type > Fixed32)
      return fail(start, "not an ONNX model: invalid protobuf tag " + std::to_string(tag));
    if (type == StartGroup || type == EndGroup)
      return fail(start, "not an ONNX model: protobuf group in field " + std::to_string(field));
    if (kind == Kind::Model && !isModelField(field))
      return fail(start, "not an ONNX model: unknown field " + std::to_string(field));
    if (kind == Kind::Model && field == 7 && std::exchange(hasGraph, true))
      return fail(start, "second graph");

    if (type == Varint) {
      uint64_t ignored;
      if (!varint(position, end, ignored))
        return false;
    } else {
      if (type == Bytes && !varint(position, end, size))
        return false;
      if (type != Bytes)
        size = type == Fixed64 ? 8 : 4;
      if (size > end - position)
        return fail(start, "truncated: field " + std::to_string(field) + " of " + std::to_string(size) +
                               " bytes where " + std::to_string(end - position) + " are left");
    }

    // A message that may hold tensors is written again, as its length changes.
    std::optional<Kind> child = type == Bytes ? childKind(kind, field) : std::nullopt;
    if (child) {
      std::string inner;
      if (!message(*child, position, position + size, depth + 1, inner))
        return false;
      appendVarint(out, tag);
      appendVarint(out, inner.size());
      out += inner;
    } else if (kind == Kind::Tensor && type == Bytes && field == kRawDataField) {
      RawData raw = {position, size};
      appendVarint(out, tag);
      appendVarint(out, sizeof raw);
      out.append(reinterpret_cast<const char *>(&raw), sizeof raw);
    } else {
      out.append(reinterpret_cast<const char *>(begin) + start, position + size - start);
    }
    position += size;
    if (out.size() > kMaxStructure)
      return fail(start, "more than " + std::to_string(kMaxStructure) + " bytes besides raw data");
  }
  return true;
}

Result<std::string> qopt::stripRawData(std::span<const std::byte> file) {
  Stripper stripper(file);
  std::string out;
  if (!stripper.message(Kind::Model, 0, file.size(), /*depth=*/1, out))
    return Error{stripper.error};
  return out;
}

RawData qopt::decodeRawData(std::string_view reference) {
  RawData raw;
  if (reference.size() == sizeof raw)
    std::memcpy(&raw, reference.data(), sizeof raw);
  return raw;
}
