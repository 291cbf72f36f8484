//===- ElementType.h - Sizes and names of QrtType -------------------------===//
#ifndef QOPT_MODULE_ELEMENTTYPE_H
#define QOPT_MODULE_ELEMENTTYPE_H

#include <cstdint>
#include <string_view>

namespace qopt {

/// Bytes of one element of a QrtType; 0 when there is no such type.
int64_t elementBytes(int64_t type);
/// "f32", "u8", "i8", "i32", "i64", "bool", "f16", "bf16"; "?" when there is no
/// such type.
const char *elementTypeName(int64_t type);
/// The QrtType of that name; 0 when there is none.
int64_t elementTypeByName(std::string_view name);

} // namespace qopt

#endif // QOPT_MODULE_ELEMENTTYPE_H
