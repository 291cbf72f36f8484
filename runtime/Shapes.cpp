//===- Shapes.cpp - Tensors against what a module declares ----------------===//
//
// What callers pass is judged before the code of a module sees it, and what that code
// returns before callers do.
//
//===----------------------------------------------------------------------===//
#include "Shapes.h"
#include "CacheEntries.h"
#include "qopt/Support/Utf8.h"

using namespace qrt;
using qopt::Dimension;
using qopt::EntryPoint;
using qopt::Error;
using qopt::printable;
using qopt::TensorInfo;

static std::string describe(const TensorInfo &info) {
  std::string text = std::string(qopt::elementTypeName(info.type)) + " [";
  for (const Dimension &dim : info.dims)
    text += (text.back() == '[' ? "" : ", ") + (dim.symbol.empty() ? std::to_string(dim.size) : printable(dim.symbol));
  return text + "]";
}

static std::string describe(const Tensor &tensor) {
  std::string text = std::string(qopt::elementTypeName(tensor.type())) + " [";
  for (int64_t dim : tensor.dims())
    text += (text.back() == '[' ? "" : ", ") + std::to_string(dim);
  return text + "]";
}

Status qrt::checkTensors(const char *kind, std::span<const TensorInfo> infos, std::span<const Tensor> tensors,
                         SymbolSizes &symbols) {
  for (size_t i = 0; i < infos.size(); ++i) {
    std::string place = std::string(kind) + " '" + printable(infos[i].name) + "': ";
    const std::vector<int64_t> &dims = tensors[i].dims();
    bool isAsDeclared = tensors[i].type() == infos[i].type && dims.size() == infos[i].dims.size();
    for (size_t axis = 0; isAsDeclared && axis < dims.size(); ++axis) {
      const Dimension &declared = infos[i].dims[axis];
      if (declared.symbol.empty()) {
        isAsDeclared = dims[axis] == declared.size;
        continue;
      }
      auto [known, isNew] = symbols.try_emplace(declared.symbol, dims[axis], infos[i].name);
      if (!isNew && known->second.first != dims[axis])
        return Error{place + "expected " + std::to_string(known->second.first) + " for dimension '" +
                     printable(declared.symbol) + "' as in '" + printable(known->second.second) + "', but got " +
                     std::to_string(dims[axis])};
    }
    if (!isAsDeclared)
      return Error{place + "expected " + describe(infos[i]) + ", but got " + describe(tensors[i])};
  }
  return {};
}

Result<const EntryPoint *> qrt::findEntry(const qopt::Module &module, const std::string &name,
                                          std::span<const Tensor> inputs, SymbolSizes &symbols) {
  for (const EntryPoint &entry : module.info().entryPoints) {
    if (entry.name != name)
      continue;
    if (hasCaches(entry))
      return Error{"entry point '" + printable(name) + "' has caches; it only runs for texts that grow"};
    if (inputs.size() != entry.inputs.size())
      return Error{"entry point '" + printable(name) + "' expected " + std::to_string(entry.inputs.size()) +
                   " inputs, but got " + std::to_string(inputs.size())};
    if (Status status = checkTensors("input", entry.inputs, inputs, symbols); !status)
      return status.error();
    return &entry;
  }
  return Error{"the module has no entry point '" + printable(name) + "'"};
}

//===----------------------------------------------------------------------===//
// Token ids
//===----------------------------------------------------------------------===//

/// `place` is empty or begins with a blank.
static Error unknownToken(int64_t id, const std::string &place, int64_t vocabulary) {
  return {"token id " + std::to_string(id) + place + " is beyond the vocabulary of " + std::to_string(vocabulary)};
}

Error qrt::beyondVocabulary(int64_t id, int64_t vocabulary) { return unknownToken(id, "", vocabulary); }

Status qrt::checkTokens(std::span<const int32_t> ids, int64_t length, int64_t firstPosition, int64_t vocabulary) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary) {
      int64_t position = firstPosition + static_cast<int64_t>(i) % length;
      return unknownToken(ids[i], " at position " + std::to_string(position), vocabulary);
    }
  return {};
}
