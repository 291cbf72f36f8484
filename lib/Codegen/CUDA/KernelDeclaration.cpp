//===- KernelDeclaration.cpp ------------------------------------------------===//
#include "KernelDeclaration.h"
#include "mlir/IR/Builders.h"
#include "qopt/Codegen/Kernels.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt {

unsigned countQuantizationResults(StringRef kernel) {
  return llvm::StringSwitch<unsigned>(kernel)
      .Case("quantize", 1)
      .Case("dynamic_quantize", 2)
      .Cases({"split_columns", "split_columns_at"}, 3)
      .Default(0);
}

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
    return function.emitOpError() << "expected " << MemRefType::get(shape, element) << " as operand " << i
                                  << ", but got " << actual;
  return success();
}

/// x [R,K], x_scale [R] or [], w [blocks,K/4,64], correction, w_scale [N] (, outliers
/// [R,K], columns [K] | , outliers [R,M], weights [blocks,M,16], count [1]), y [R,N].
FailureOr<MatmulW8A8Form> KernelDeclaration::expectMatmulW8A8() {
  constexpr int64_t kAny = ShapedType::kDynamic;
  auto scale = numOperands() > 1 ? dyn_cast<MemRefType>(function.getFunctionType().getInput(1)) : MemRefType();
  MatmulW8A8Form form;
  form.perToken = scale && scale.getRank() == 1;
  SmallVector<int64_t> ranks{2, form.perToken ? 1 : 0, 3, 1, 1};
  if (numOperands() == 8)
    form.outliers = MatmulW8A8Form::Listed, ranks.append({2, 1});
  if (numOperands() == 9)
    form.outliers = MatmulW8A8Form::Kept, ranks.append({2, 3, 1});
  form.result = ranks.size();
  ranks.push_back(2);
  if (failed(expectRanks(ranks)))
    return failure();
  form.inputs = size(0, 1), form.columns = size(form.result, 1);
  if (ShapedType::isDynamic(form.inputs) || ShapedType::isDynamic(form.columns))
    return function.emitOpError("requires known inputs and outputs");

  Builder b(function.getContext());
  Type f32 = b.getF32Type(), i8 = b.getI8Type(), i32 = b.getI32Type();
  int64_t blocks = llvm::divideCeil(form.columns, kColumns);
  if (failed(expectShape(0, {kAny, form.inputs}, i8)) ||
      failed(expectShape(1, SmallVector<int64_t>(ranks[1], kAny), f32)) ||
      failed(expectShape(2, {blocks, static_cast<int64_t>(llvm::divideCeil(form.inputs, 4)), 4 * kColumns}, i8)) ||
      failed(expectShape(3, {blocks * kColumns}, i32)) || failed(expectShape(4, {form.columns}, f32)) ||
      failed(expectShape(form.result, {kAny, form.columns}, f32)))
    return failure();
  if (form.outliers == MatmulW8A8Form::Listed &&
      (failed(expectShape(5, {kAny, form.inputs}, f32)) || failed(expectShape(6, {form.inputs}, i32))))
    return failure();
  if (form.outliers == MatmulW8A8Form::Kept) {
    form.keptElement = type(6).getElementType();
    if (!form.keptElement.isF16() && !form.keptElement.isF32())
      return function.emitOpError() << "expected outlier weights of f16 or f32, but got " << form.keptElement;
    if (failed(expectShape(5, {kAny, kAny}, f32)) ||
        failed(expectShape(6, {blocks, kAny, kColumns}, form.keptElement)) || failed(expectShape(7, {1}, i32)))
      return failure();
  }
  return form;
}

/// x [R,K], columns [M], codes [R,K], scale [R], outliers [R,M].
FailureOr<int64_t> KernelDeclaration::expectSplitColumnsAt() {
  constexpr int64_t kAny = ShapedType::kDynamic;
  if (failed(expectRanks({2, 1, 2, 1, 2})))
    return failure();
  Builder b(function.getContext());
  int64_t width = size(0, 1);
  if (ShapedType::isDynamic(width))
    return function.emitOpError("requires rows of known size");
  if (failed(expectShape(0, {kAny, width}, b.getF32Type())) || failed(expectShape(1, {kAny}, b.getI32Type())) ||
      failed(expectShape(2, {kAny, width}, b.getI8Type())) || failed(expectShape(3, {kAny}, b.getF32Type())) ||
      failed(expectShape(4, {kAny, kAny}, b.getF32Type())))
    return failure();
  return width;
}

LogicalResult KernelDeclaration::expectCacheAppend() {
  if (failed(expectRanks({4, 1, 4})) || failed(expectPast(1)))
    return failure();
  constexpr int64_t any = ShapedType::kDynamic;
  int64_t heads = size(0, 2), headSize = size(0, 3);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(headSize) || !heads || !headSize)
    return function.emitOpError("requires known heads and head size");
  Type f32 = Float32Type::get(function.getContext());
  return success(succeeded(expectShape(0, {any, any, heads, headSize}, f32)) &&
                 succeeded(expectShape(2, {any, heads, any, headSize}, f32)));
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
