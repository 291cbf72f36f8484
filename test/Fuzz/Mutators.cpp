//===- Mutators.cpp - Mutations that know a format ------------------------===//
//
// A format is taken apart only as far as a change needs it.
//
//===----------------------------------------------------------------------===//
#include "Mutators.h"
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace qopt::fuzz;
using Json = nlohmann::ordered_json;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

std::string qopt::fuzz::mutateBytes(std::string_view bytes, size_t limit) {
  std::string result(bytes.substr(0, limit));
  size_t size = result.size();
  result.resize(limit);
  result.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(result.data()), size, limit));
  return result;
}

static size_t below(Random &random, size_t count) { return random() % count; }

static uint64_t interestingNumber(Random &random) {
  constexpr uint64_t numbers[] = {0,       1,          2,          3,          7,          16,         63,
                                  64,      127,        128,        255,        256,        4096,       65535,
                                  1 << 20, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 40, 1ull << 62};
  size_t index = below(random, std::size(numbers) + 3);
  if (index < std::size(numbers))
    return numbers[index];
  return index == std::size(numbers) ? INT64_MAX : index == std::size(numbers) + 1 ? uint64_t(INT64_MIN) : UINT64_MAX;
}

//===----------------------------------------------------------------------===//
// Protobuf
//===----------------------------------------------------------------------===//

namespace {

struct ProtoField {
  uint64_t key;         ///< number and wire type
  uint64_t number = 0;  ///< of a varint
  std::string contents; ///< of the other wire types
  unsigned wireType() const { return key & 7; }
};

enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

} // namespace

static bool readVarint(std::string_view &rest, uint64_t &value) {
  value = 0;
  for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    auto byte = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    value |= uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

static void writeVarint(std::string &text, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    text += static_cast<char>(value | 0x80);
  text += static_cast<char>(value);
}

/// Nothing where `message` is none.
static std::optional<std::vector<ProtoField>> parseMessage(std::string_view message) {
  std::vector<ProtoField> fields;
  while (!message.empty()) {
    ProtoField field;
    if (!readVarint(message, field.key) || field.key < 8)
      return std::nullopt;
    uint64_t size = field.wireType() == Fixed64 ? 8 : 4;
    switch (field.wireType()) {
    case Varint:
      if (!readVarint(message, field.number))
        return std::nullopt;
      break;
    case Bytes:
      if (!readVarint(message, size))
        return std::nullopt;
      [[fallthrough]];
    case Fixed64:
    case Fixed32:
      if (size > message.size())
        return std::nullopt;
      field.contents = message.substr(0, size);
      message.remove_prefix(size);
      break;
    default:
      return std::nullopt;
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

static std::string writeMessage(const std::vector<ProtoField> &fields) {
  std::string text;
  for (const ProtoField &field : fields) {
    writeVarint(text, field.key);
    if (field.wireType() == Varint)
      writeVarint(text, field.number);
    if (field.wireType() == Bytes)
      writeVarint(text, field.contents.size());
    text += field.contents;
  }
  return text;
}

static std::string mutateFields(std::vector<ProtoField> fields, Random &random) {
  size_t index = below(random, fields.size());
  ProtoField &field = fields[index];
  switch (below(random, 8)) {
  case 0:
    fields.erase(fields.begin() + index);
    break;
  case 1:
    fields.insert(fields.begin() + below(random, fields.size() + 1), ProtoField(field));
    break;
  case 2:
    std::swap(field, fields[below(random, fields.size())]);
    break;
  case 3:
    field.key = (1 + below(random, 30)) << 3 | field.wireType();
    break;
  case 4: // what another field of the same kind holds
    if (ProtoField &other = fields[below(random, fields.size())]; other.wireType() == field.wireType()) {
      field.number = other.number;
      field.contents = other.contents;
    }
    break;
  default:
    if (field.wireType() == Varint)
      field.number = below(random, 2) ? interestingNumber(random) : field.number + random() % 5 - 2;
    else if (field.wireType() == Bytes)
      field.contents = mutateProtobuf(field.contents, random);
    else
      field.contents[below(random, field.contents.size())] ^= static_cast<char>(1 << below(random, 8));
  }
  return writeMessage(fields);
}

std::string qopt::fuzz::mutateProtobuf(std::string_view message, Random &random) {
  std::optional<std::vector<ProtoField>> fields = parseMessage(message);
  // A name may look like a message; numbers in a list are none.
  if (!fields || fields->empty() || below(random, 16) == 0)
    return mutateBytes(message, message.size() + 16);
  // Mostly something inside: the outermost fields are few.
  if (below(random, 4) != 0) {
    std::vector<ProtoField *> nested;
    for (ProtoField &field : *fields)
      if (field.wireType() == Bytes && !field.contents.empty())
        nested.push_back(&field);
    if (!nested.empty()) {
      ProtoField *field = nested[below(random, nested.size())];
      field->contents = mutateProtobuf(field->contents, random);
      return writeMessage(*fields);
    }
  }
  return mutateFields(std::move(*fields), random);
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

/// All values below `value`, the containers before what is in them.
static void collect(Json &value, std::vector<Json *> &all) {
  all.push_back(&value);
  if (value.is_structured())
    for (Json &item : value)
      collect(item, all);
}

static void mutateContainer(Json &value, Random &random) {
  size_t index = below(random, value.size());
  auto at = std::next(value.begin(), static_cast<std::ptrdiff_t>(index));
  if (below(random, 2) == 0)
    value.erase(at);
  else if (value.is_array())
    value.push_back(Json(*at));
  else
    value[mutateBytes(at.key(), at.key().size() + 4)] = Json(*at);
}

static void mutateScalar(Json &value, Random &random) {
  if (value.is_string())
    value = mutateBytes(value.get_ref<const std::string &>(), value.get_ref<const std::string &>().size() + 8);
  else if (value.is_boolean())
    value = !value.get<bool>();
  else if (value.is_number_integer())
    value =
        below(random, 2) ? Json(interestingNumber(random)) : Json(int64_t(value.get<uint64_t>() + random() % 5 - 2));
  else
    value = below(random, 2) ? Json(interestingNumber(random)) : Json(1e300);
}

std::string qopt::fuzz::mutateJson(std::string_view text, Random &random) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || below(random, 8) == 0)
    return mutateBytes(text, text.size() + 16);
  std::vector<Json *> all;
  collect(json, all);
  Json &value = *all[below(random, all.size())];
  if (below(random, 6) == 0)
    value = Json(*all[below(random, all.size())]); // of another kind, mostly
  else if (value.is_structured() && !value.empty())
    mutateContainer(value, random);
  else
    mutateScalar(value, random);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

MemoryFile::MemoryFile(std::span<const char> bytes) : descriptor(::memfd_create("fuzz", MFD_CLOEXEC)) {
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (count <= 0)
      std::abort();
    done += static_cast<size_t>(count);
  }
  name = "/proc/self/fd/" + std::to_string(descriptor);
}

MemoryFile::~MemoryFile() { ::close(descriptor); }
