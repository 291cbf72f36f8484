//===- Roles.h - What the inputs and outputs of a model are ---------------===//
//
// A role says what an input or output means, whatever its name. The compiler decides it
// once (`qopt-assign-roles`), writes it on the function as `#qopt.role<...>` and stores
// it in the module. Whoever has to fill an input or to read an output asks for its role.
// The names below are the only spelling of roles: the IR, the header of a module,
// `qrun --info` and the C interface show these.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_ROLES_H
#define QOPT_SUPPORT_ROLES_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace qopt {

enum class Role {
  Other,         ///< none of these, or it cannot be told
  TokenIds,      ///< integers [batch, sequence] or [sequence], rows of the embedding table
  Embeddings,    ///< floats [batch, sequence, features] in the place of looked up tokens
  AttentionMask, ///< [batch, past + sequence], 0 where a token is hidden
  AttentionBias, ///< [.., queries, keys], added to the scores, or false where a key is hidden
  PositionIds,   ///< integers [batch, sequence] or [sequence]
  TokenTypes,    ///< integers [batch, sequence], 0 for a text without parts
  LogitsToKeep,  ///< one integer: logits of so many last tokens, 0 for all
  PastLength,    ///< i64 [1]: how many tokens the caches hold
  PastKey,       ///< keys of earlier tokens, only read
  PastValue,     ///< values of earlier tokens, only read
  KeyCache,      ///< keys of earlier tokens, to which the call appends
  ValueCache,    ///< values of earlier tokens, to which the call appends
  Logits,        ///< floats [batch, sequence, vocabulary] or [sequence, vocabulary]
  LastLogits,    ///< floats [batch, 1, vocabulary] or [batch, vocabulary], behind the last token
  HiddenStates,  ///< floats [batch, sequence, features]
  PresentKey,    ///< keys of all tokens
  PresentValue,  ///< values of all tokens
};

struct RoleInfo {
  Role role;
  std::string_view name;
  bool isInput, isOutput; ///< where it may stand
};

/// All roles, in the order of their numbers.
inline constexpr RoleInfo kRoles[] = {
    {Role::Other, "other", true, true},
    {Role::TokenIds, "token_ids", true, false},
    {Role::Embeddings, "embeddings", true, false},
    {Role::AttentionMask, "attention_mask", true, false},
    {Role::AttentionBias, "attention_bias", true, false},
    {Role::PositionIds, "position_ids", true, false},
    {Role::TokenTypes, "token_types", true, false},
    {Role::LogitsToKeep, "logits_to_keep", true, false},
    {Role::PastLength, "past_length", true, false},
    {Role::PastKey, "past_key", true, false},
    {Role::PastValue, "past_value", true, false},
    {Role::KeyCache, "key_cache", true, false},
    {Role::ValueCache, "value_cache", true, false},
    {Role::Logits, "logits", false, true},
    {Role::LastLogits, "last_logits", false, true},
    {Role::HiddenStates, "hidden_states", false, true},
    {Role::PresentKey, "present_key", false, true},
    {Role::PresentValue, "present_value", false, true},
};

constexpr const RoleInfo &infoOf(Role role) { return kRoles[static_cast<unsigned>(role)]; }
constexpr std::string_view roleName(Role role) { return infoOf(role).name; }

constexpr std::optional<Role> roleByName(std::string_view name) {
  for (const RoleInfo &info : kRoles)
    if (info.name == name)
      return info.role;
  return std::nullopt;
}

constexpr bool isPast(Role role) { return role == Role::PastKey || role == Role::PastValue; }
constexpr bool isCache(Role role) { return role == Role::KeyCache || role == Role::ValueCache; }

/// Whether tokens alone tell what an input of this role and rank holds. `isIndex`, `isMask`: whether its elements
/// are integers, and numbers that masks are written in.
constexpr bool isToldByTokens(Role role, int64_t rank, bool isIndex, bool isMask) {
  switch (role) {
  case Role::TokenIds:
  case Role::PositionIds:
    return (rank == 1 || rank == 2) && isIndex;
  case Role::TokenTypes:
    return rank == 2 && isIndex;
  case Role::LogitsToKeep:
    return rank <= 1 && isIndex;
  case Role::AttentionMask:
    return rank == 2 && (isIndex || isMask);
  case Role::AttentionBias:
    return (rank == 3 || rank == 4) && isMask;
  default:
    return false;
  }
}

/// Names and numbers go together.
constexpr bool areRolesInOrder() {
  unsigned number = 0;
  for (const RoleInfo &info : kRoles)
    if (static_cast<unsigned>(info.role) != number++)
      return false;
  return number == static_cast<unsigned>(Role::PresentValue) + 1;
}
static_assert(areRolesInOrder());

} // namespace qopt

#endif // QOPT_SUPPORT_ROLES_H
