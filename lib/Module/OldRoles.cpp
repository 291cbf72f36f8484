//===- OldRoles.cpp - Roles in modules that do not store them -------------===//
//
// Before version 1.3 a module's inputs and outputs were known by the names that most
// exporters give them. This is the only place where that rule is kept.
//
//===----------------------------------------------------------------------===//
#include "Layout.h"
#include "qopt/Support/ElementType.h"
#include <algorithm>

using namespace qopt;

static bool isKnown(const Dimension &dim) { return dim.symbol.empty(); }

static bool isValue(const TensorInfo &info) { return info.name.find("value") != std::string::npos; }

static Role roleOfInput(const TensorInfo &input) {
  if (input.name.starts_with("cache."))
    return isValue(input) ? Role::ValueCache : Role::KeyCache;
  if (input.dims.size() == 4 && isFloatType(input.type) && isKnown(input.dims[1]) && !isKnown(input.dims[2]) &&
      isKnown(input.dims[3]))
    return isValue(input) ? Role::PastValue : Role::PastKey;
  if (input.name == "past_length" && input.type == ElementType::I64 && input.dims.size() == 1)
    return Role::PastLength;
  if (input.dims.size() != 2)
    return Role::Other;
  if (input.name == "input_ids" && isIndexType(input.type))
    return Role::TokenIds;
  if (input.name == "position_ids" && isIndexType(input.type))
    return Role::PositionIds;
  bool canMask = isIndexType(input.type) || input.type == ElementType::Bool || input.type == ElementType::F32;
  return input.name == "attention_mask" && canMask ? Role::AttentionMask : Role::Other;
}

void qopt::assignRolesByName(EntryPoint &entry) {
  for (TensorInfo &input : entry.inputs)
    input.role = roleOfInput(input);
  auto isLogits = [](const TensorInfo &info) { return info.dims.size() == 3 && isFloatType(info.type); };
  auto isNamed = [&](const TensorInfo &info) { return info.name == "logits" && isLogits(info); };
  auto found = std::find_if(entry.outputs.begin(), entry.outputs.end(), isNamed);
  if (found == entry.outputs.end())
    found = std::find_if(entry.outputs.begin(), entry.outputs.end(), isLogits);
  if (found == entry.outputs.end())
    return;
  bool isOneRow = isKnown(found->dims[1]) && found->dims[1].size == 1;
  bool keepsCaches = std::any_of(entry.inputs.begin(), entry.inputs.end(), [](auto &i) { return isCache(i.role); });
  found->role = keepsCaches && isOneRow ? Role::LastLogits : Role::Logits;
}
