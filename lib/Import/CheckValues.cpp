//===- CheckValues.cpp - Weights that are no numbers ----------------------===//
//
// All weights pass through here, so that whole blocks are looked at first.
//
//===----------------------------------------------------------------------===//
#include "Tensors.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Import/CheckWeights.h"
#include "qopt/Support/CpuClones.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Threading.h"

using namespace mlir;
using namespace qopt;

/// Whether the exponent of any of these numbers is all ones: all weights pass through here.
QOPT_CPU_CLONES static bool hasExponent(const uint16_t *values, size_t count, uint16_t exponent) {
  bool found = false;
  for (size_t i = 0; i < count; ++i)
    found |= (values[i] & exponent) == exponent;
  return found;
}
QOPT_CPU_CLONES static bool hasExponent(const uint32_t *values, size_t count, uint32_t exponent) {
  uint32_t found = 0;
  for (size_t i = 0; i < count; ++i)
    found |= (values[i] & exponent) == exponent;
  return found;
}
static bool hasExponent(const uint64_t *, size_t, uint64_t) { return true; }

/// Looks for the first element that is NaN or, unless allowed, infinite.
template <typename Bits>
static Status findNonFinite(ArrayRef<char> bytes, Bits exponent, bool allowInfinity) {
  Bits mantissa = static_cast<Bits>(~exponent & ~(Bits(1) << (sizeof(Bits) * 8 - 1)));
  size_t count = bytes.size() / sizeof(Bits);
  const auto *values = reinterpret_cast<const Bits *>(bytes.data());
  constexpr size_t block = 4096;
  for (size_t begin = 0; begin < count; begin += block) {
    size_t end = std::min(count, begin + block);
    if (!hasExponent(values + begin, end - begin, exponent))
      continue;
    for (size_t i = begin; i < end; ++i)
      if ((values[i] & exponent) == exponent && ((values[i] & mantissa) || !allowInfinity))
        return Error{"element " + std::to_string(i) + " of " + std::to_string(count) + " is " +
                     (values[i] & mantissa ? "NaN" : "infinite")};
  }
  return {};
}

/// The bytes that are there; a splat has one element.
static ArrayRef<char> bytesOf(ElementsAttr elements) {
  if (auto dense = dyn_cast<DenseElementsAttr>(elements))
    return dense.getRawData();
  auto resource = dyn_cast<DenseResourceElementsAttr>(elements);
  return resource && resource.getRawHandle().getBlob() ? resource.getData() : ArrayRef<char>();
}

bool qopt::isCheckedLater(ElementsAttr elements) { return bytesOf(elements).size() > kCheckedAtOnce; }

Status qopt::checkFinite(ElementsAttr elements, bool allowInfinity) {
  ArrayRef<char> bytes = bytesOf(elements);
  Type type = elements.getElementType();
  if (type.isF32())
    return findNonFinite<uint32_t>(bytes, 0x7f800000, allowInfinity);
  if (type.isF16())
    return findNonFinite<uint16_t>(bytes, 0x7c00, allowInfinity);
  if (type.isBF16())
    return findNonFinite<uint16_t>(bytes, 0x7f80, allowInfinity);
  if (type.isF64())
    return findNonFinite<uint64_t>(bytes, 0x7ff0000000000000, allowInfinity);
  return {};
}

/// Whether infinity is a sensible value: not where it is multiplied or looked up.
static bool mayBeInfinite(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    if (isa<onnx::CastOp>(user) || user->hasTrait<onnx::Rearranges>())
      return mayBeInfinite(user->getResult(0));
    return !isa<onnx::MatMulOp, onnx::GemmOp, onnx::GatherOp>(user);
  });
}

Status qopt::checkWeights(func::FuncOp function) {
  SmallVector<std::pair<onnx::ConstantOp, ElementsAttr>> constants;
  for (auto constant : function.getOps<onnx::ConstantOp>()) {
    // Of a transpose that is made later, what it is made of.
    auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getValue());
    const DeferredConstant *deferred = resource ? DeferredData::find(resource) : nullptr;
    ElementsAttr value = deferred ? deferred->transposeOf : constant.getValue();
    if (value && isCheckedLater(value))
      constants.emplace_back(constant, value);
  }
  std::vector<Status> found(constants.size());
  parallelFor(function.getContext(), 0, constants.size(), [&](size_t i) {
    auto [constant, value] = constants[i];
    found[i] = checkFinite(value, mayBeInfinite(constant.getOutput()));
  });
  for (auto [constant, status] : llvm::zip(constants, found))
    if (!status) {
      auto name = dyn_cast<NameLoc>(constant.first->getLoc());
      return Error{(name ? name.getName().str() + ": " : "") + status.error().message};
    }
  return {};
}
