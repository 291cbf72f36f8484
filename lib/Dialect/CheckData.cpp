//===- CheckData.cpp - Constants whose data do not fit their types --------===//
//
// Neither MLIR's parser nor its verifier looks at the sizes of tensors and blobs, and what
// runs later trusts both.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/CheckData.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/Utf8.h"

using namespace mlir;
using namespace qopt;

/// The bytes of a tensor, in which integers of 2 and 4 bits lie side by side; nothing where they
/// are more than 63 bits can count.
static std::optional<int64_t> bytesOf(ShapedType type) {
  unsigned bits = type.getElementType().isInteger(1) ? 8 : type.getElementTypeBitWidth();
  std::optional<int64_t> elements =
      checkedNumElements(std::span<const int64_t>(type.getShape().data(), type.getRank()));
  if (elements && type.getElementType().isInteger() && (bits == 2 || bits == 4))
    return llvm::divideCeil(*elements, 8 / bits);
  return elements ? checkedMul(*elements, llvm::divideCeil(bits, 8)) : std::nullopt;
}

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// MLIR computes with the number of elements as if it always fitted.
static Status checkType(ShapedType type) {
  if (type.hasRank() && type.hasStaticShape() && type.getElementType().isIntOrFloat() && !bytesOf(type))
    return Error{"the type " + print(type) + " needs more bytes than 63 bits can count"};
  return {};
}

/// A constant of one value takes no memory as such, but all who compute with it expand it.
static Status checkSplat(DenseElementsAttr dense) {
  constexpr int64_t most = int64_t(1) << 36;
  if (!dense.isSplat() || !dense.getElementType().isIntOrFloat())
    return {};
  if (std::optional<int64_t> bytes = bytesOf(dense.getType()); !bytes || *bytes > most)
    return Error{"a constant of type " + print(dense.getType()) + " needs " +
                 (bytes ? std::to_string(*bytes) : "more than 2^63") + " bytes; expected at most " +
                 std::to_string(most)};
  return {};
}

static Status checkResource(DenseResourceElementsAttr resource) {
  StringRef key = resource.getRawHandle().getKey();
  std::string name = "dense resource \"" + printable(key) + "\"";
  ShapedType type = resource.getType();
  std::string text = print(type);
  if (!type.hasStaticShape() || !type.getElementType().isIntOrFloat())
    return Error{name + " has the unsupported type " + text};
  std::optional<int64_t> size = bytesOf(type);
  ConstantView view = viewConstant(resource);
  if (view.deferred)
    return {};
  ArrayRef<char> bytes = view.bytes;
  bool isMissing = bytes.empty() && size != 0;
  if (key == "__elided__" || (isMissing && key == "elided"))
    return Error{"weights were elided when this file was printed"};
  if (isMissing)
    return Error{name + " has no data: was this file printed without its weights?"};
  if (!size || static_cast<uint64_t>(*size) != bytes.size())
    return Error{name + " has " + std::to_string(bytes.size()) + " bytes but " + text + " needs " +
                 (size ? std::to_string(*size) : "more than 63 bits can count")};
  size_t align = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  if (reinterpret_cast<uintptr_t>(bytes.data()) % align != 0)
    return Error{name + " is not aligned to " + std::to_string(align) + " bytes"};
  return {};
}

std::optional<std::pair<Location, Error>> qopt::findBadData(Operation *root) {
  std::optional<std::pair<Location, Error>> result;
  AttrTypeWalker walker;
  Error error;
  auto judge = [&](Status status) {
    if (status)
      return WalkResult::advance();
    error = status.error();
    return WalkResult::interrupt();
  };
  walker.addWalk([&](DenseResourceElementsAttr resource) { return judge(checkResource(resource)); });
  walker.addWalk([&](DenseElementsAttr dense) { return judge(checkSplat(dense)); });
  walker.addWalk([&](Type type) {
    auto shaped = dyn_cast<ShapedType>(type);
    return shaped ? judge(checkType(shaped)) : WalkResult::advance();
  });
  root->walk([&](Operation *op) {
    auto isBad = [&](auto part) { return walker.walk(part).wasInterrupted(); };
    bool found = isBad(op->getAttrDictionary()) || llvm::any_of(op->getResultTypes(), isBad);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        found |= llvm::any_of(block.getArgumentTypes(), isBad);
    if (!found)
      return WalkResult::advance();
    result.emplace(op->getLoc(), error);
    return WalkResult::interrupt();
  });
  return result;
}
