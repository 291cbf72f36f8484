//===- ElementType.h - Element types of tensors ---------------------------===//
//
// What the elements of an input, an output or a parameter are. The C interface
// (Runtime/Abi.h) calls the same numbers QrtType.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_ELEMENTTYPE_H
#define QOPT_SUPPORT_ELEMENTTYPE_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace qopt {

/// Numbered as in ONNX's TensorProto.DataType, for QrtType and the files that hold it.
enum class ElementType : int64_t {
  None = 0, ///< of a tensor that was not given a type
  F32 = 1,
  U8 = 2,
  I8 = 3,
  I32 = 6,
  I64 = 7,
  Bool = 9,
  F16 = 10,
  BF16 = 16,
};

/// Bytes of one element; 0 for None and for numbers that are no type.
int64_t elementBytes(ElementType type);

/// "f32", "u8", "i8", "i32", "i64", "bool", "f16", "bf16"; "?" for all else.
const char *elementTypeName(ElementType type);

/// The type of that name, or with that number; nothing when there is none.
std::optional<ElementType> elementTypeByName(std::string_view name);
std::optional<ElementType> elementTypeByNumber(int64_t number);

/// f32, f16 and bf16.
bool isFloatType(ElementType type);

/// i32 and i64, which token ids and positions have.
bool isIndexType(ElementType type);

} // namespace qopt

#endif // QOPT_SUPPORT_ELEMENTTYPE_H
