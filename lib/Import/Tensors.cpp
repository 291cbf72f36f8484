//===- Tensors.cpp - ONNX tensors to attributes ---------------------------===//
//
// Where the elements of a tensor are depends on its type and its writer: in the file, beside it,
// or in a field for some types. All are checked against the shape before they are looked at.
//
//===----------------------------------------------------------------------===//
#include "Tensors.h"
#include "KeptFiles.h"
#include "Wire.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/Utf8.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include <cstring>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

namespace {

/// onnx.proto, TensorProto.DataType.
enum DataType {
  Float = 1,
  UInt8,
  Int8,
  UInt16,
  Int16,
  Int32,
  Int64,
  String,
  Bool,
  Float16,
  Double,
  UInt32,
  UInt64,
  Complex64,
  Complex128,
  BFloat16,
  Float8E4M3FN,
  Float8E4M3FNUZ,
  Float8E5M2,
  Float8E5M2FNUZ,
  UInt4,
  Int4,
  Float4E2M1,
  Float8E8M0,
  UInt2,
  Int2
};

/// The fields of TensorProto that can hold elements.
enum class Field { None, FloatData, Int32Data, Int64Data, DoubleData, UInt64Data };

/// What ONNX calls a type, how large an element is, and which field may hold it.
struct DataTypeInfo {
  const char *name;
  int bits; // 0: elements of no fixed size
  Field field;
};

} // namespace

static const DataTypeInfo dataTypes[] = {{"UNDEFINED", 0, Field::None},
                                         {"FLOAT", 32, Field::FloatData},
                                         {"UINT8", 8, Field::Int32Data},
                                         {"INT8", 8, Field::Int32Data},
                                         {"UINT16", 16, Field::Int32Data},
                                         {"INT16", 16, Field::Int32Data},
                                         {"INT32", 32, Field::Int32Data},
                                         {"INT64", 64, Field::Int64Data},
                                         {"STRING", 0, Field::None},
                                         {"BOOL", 8, Field::Int32Data},
                                         {"FLOAT16", 16, Field::Int32Data},
                                         {"DOUBLE", 64, Field::DoubleData},
                                         {"UINT32", 32, Field::UInt64Data},
                                         {"UINT64", 64, Field::UInt64Data},
                                         {"COMPLEX64", 64, Field::None},
                                         {"COMPLEX128", 128, Field::None},
                                         {"BFLOAT16", 16, Field::Int32Data},
                                         {"FLOAT8E4M3FN", 8, Field::Int32Data},
                                         {"FLOAT8E4M3FNUZ", 8, Field::Int32Data},
                                         {"FLOAT8E5M2", 8, Field::Int32Data},
                                         {"FLOAT8E5M2FNUZ", 8, Field::Int32Data},
                                         {"UINT4", 4, Field::Int32Data},
                                         {"INT4", 4, Field::Int32Data},
                                         {"FLOAT4E2M1", 4, Field::None},
                                         {"FLOAT8E8M0", 8, Field::None},
                                         {"UINT2", 2, Field::Int32Data},
                                         {"INT2", 2, Field::Int32Data}};

static const DataTypeInfo *lookup(int32_t dataType) {
  return dataType >= 0 && dataType < static_cast<int32_t>(std::size(dataTypes)) ? &dataTypes[dataType] : nullptr;
}

std::string qopt::dataTypeName(int32_t dataType) {
  const DataTypeInfo *info = lookup(dataType);
  return info ? info->name : std::to_string(dataType);
}

Result<Type> qopt::elementType(MLIRContext *context, int32_t dataType) {
  auto integer = [&](unsigned width, bool isUnsigned = false) -> Type {
    return IntegerType::get(context, width, isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  switch (dataType) {
  case Float:
    return Type(Float32Type::get(context));
  case Double:
    return Type(Float64Type::get(context));
  case Float16:
    return Type(Float16Type::get(context));
  case BFloat16:
    return Type(BFloat16Type::get(context));
  case Float8E4M3FN:
    return Type(Float8E4M3FNType::get(context));
  case Float8E4M3FNUZ:
    return Type(Float8E4M3FNUZType::get(context));
  case Float8E5M2:
    return Type(Float8E5M2Type::get(context));
  case Float8E5M2FNUZ:
    return Type(Float8E5M2FNUZType::get(context));
  case Bool:
    return integer(1);
  case Int2:
    return integer(2);
  case UInt2:
    return integer(2, true);
  case Int4:
    return integer(4);
  case UInt4:
    return integer(4, true);
  case Int8:
    return integer(8);
  case Int16:
    return integer(16);
  case Int32:
    return integer(32);
  case Int64:
    return integer(64);
  case UInt8:
    return integer(8, true);
  case UInt16:
    return integer(16, true);
  case UInt32:
    return integer(32, true);
  case UInt64:
    return integer(64, true);
  default:
    return Error{"element type " + dataTypeName(dataType) + " is not supported"};
  }
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

/// The low `size` bytes of each value, one after the other.
template <typename Values>
static OwnedBytes pack(const Values &values, size_t size) {
  auto buffer = std::make_shared<std::vector<std::byte>>(values.size() * size);
  std::byte *out = buffer->data();
  for (auto value : values) {
    std::memcpy(out, &value, size); // little-endian
    out += size;
  }
  return {buffer, std::span<const std::byte>(*buffer)};
}

/// How many elements the repeated field holds.
static int64_t countIn(const pb::TensorProto &tensor, Field field) {
  switch (field) {
  case Field::FloatData:
    return tensor.float_data_size();
  case Field::Int32Data:
    return tensor.int32_data_size();
  case Field::Int64Data:
    return tensor.int64_data_size();
  case Field::DoubleData:
    return tensor.double_data_size();
  case Field::UInt64Data:
    return tensor.uint64_data_size();
  case Field::None:
    break;
  }
  return 0;
}

/// The elements of a repeated field as they would lie in raw_data.
static OwnedBytes packField(const pb::TensorProto &tensor, Field field, size_t size) {
  switch (field) {
  case Field::FloatData:
    return pack(tensor.float_data(), size);
  case Field::Int32Data:
    return pack(tensor.int32_data(), size);
  case Field::Int64Data:
    return pack(tensor.int64_data(), size);
  case Field::DoubleData:
    return pack(tensor.double_data(), size);
  case Field::UInt64Data:
    return pack(tensor.uint64_data(), size);
  case Field::None:
    break;
  }
  return {};
}

/// The `size` bytes of `elements` elements, wherever they are.
Result<OwnedBytes> Tensors::dataOf(const pb::TensorProto &tensor, int64_t elements, uint64_t size) {
  const DataTypeInfo &info = *lookup(tensor.data_type());
  std::string needs = "the shape needs " + std::to_string(size) + " bytes but ";
  int64_t typed = 0;
  for (Field field : {Field::FloatData, Field::Int32Data, Field::Int64Data, Field::DoubleData, Field::UInt64Data})
    typed += countIn(tensor, field);
  bool isExternal = tensor.data_location() == 1;
  if (tensor.data_location() != 0 && !isExternal)
    return Error{"unknown data location " + std::to_string(tensor.data_location())};
  // Two places could disagree, and readers differ in which one they believe.
  if (isExternal + tensor.has_raw_data() + (typed > 0) > 1)
    return Error{"has data in two places"};
  if (isExternal)
    return keepFile(*context, external.read(tensor, size));
  if (tensor.has_raw_data()) {
    RawData raw = decodeRawData(tensor.raw_data());
    if (raw.size != size)
      return Error{needs + "raw_data has " + std::to_string(raw.size)};
    return OwnedBytes{file.mapping, file.bytes.subspan(raw.offset, raw.size)};
  }
  if (typed == 0 && elements > 0)
    return Error{needs + "it has no data"};
  if (typed != countIn(tensor, info.field))
    return Error{"has " + std::to_string(typed) + " elements in a field that is not for " + info.name};
  // Of integers of less than a byte, the field has the bytes.
  int64_t expected = info.bits < 8 ? static_cast<int64_t>(size) : elements;
  if (typed != expected)
    return Error{"the shape needs " + std::to_string(expected) + " elements but the data has " + std::to_string(typed)};
  return packField(tensor, info.field, std::max(info.bits / 8, 1));
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// Floats up to so many elements are parameters of an operator, not weights.
static constexpr int64_t kMaxDenseFloats = 32;
/// Integers up to so many bytes may take part in the computation of a shape.
static constexpr uint64_t kMaxDenseIntegerBytes = 1 << 16;

/// MLIR packs booleans into bits, ONNX writes bytes.
static ElementsAttr makeBools(RankedTensorType type, std::span<const std::byte> bytes) {
  auto values = llvm::map_to_vector(bytes, [](std::byte byte) { return byte != std::byte(0); });
  return DenseElementsAttr::get(type, values);
}

/// A resource over `data`, which lives as long as the context.
static ElementsAttr makeResource(RankedTensorType type, StringRef key, OwnedBytes data, size_t align) {
  ArrayRef<char> bytes(reinterpret_cast<const char *>(data.bytes.data()), data.bytes.size());
  // Only data that the file has at an odd place are copied.
  if (reinterpret_cast<uintptr_t>(bytes.data()) % align != 0)
    return DenseResourceElementsAttr::get(
        type, key, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, align, /*dataIsMutable=*/false));
  auto keepAlive = [owner = std::move(data.owner)](void *, size_t, size_t) mutable { owner.reset(); };
  return DenseResourceElementsAttr::get(
      type, key, UnmanagedAsmResourceBlob::allocateWithAlign(bytes, align, std::move(keepAlive)));
}

Result<ElementsAttr> Tensors::convert(const pb::TensorProto &tensor, StringRef key) {
  const DataTypeInfo *info = lookup(tensor.data_type());
  if (!info || info->bits == 0)
    return Error{"element type " + dataTypeName(tensor.data_type()) + " is not supported"};
  if (tensor.dims_size() > kMaxRank)
    return Error{"has " + std::to_string(tensor.dims_size()) + " dimensions; expected at most " +
                 std::to_string(kMaxRank)};
  for (auto [i, dim] : llvm::enumerate(tensor.dims()))
    if (dim < 0)
      return Error{"dimension " + std::to_string(i) + " is " + std::to_string(dim)};
  std::optional<int64_t> elements = checkedNumElements({tensor.dims().data(), size_t(tensor.dims_size())});
  std::optional<int64_t> bits = elements ? checkedMul(*elements, info->bits) : std::nullopt;
  if (!bits || *bits > std::numeric_limits<int64_t>::max() - 7)
    return Error{"the number of bytes of its shape exceeds 63 bits"};
  uint64_t size = (static_cast<uint64_t>(*bits) + 7) / 8;
  Result<OwnedBytes> data = dataOf(tensor, *elements, size);
  if (!data)
    return data.error();
  Result<Type> element = elementType(context, tensor.data_type());
  if (!element)
    return element.error();

  auto type = RankedTensorType::get(ArrayRef<int64_t>(tensor.dims().data(), tensor.dims_size()), *element);
  if (tensor.data_type() == Bool)
    return makeBools(type, data->bytes);
  bool isDense = info->bits < 8               ? false
                 : isa<IntegerType>(*element) ? size <= kMaxDenseIntegerBytes
                                              : *elements <= kMaxDenseFloats;
  if (!isDense)
    return makeResource(type, key, std::move(*data), std::max(info->bits / 8, 1));
  ArrayRef<char> bytes(reinterpret_cast<const char *>(data->bytes.data()), data->bytes.size());
  return ElementsAttr(DenseElementsAttr::getFromRawBuffer(type, bytes));
}
