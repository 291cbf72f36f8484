//===- TensorProto.cpp - ONNX's tensors, read from the wire format --------===//
//
// Protobuf's encoding: a sequence of (field number << 3 | kind) varints, each
// followed by a varint (0), 8 bytes (1), a length and that many bytes (2), or 4
// bytes (5). Repeated numbers come one by one or packed into one field of bytes.
// Field numbers are those of TensorProto in onnx/onnx.proto3.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/TensorFile.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/ElementType.h"
#include <cstring>
#include <optional>

using namespace qrt;
using qopt::Error;

namespace {
using Bytes = std::span<const std::byte>;

enum FieldNumber : uint64_t {
  Dims = 1,
  DataType = 2,
  Segment = 3,
  FloatData = 4,
  Int32Data = 5,
  Int64Data = 7,
  RawData = 9,
  ExternalData = 13,
  DataLocation = 14,
};
enum WireKind : uint64_t { Varint = 0, Fixed64 = 1, LengthDelimited = 2, Fixed32 = 5 };

struct Field {
  uint64_t number = 0, kind = 0;
  uint64_t value = 0; // Varint
  Bytes bytes;        // the other kinds
};

class WireReader {
public:
  explicit WireReader(Bytes rest) : rest(rest) {}
  bool atEnd() const { return rest.empty(); }
  std::optional<uint64_t> varint();
  std::optional<Field> field();

private:
  std::optional<Bytes> take(uint64_t count);
  Bytes rest;
};
} // namespace

std::optional<uint64_t> WireReader::varint() {
  uint64_t value = 0;
  for (size_t i = 0; i < 10 && i < rest.size(); ++i) {
    uint64_t byte = std::to_integer<uint64_t>(rest[i]);
    if (i == 9 && byte > 1)
      return std::nullopt; // more than 64 bits
    value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      rest = rest.subspan(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

std::optional<Bytes> WireReader::take(uint64_t count) {
  if (count > rest.size())
    return std::nullopt;
  Bytes taken = rest.first(static_cast<size_t>(count));
  rest = rest.subspan(static_cast<size_t>(count));
  return taken;
}

std::optional<Field> WireReader::field() {
  std::optional<uint64_t> key = varint();
  if (!key || *key >> 3 == 0)
    return std::nullopt;
  Field field{*key >> 3, *key & 7, 0, {}};
  std::optional<uint64_t> value = 0;
  std::optional<Bytes> bytes = Bytes();
  switch (field.kind) {
  case Varint:
    value = varint();
    break;
  case Fixed64:
    bytes = take(8);
    break;
  case Fixed32:
    bytes = take(4);
    break;
  case LengthDelimited:
    value = varint();
    bytes = value ? take(*value) : std::nullopt;
    break;
  default: // groups, long gone
    return std::nullopt;
  }
  if (!value || !bytes)
    return std::nullopt;
  field.value = *value;
  field.bytes = *bytes;
  return field;
}

/// Appends the integers of `field`; false when it holds something else.
static bool appendIntegers(const Field &field, std::vector<int64_t> &values) {
  if (field.kind == Varint) {
    values.push_back(static_cast<int64_t>(field.value));
    return true;
  }
  if (field.kind != LengthDelimited)
    return false;
  for (WireReader packed(field.bytes); !packed.atEnd();) {
    std::optional<uint64_t> value = packed.varint();
    if (!value)
      return false;
    values.push_back(static_cast<int64_t>(*value));
  }
  return true;
}

static bool appendFloats(const Field &field, std::vector<float> &values) {
  bool isFloats = field.kind == Fixed32 || (field.kind == LengthDelimited && field.bytes.size() % 4 == 0);
  if (!isFloats)
    return false;
  size_t before = values.size();
  values.resize(before + field.bytes.size() / 4);
  if (!field.bytes.empty()) // memcpy takes no null pointer, not even for nothing
    std::memcpy(values.data() + before, field.bytes.data(), field.bytes.size());
  return true;
}

namespace {
struct Proto {
  std::vector<int64_t> dims, int32Data, int64Data;
  std::vector<float> floatData;
  std::optional<Bytes> rawData;
  int64_t typeNumber = 0;
  bool isExternal = false, isSegment = false;
};
} // namespace

static std::optional<Proto> parseFields(Bytes bytes) {
  Proto proto;
  for (WireReader reader(bytes); !reader.atEnd();) {
    std::optional<Field> field = reader.field();
    if (!field)
      return std::nullopt;
    bool isValid = true;
    switch (field->number) {
    case Dims:
      isValid = appendIntegers(*field, proto.dims);
      break;
    case DataType:
      isValid = field->kind == Varint;
      proto.typeNumber = static_cast<int64_t>(field->value);
      break;
    case FloatData:
      isValid = appendFloats(*field, proto.floatData);
      break;
    case Int32Data:
      isValid = appendIntegers(*field, proto.int32Data);
      break;
    case Int64Data:
      isValid = appendIntegers(*field, proto.int64Data);
      break;
    case RawData:
      isValid = field->kind == LengthDelimited;
      proto.rawData = field->bytes;
      break;
    case Segment:
      proto.isSegment = true;
      break;
    case ExternalData:
      proto.isExternal = true;
      break;
    case DataLocation:
      proto.isExternal |= field->value != 0;
      break;
    default: // the name, the description and what we have no use for
      break;
    }
    if (!isValid)
      return std::nullopt;
  }
  return proto;
}

/// Writes `values` as elements of T; false when one does not fit.
template <typename T>
static bool store(std::span<const int64_t> values, Tensor &tensor) {
  for (size_t i = 0; i < values.size(); ++i) {
    T narrow = static_cast<T>(values[i]);
    if (static_cast<int64_t>(narrow) != values[i])
      return false;
    tensor.data<T>()[i] = narrow;
  }
  return true;
}

static bool storeIntegers(std::span<const int64_t> values, Tensor &tensor) {
  switch (tensor.type()) {
  case ElementType::I64:
    return store<int64_t>(values, tensor);
  case ElementType::I32:
    return store<int32_t>(values, tensor);
  case ElementType::I8:
    return store<int8_t>(values, tensor);
  case ElementType::F16:
  case ElementType::BF16:
    return store<uint16_t>(values, tensor);
  default:
    return store<uint8_t>(values, tensor);
  }
}

Result<Tensor> qrt::parseTensorProto(Bytes bytes) {
  std::optional<Proto> proto = parseFields(bytes);
  if (!proto)
    return Error{"its " + std::to_string(bytes.size()) + " bytes are not an ONNX TensorProto"};
  if (proto->isExternal || proto->isSegment)
    return Error{"its data is in another file or in segments, which is not supported here"};
  std::optional<ElementType> type = qopt::elementTypeByNumber(proto->typeNumber);
  if (!type)
    return Error{"element type " + std::to_string(proto->typeNumber) + " of ONNX is not supported"};
  if (proto->dims.size() > QRT_MAX_RANK)
    return Error{"has " + std::to_string(proto->dims.size()) + " dimensions, more than " +
                 std::to_string(QRT_MAX_RANK)};
  std::optional<int64_t> elements = qopt::checkedNumElements(proto->dims);
  std::optional<int64_t> size = elements ? qopt::checkedMul(*elements, qopt::elementBytes(*type)) : std::nullopt;
  if (!size)
    return Error{"has an impossible shape"};

  // The values are counted before memory for the shape is asked for.
  size_t given = *type == ElementType::F32   ? proto->floatData.size()
                 : *type == ElementType::I64 ? proto->int64Data.size()
                                             : proto->int32Data.size();
  if (proto->rawData ? static_cast<int64_t>(proto->rawData->size()) != *size : static_cast<int64_t>(given) != *elements)
    return Error{"has " + (proto->rawData
                               ? std::to_string(proto->rawData->size()) + " bytes of data, but its shape needs " +
                                     std::to_string(*size)
                               : std::to_string(given) + " values, but its shape needs " + std::to_string(*elements))};
  Tensor tensor(*type, proto->dims);
  if (proto->rawData) {
    if (*size > 0)
      std::memcpy(tensor.data<std::byte>(), proto->rawData->data(), static_cast<size_t>(*size));
  } else if (*type == ElementType::F32) {
    std::copy(proto->floatData.begin(), proto->floatData.end(), tensor.data<float>());
  } else if (!storeIntegers(*type == ElementType::I64 ? proto->int64Data : proto->int32Data, tensor)) {
    return Error{std::string("holds a value that does not fit into ") + qopt::elementTypeName(*type)};
  }
  return tensor;
}
