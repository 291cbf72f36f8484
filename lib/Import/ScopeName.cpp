//===- ScopeName.cpp - The module a node comes from -----------------------===//
//
// Two spellings of it in the metadata of a node; the newer one is preferred.
//
//===----------------------------------------------------------------------===//
#include "ScopeName.h"
#include "qopt/Support/Utf8.h"
#include <string_view>

using namespace qopt;

/// The last but one string of the Python list "['', 'model', 'model.norm', 'mul_4']":
/// the last is the operation itself.
static std::string_view fromNameScopes(std::string_view list) {
  std::string_view last, lastButOne;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] != '\'' && list[i] != '"')
      continue;
    size_t end = list.find(list[i], i + 1);
    if (end == std::string_view::npos)
      return {};
    lastButOne = last;
    last = list.substr(i + 1, end - i - 1);
    i = end;
  }
  return lastButOne;
}

/// The same of ": Class/model: Class/model.norm: Class/mul_4: aten.mul".
static std::string_view fromNamespace(std::string_view text) {
  size_t slash = text.rfind('/');
  if (slash == std::string_view::npos)
    return {};
  std::string_view scopes = text.substr(0, slash);
  std::string_view entry = scopes.substr(scopes.rfind('/') + 1); // npos + 1 is 0
  return entry.substr(0, entry.find(": "));
}

std::string qopt::scopeName(const pb::NodeProto &node) {
  std::string_view name;
  for (const pb::StringStringEntryProto &entry : node.metadata_props()) {
    if (entry.key() == "pkg.torch.onnx.name_scopes") {
      name = fromNameScopes(entry.value());
      break;
    }
    if (entry.key() == "namespace")
      name = fromNamespace(entry.value());
  }
  // What torch.export writes where it knows no module.
  if (name.starts_with("_empty_nn_module_stack"))
    return {};
  return printable(name);
}
