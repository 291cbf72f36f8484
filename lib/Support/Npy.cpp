//===- Npy.cpp - NumPy's array files --------------------------------------===//
//
// The header is a Python literal, of which just what NumPy writes is understood.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Npy.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

using namespace qopt;

static_assert(std::endian::native == std::endian::little, ".npy files are read and written as they are in memory");

namespace {
struct TypeInfo {
  NpyType type;
  const char *descr; // what we write
  const char *name;
  size_t size;
};
} // namespace

static constexpr std::array<TypeInfo, 12> typeInfos = {{
    {NpyType::Bool, "|b1", "bool", 1},
    {NpyType::Int8, "|i1", "int8", 1},
    {NpyType::UInt8, "|u1", "uint8", 1},
    {NpyType::Int16, "<i2", "int16", 2},
    {NpyType::UInt16, "<u2", "uint16", 2},
    {NpyType::Int32, "<i4", "int32", 4},
    {NpyType::UInt32, "<u4", "uint32", 4},
    {NpyType::Int64, "<i8", "int64", 8},
    {NpyType::UInt64, "<u8", "uint64", 8},
    {NpyType::Float16, "<f2", "float16", 2},
    {NpyType::Float32, "<f4", "float32", 4},
    {NpyType::Float64, "<f8", "float64", 8},
}};
static constexpr size_t maxRank = 64; // NumPy's own limit
static constexpr std::string_view magic = "\x93NUMPY";

static const TypeInfo &infoOf(NpyType type) { return typeInfos[static_cast<size_t>(type)]; }

size_t qopt::npyElementSize(NpyType type) { return infoOf(type).size; }
const char *qopt::npyTypeName(NpyType type) { return infoOf(type).name; }

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {
/// Reads the header, a Python dict of three known keys:
/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : rest(text) {}

  std::optional<std::string_view> descr;
  std::optional<bool> fortranOrder;
  std::optional<std::vector<int64_t>> shape;

  Status parse() {
    if (!consume('{'))
      return malformed();
    while (!consume('}')) {
      std::optional<std::string_view> key = parseString();
      if (!key || !consume(':'))
        return malformed();
      bool isNew = *key == "descr"           ? !std::exchange(hasDescr, true)
                   : *key == "fortran_order" ? !fortranOrder.has_value()
                                             : !shape.has_value();
      if (!isNew)
        return Error{"npy header has '" + printable(*key) + "' twice"};
      if (Status status = parseValue(*key); !status)
        return status;
      if (!consume(',') && peek() != '}')
        return malformed();
    }
    if (peek() != '\0')
      return malformed();
    if (!descr || !fortranOrder || !shape)
      return Error{"npy header lacks 'descr', 'fortran_order' or 'shape'"};
    return {};
  }

private:
  std::string_view rest;
  bool hasDescr = false;

  static Error malformed() { return {"npy header is malformed"}; }

  /// The next character that is not a space; '\0' at the end.
  char peek() {
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\n' || rest[0] == '\t'))
      rest.remove_prefix(1);
    return rest.empty() ? '\0' : rest[0];
  }
  bool consume(char expected) {
    if (peek() != expected)
      return false;
    rest.remove_prefix(1);
    return true;
  }
  bool consume(std::string_view word) {
    peek();
    if (!rest.starts_with(word))
      return false;
    rest.remove_prefix(word.size());
    return true;
  }
  std::optional<std::string_view> parseString() {
    char quote = peek();
    if (quote != '\'' && quote != '"')
      return std::nullopt;
    size_t end = rest.find(quote, 1);
    if (end == std::string_view::npos)
      return std::nullopt;
    std::string_view text = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return text;
  }

  Status parseValue(std::string_view key) {
    if (key == "descr") {
      descr = parseString();
      return descr ? Status() : Status(Error{"npy arrays of records are not supported"});
    }
    if (key == "fortran_order") {
      if (consume(std::string_view("True")))
        fortranOrder = true;
      else if (consume(std::string_view("False")))
        fortranOrder = false;
      else
        return malformed();
      return {};
    }
    if (key == "shape")
      return parseShape();
    return Error{"npy header has an unknown key '" + printable(key) + "'"};
  }

  Status parseShape() {
    if (!consume('('))
      return malformed();
    shape.emplace();
    while (!consume(')')) {
      if (shape->size() == maxRank)
        return Error{"npy shape has more than " + std::to_string(maxRank) + " dimensions"};
      peek();
      int64_t dim = 0;
      auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), dim);
      if (code != std::errc())
        return Error{"npy shape has a dimension that is not a 64-bit integer"};
      if (dim < 0)
        return Error{"npy shape has a negative dimension, " + std::to_string(dim)};
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
      shape->push_back(dim);
      if (!consume(',') && peek() != ')')
        return malformed();
    }
    return {};
  }
};
} // namespace

static Result<NpyType> typeOf(std::string_view descr) {
  std::string_view kind = descr;
  char order = descr.empty() ? '\0' : descr[0];
  if (order == '<' || order == '|' || order == '=' || order == '>')
    kind.remove_prefix(1);
  if (kind == "?")
    kind = "b1";
  for (const TypeInfo &info : typeInfos) {
    if (kind != std::string_view(info.descr).substr(1))
      continue;
    return info.type;
  }
  std::string names;
  for (const TypeInfo &info : typeInfos)
    names += (names.empty() ? "" : ", ") + std::string(info.name);
  return Error{"npy element type '" + printable(descr) + "' is not one of " + names};
}

/// Elements of `size` bytes with their bytes the other way round.
static void swapBytes(std::span<std::byte> data, size_t size) {
  for (size_t i = 0; i + size <= data.size(); i += size)
    std::reverse(data.begin() + static_cast<std::ptrdiff_t>(i), data.begin() + static_cast<std::ptrdiff_t>(i + size));
}

/// Elements whose first index runs fastest, in the order in which the last one does.
static std::vector<std::byte> toCOrder(std::span<const std::byte> data, const std::vector<int64_t> &shape,
                                       size_t size) {
  std::vector<std::byte> result(data.size());
  std::vector<int64_t> index(shape.size(), 0), strides(shape.size(), 1);
  for (size_t axis = 1; axis < shape.size(); ++axis)
    strides[axis] = strides[axis - 1] * shape[axis - 1];
  int64_t from = 0;
  for (size_t to = 0; to < data.size(); to += size) {
    std::memcpy(result.data() + to, data.data() + static_cast<size_t>(from) * size, size);
    for (size_t axis = shape.size(); axis-- > 0;) {
      from += strides[axis];
      if (++index[axis] < shape[axis])
        break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

Result<NpyArray> qopt::parseNpy(std::span<const std::byte> file) {
  std::string_view text(reinterpret_cast<const char *>(file.data()), file.size());
  if (!text.starts_with(magic))
    return Error{"is not a .npy file"};
  if (text.size() < 10)
    return Error{"npy header is truncated"};
  unsigned version = static_cast<unsigned char>(text[6]);
  if (version < 1 || version > 3)
    return Error{"npy version " + std::to_string(version) + " is not supported"};
  size_t lengthBytes = version == 1 ? 2 : 4;
  if (text.size() < 8 + lengthBytes)
    return Error{"npy header is truncated"};
  size_t headerLength = 0;
  for (size_t i = 0; i < lengthBytes; ++i)
    headerLength |= static_cast<size_t>(static_cast<unsigned char>(text[8 + i])) << (8 * i);
  text.remove_prefix(8 + lengthBytes);
  if (headerLength > text.size())
    return Error{"npy header says " + std::to_string(headerLength) + " bytes, but the file has " +
                 std::to_string(text.size()) + " left"};

  HeaderParser header(text.substr(0, headerLength));
  if (Status status = header.parse(); !status)
    return status.error();
  text.remove_prefix(headerLength);
  Result<NpyType> type = typeOf(*header.descr);
  if (!type)
    return type.error();
  std::optional<int64_t> count = checkedNumElements(*header.shape);
  std::optional<int64_t> bytes = count ? checkedMul(*count, static_cast<int64_t>(npyElementSize(*type))) : std::nullopt;
  if (!bytes)
    return Error{"npy shape has more elements than 64 bits can count"};
  if (static_cast<uint64_t>(*bytes) != text.size())
    return Error{"npy shape needs " + std::to_string(*bytes) + " bytes of data, but the file has " +
                 std::to_string(text.size())};
  NpyArray array;
  array.type = *type;
  array.shape = std::move(*header.shape);
  array.data.resize(text.size());
  if (!text.empty())
    std::memcpy(array.data.data(), text.data(), text.size());
  size_t size = npyElementSize(*type);
  if (header.descr->starts_with('>') && size > 1)
    swapBytes(array.data, size);
  if (*header.fortranOrder && array.shape.size() > 1)
    array.data = toCOrder(array.data, array.shape, size);
  return array;
}

template <typename T>
static std::vector<int64_t> integersOf(const NpyArray &array) {
  std::vector<int64_t> values;
  for (T element : array.as<T>())
    values.push_back(std::in_range<int64_t>(element) ? static_cast<int64_t>(element)
                                                     : std::numeric_limits<int64_t>::max());
  return values;
}

Result<std::vector<int64_t>> qopt::npyIntegers(const NpyArray &array) {
  switch (array.type) {
  case NpyType::Int8:
    return integersOf<int8_t>(array);
  case NpyType::UInt8:
    return integersOf<uint8_t>(array);
  case NpyType::Int16:
    return integersOf<int16_t>(array);
  case NpyType::UInt16:
    return integersOf<uint16_t>(array);
  case NpyType::Int32:
    return integersOf<int32_t>(array);
  case NpyType::UInt32:
    return integersOf<uint32_t>(array);
  case NpyType::Int64:
    return integersOf<int64_t>(array);
  case NpyType::UInt64:
    return integersOf<uint64_t>(array);
  default:
    return Error{std::string("expected integers but got ") + npyTypeName(array.type)};
  }
}

Result<NpyArray> qopt::readNpy(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.error();
  return parseNpy(file->bytes());
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

Status qopt::writeNpy(const std::string &path, NpyType type, std::span<const int64_t> shape,
                      std::span<const std::byte> data) {
  std::optional<int64_t> count = checkedNumElements(shape);
  if (!count || shape.size() > maxRank || data.size() / npyElementSize(type) != static_cast<uint64_t>(*count) ||
      data.size() % npyElementSize(type) != 0)
    return Error{"npy shape does not fit " + std::to_string(data.size()) + " bytes of " + npyTypeName(type)};
  std::string header = std::string("{'descr': '") + infoOf(type).descr + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < shape.size(); ++i)
    header += (i ? ", " : "") + std::to_string(shape[i]);
  header += shape.size() == 1 ? ",), }" : "), }";
  // As NumPy does: the data starts at a multiple of 64, after a newline.
  const size_t prefix = magic.size() + 4;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';

  Result<AtomicFile> file = AtomicFile::create(path, static_cast<int64_t>(prefix + header.size() + data.size()));
  if (!file)
    return file.error();
  const char lengthAndVersion[] = {1, 0, static_cast<char>(header.size() & 0xFF),
                                   static_cast<char>(header.size() >> 8)};
  for (std::string_view part : {magic, std::string_view(lengthAndVersion, 4), std::string_view(header)})
    if (Status status = file->write(part); !status)
      return status;
  if (Status status = file->write(data); !status)
    return status;
  return file->commit();
}
