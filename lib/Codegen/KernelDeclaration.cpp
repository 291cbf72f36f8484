//===- KernelDeclaration.cpp ------------------------------------------------===//
#include "KernelDeclaration.h"
#include "qopt/Codegen/Kernels.h"

using namespace mlir;

namespace qopt {

LogicalResult KernelDeclaration::expectRanks(ArrayRef<int64_t> ranks) {
  if (function.getNumArguments() != ranks.size() || function.getNumResults() != 0)
    return function.emitOpError() << "expected " << ranks.size() << " operands and no result, but got "
                                  << function.getNumArguments() << " and " << function.getNumResults();
  for (auto [i, rank] : llvm::enumerate(ranks)) {
    auto memref = dyn_cast<MemRefType>(function.getFunctionType().getInput(i));
    if (!memref || memref.getRank() != rank || !memref.getLayout().isIdentity())
      return function.emitOpError() << "expected a contiguous memref of rank " << rank << " as operand " << i
                                    << ", but got " << function.getFunctionType().getInput(i);
  }
  return success();
}

LogicalResult KernelDeclaration::expectShape(unsigned i, ArrayRef<int64_t> shape, Type element) {
  MemRefType actual = type(i);
  bool fits = actual.getElementType() == element && actual.getRank() == static_cast<int64_t>(shape.size());
  for (auto [have, want] : llvm::zip(actual.getShape(), shape))
    fits &= ShapedType::isDynamic(want) || have == want;
  if (!fits)
    return function.emitOpError() << "expected " << MemRefType::get(shape, element) << " as operand " << i << ", but got "
                                  << actual;
  return success();
}

LogicalResult KernelDeclaration::expectPast(unsigned i) {
  return expectShape(i, {1}, IntegerType::get(function.getContext(), 64));
}

Attribute KernelDeclaration::config(StringRef name) {
  auto dictionary = function->getAttrOfType<DictionaryAttr>(kKernelConfigAttr);
  return dictionary ? dictionary.get(name) : Attribute();
}
bool KernelDeclaration::flag(StringRef name) { return isa_and_nonnull<UnitAttr>(config(name)); }
int64_t KernelDeclaration::integer(StringRef name, int64_t otherwise) {
  auto value = dyn_cast_or_null<IntegerAttr>(config(name));
  return value ? value.getInt() : otherwise;
}
float KernelDeclaration::real(StringRef name, float otherwise) {
  auto value = dyn_cast_or_null<FloatAttr>(config(name));
  return value ? static_cast<float>(value.getValueAsDouble()) : otherwise;
}

} // namespace qopt
