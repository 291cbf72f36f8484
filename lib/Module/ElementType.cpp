#include "qopt/Module/ElementType.h"
#include "qopt/Runtime/Abi.h"

using namespace qopt;

namespace {
struct ElementType {
  int64_t type;
  int64_t bytes;
  const char *name;
};
} // namespace

static constexpr ElementType elementTypes[] = {
    {QRT_F32, 4, "f32"}, {QRT_U8, 1, "u8"},     {QRT_I8, 1, "i8"},   {QRT_I32, 4, "i32"},
    {QRT_I64, 8, "i64"}, {QRT_BOOL, 1, "bool"}, {QRT_F16, 2, "f16"}, {QRT_BF16, 2, "bf16"},
};

int64_t qopt::elementBytes(int64_t type) {
  for (const ElementType &known : elementTypes)
    if (known.type == type)
      return known.bytes;
  return 0;
}

const char *qopt::elementTypeName(int64_t type) {
  for (const ElementType &known : elementTypes)
    if (known.type == type)
      return known.name;
  return "?";
}

int64_t qopt::elementTypeByName(std::string_view name) {
  for (const ElementType &known : elementTypes)
    if (known.name == name)
      return known.type;
  return 0;
}
