//===- ElementType.cpp - Element types of tensors -------------------------===//
//
// One table of the types with their sizes and names.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/ElementType.h"

using namespace qopt;

namespace {
struct TypeInfo {
  ElementType type;
  int64_t bytes;
  const char *name;
};
} // namespace

static constexpr TypeInfo types[] = {
    {ElementType::F32, 4, "f32"}, {ElementType::U8, 1, "u8"},     {ElementType::I8, 1, "i8"},
    {ElementType::I32, 4, "i32"}, {ElementType::I64, 8, "i64"},   {ElementType::Bool, 1, "bool"},
    {ElementType::F16, 2, "f16"}, {ElementType::BF16, 2, "bf16"},
};

static const TypeInfo *find(ElementType type) {
  for (const TypeInfo &info : types)
    if (info.type == type)
      return &info;
  return nullptr;
}

int64_t qopt::elementBytes(ElementType type) {
  const TypeInfo *info = find(type);
  return info ? info->bytes : 0;
}

const char *qopt::elementTypeName(ElementType type) {
  const TypeInfo *info = find(type);
  return info ? info->name : "?";
}

std::optional<ElementType> qopt::elementTypeByName(std::string_view name) {
  for (const TypeInfo &info : types)
    if (info.name == name)
      return info.type;
  return std::nullopt;
}

std::optional<ElementType> qopt::elementTypeByNumber(int64_t number) {
  const TypeInfo *info = find(static_cast<ElementType>(number));
  return info ? std::optional(info->type) : std::nullopt;
}

bool qopt::isFloatType(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F16 || type == ElementType::BF16;
}

bool qopt::isIndexType(ElementType type) { return type == ElementType::I64 || type == ElementType::I32; }
