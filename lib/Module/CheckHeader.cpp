//===- CheckHeader.cpp - What the header of a module must hold to ---------===//
//
// A module may come from anywhere: nothing in its header is believed before these
// checks. The writer uses them too, so that no module is written that cannot be read.
//
//===----------------------------------------------------------------------===//
#include "Layout.h"
#include "qopt/Runtime/Abi.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/ElementType.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <set>

using namespace qopt;

static std::string quoted(const std::string &name) { return "'" + printable(name) + "'"; }

/// No input or output of a model is larger, and sums of such sizes do not overflow.
static constexpr int64_t kMostTensorBytes = int64_t(1) << 42;

static Status checkTensor(const EntryPoint &entry, const TensorInfo &tensor, bool isInput) {
  std::string place = "entry point " + quoted(entry.name) + ", " + quoted(tensor.name) + ": ";
  if (elementBytes(tensor.type) == 0)
    return Error{place + "has the unknown element type " + std::to_string(static_cast<int64_t>(tensor.type))};
  if (tensor.dims.size() > QRT_MAX_RANK)
    return Error{place + "has " + std::to_string(tensor.dims.size()) + " dimensions, more than " +
                 std::to_string(QRT_MAX_RANK)};
  std::vector<int64_t> known;
  std::string shape;
  for (const Dimension &dim : tensor.dims) {
    if (dim.symbol.empty() && dim.size < 0)
      return Error{place + "has the dimension " + std::to_string(dim.size)};
    if (dim.symbol.empty())
      known.push_back(dim.size);
    shape += (shape.empty() ? "" : ", ") + (dim.symbol.empty() ? std::to_string(dim.size) : printable(dim.symbol));
  }
  std::optional<int64_t> elements = checkedNumElements(known);
  std::optional<int64_t> bytes = elements ? checkedMul(*elements, elementBytes(tensor.type)) : std::nullopt;
  if (!bytes || *bytes > kMostTensorBytes)
    return Error{place + "has the dimensions [" + shape + "], more than the " + std::to_string(kMostTensorBytes) +
                 " bytes that an input or output may have"};
  if (!(isInput ? infoOf(tensor.role).isInput : infoOf(tensor.role).isOutput))
    return Error{place + "has the role " + std::string(roleName(tensor.role)) + ", which no " +
                 (isInput ? "input" : "output") + " has"};
  return {};
}

/// A kernel's name is handed to the driver and the dynamic loader.
static bool isSymbol(const std::string &name) {
  auto isAllowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
  };
  return !name.empty() && name.size() <= 4096 && std::all_of(name.begin(), name.end(), isAllowed);
}

static Status checkKernels(const std::vector<KernelInfo> &kernels) {
  constexpr int64_t mostShared = 1 << 20, mostRegisters = 255; // no GPU has more
  std::set<std::string> names;
  for (const KernelInfo &kernel : kernels) {
    std::string what = "kernel " + quoted(kernel.name);
    if (!isSymbol(kernel.name) || !names.insert(kernel.name).second)
      return Error{what + " has no proper name or occurs twice"};
    if (kernel.sharedBytes < 0 || kernel.sharedBytes > mostShared)
      return Error{what + " needs " + std::to_string(kernel.sharedBytes) + " bytes of shared memory, more than " +
                   std::to_string(mostShared)};
    if (!kernel.arch.empty() && !isSymbol(kernel.arch))
      return Error{what + " has the impossible architecture " + quoted(kernel.arch)};
    std::set<std::string> archs;
    for (const KernelUse &needs : kernel.resources)
      if (!isSymbol(needs.arch) || !archs.insert(needs.arch).second || needs.registers < 0 ||
          needs.registers > mostRegisters || needs.spillBytes < 0)
        return Error{what + " has impossible resources for " + quoted(needs.arch)};
  }
  return {};
}

static Status checkLayers(const std::vector<LayerInfo> &layers) {
  int64_t total = 0;
  for (const LayerInfo &layer : layers) {
    std::optional<int64_t> weights = checkedMul(layer.outFeatures, layer.inFeatures);
    std::optional<int64_t> sum = weights ? checkedAdd(total, *weights) : std::nullopt;
    if (!sum)
      return Error{"layer " + quoted(layer.name) + " of " + std::to_string(layer.outFeatures) + " x " +
                   std::to_string(layer.inFeatures) + " makes more than " + std::to_string(INT64_MAX) + " weights"};
    total = *sum;
  }
  return {};
}

Status qopt::checkInfo(const ModuleInfo &info) {
  if (info.contextLength < 0 || info.vocabularySize < 0)
    return Error{"context length " + std::to_string(info.contextLength) + " or vocabulary size " +
                 std::to_string(info.vocabularySize) + " is negative"};
  std::set<std::string> names;
  for (const EntryPoint &entry : info.entryPoints) {
    if (entry.name.empty() || entry.name.find('\0') != std::string::npos || !names.insert(entry.name).second)
      return Error{"entry point " + quoted(entry.name) + " has no proper name or occurs twice"};
    for (const auto *tensors : {&entry.inputs, &entry.outputs})
      for (const TensorInfo &tensor : *tensors)
        if (Status status = checkTensor(entry, tensor, tensors == &entry.inputs); !status)
          return status;
  }
  for (const Parameter &parameter : info.parameters) {
    std::optional<int64_t> elements = checkedNumElements(parameter.dims);
    std::optional<int64_t> bytes = elements ? checkedMul(*elements, elementBytes(parameter.type)) : std::nullopt;
    if (elementBytes(parameter.type) == 0 || parameter.dims.size() > QRT_MAX_RANK || !bytes)
      return Error{"parameter " + quoted(parameter.name) + " has an unknown type or an impossible shape"};
    if (*bytes != parameter.bytes)
      return Error{"parameter " + quoted(parameter.name) + " has " + std::to_string(parameter.bytes) +
                   " bytes, but its shape needs " + std::to_string(*bytes)};
  }
  if (Status status = checkLayers(info.layers); !status)
    return status;
  return checkKernels(info.kernels);
}

/// Whether [offset, offset + bytes) lies after `end` and inside `limit`; moves
/// `end` behind it.
static Status checkPlace(const std::string &what, int64_t offset, int64_t bytes, int64_t alignment, int64_t limit,
                         int64_t &end) {
  std::optional<int64_t> last = checkedAdd(offset, bytes);
  if (!last || *last > limit)
    return Error{what + " at offset " + std::to_string(offset) + " with " + std::to_string(bytes) +
                 " bytes does not fit in " + std::to_string(limit) + " bytes"};
  if (offset % alignment != 0)
    return Error{what + " at offset " + std::to_string(offset) + " is not aligned to " + std::to_string(alignment)};
  if (offset < end)
    return Error{what + " at offset " + std::to_string(offset) + " overlaps what ends at " + std::to_string(end)};
  end = *last;
  return {};
}

Status qopt::checkPlaces(const ModuleHeader &header, int64_t firstOffset, int64_t fileBytes) {
  std::set<std::string> names;
  int64_t end = firstOffset, weightsBytes = 0;
  for (const Section &section : header.sections) {
    std::string what = "section " + quoted(section.name);
    if (section.name.empty() || !names.insert(section.name).second)
      return Error{what + " has no name or occurs twice"};
    if (Status status = checkPlace(what, section.offset, section.bytes, alignmentOf(section), fileBytes, end); !status)
      return status;
    if (section.name == kWeightsSection)
      weightsBytes = section.bytes;
  }
  end = 0;
  for (const Parameter &parameter : header.info.parameters)
    if (Status status = checkPlace("parameter " + quoted(parameter.name), parameter.offset, parameter.bytes,
                                   parameterAlignment, weightsBytes, end);
        !status)
      return status;
  return {};
}

Status qopt::checkChunks(const ModuleHeader &header, int64_t fileBytes) {
  constexpr int64_t least = 4096, most = int64_t(1) << 30;
  const ChunkHashes &chunks = header.chunks;
  if (chunks.chunkBytes < least || chunks.chunkBytes > most)
    return Error{"header field 'chunk_bytes' is " + std::to_string(chunks.chunkBytes) + ", not from " +
                 std::to_string(least) + " to " + std::to_string(most)};
  if (int64_t needed = numChunks(fileBytes, chunks.chunkBytes); static_cast<int64_t>(chunks.digests.size()) != needed)
    return Error{"has " + std::to_string(chunks.digests.size()) + " hashes of chunks of " +
                 std::to_string(chunks.chunkBytes) + " bytes, but its " + std::to_string(fileBytes) + " bytes need " +
                 std::to_string(needed)};
  if (header.sections.empty() || header.sections.back().name != kWeightsSection)
    return Error{"has no section '" + std::string(kWeightsSection) + "' at its end"};
  return {};
}
