//===- EmitKernels.cpp - From declarations to bodies -----------------------===//
#include "Kernel.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/HostAbi.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace qopt::kernels {

LogicalResult Kernel::expectRanks(ArrayRef<int64_t> ranks) {
  if (function.getNumArguments() != ranks.size() || function.getNumResults() != 0)
    return function.emitOpError() << "expected " << ranks.size() << " operands and no result, but got "
                                  << function.getNumArguments() << " and " << function.getNumResults();
  for (auto [i, rank] : llvm::enumerate(ranks)) {
    auto memref = dyn_cast<MemRefType>(arg(i).getType());
    if (!memref || memref.getRank() != rank || !memref.getLayout().isIdentity())
      return function.emitOpError() << "expected a contiguous memref of rank " << rank << " as operand " << i
                                    << ", but got " << arg(i).getType();
  }
  return success();
}

LogicalResult Kernel::expectShape(unsigned i, ArrayRef<int64_t> shape, Type element) {
  MemRefType actual = type(i);
  bool fits = actual.getElementType() == element && actual.getRank() == static_cast<int64_t>(shape.size());
  for (auto [have, want] : llvm::zip(actual.getShape(), shape))
    fits &= ShapedType::isDynamic(want) || have == want;
  if (!fits)
    return function.emitOpError() << "expected " << MemRefType::get(shape, element) << " as operand " << i << ", but got "
                                  << actual;
  return success();
}

Attribute Kernel::config(StringRef name) {
  auto dictionary = function->getAttrOfType<DictionaryAttr>(kKernelConfigAttr);
  return dictionary ? dictionary.get(name) : Attribute();
}
bool Kernel::flag(StringRef name) { return isa_and_nonnull<UnitAttr>(config(name)); }
int64_t Kernel::integer(StringRef name, int64_t otherwise) {
  auto value = dyn_cast_or_null<IntegerAttr>(config(name));
  return value ? value.getInt() : otherwise;
}
float Kernel::real(StringRef name, float otherwise) {
  auto value = dyn_cast_or_null<FloatAttr>(config(name));
  return value ? static_cast<float>(value.getValueAsDouble()) : otherwise;
}

namespace {

using Generator = LogicalResult (*)(Kernel &);

Generator find(StringRef name) {
  return llvm::StringSwitch<Generator>(name)
      .Case("matmul_f32", emitMatmulF32)
      .Case("matmul_w8a16", emitMatmulW8A16)
      .Case("matmul_w4a16", emitMatmulW4A16)
      .Case("matmul_w8a8", emitMatmulW8A8)
      .Case("quantize", emitQuantize)
      .Case("dynamic_quantize", emitDynamicQuantize)
      .Case("split_columns", emitSplitColumns)
      .Case("rms_norm", emitRmsNorm)
      .Case("rotary", emitRotary)
      .Case("gather", emitGather)
      .Case("attention", emitAttention)
      .Default(nullptr);
}

/// The kernels of index checks call it; declared once per module.
void declareFail(ModuleOp module) {
  if (module.lookupSymbol(kFailFunction))
    return;
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  Type i64 = b.getI64Type();
  auto function = func::FuncOp::create(b, module.getLoc(), kFailFunction, b.getFunctionType({i64, i64, i64}, {}));
  function.setPrivate();
}

LogicalResult emitBody(func::FuncOp function, StringRef name, Target target) {
  Generator generate = find(name);
  if (!generate)
    return function.emitOpError() << "unknown kernel \"" << name << '"';
  OpBuilder builder(function.getContext());
  builder.setInsertionPointToEnd(function.addEntryBlock());
  Kernel kernel(function, target, builder);
  if (failed(generate(kernel)))
    return failure();
  func::ReturnOp::create(kernel);
  return success();
}

} // namespace
} // namespace qopt::kernels

LogicalResult qopt::emitKernels(ModuleOp module, StringRef level) {
  if (level != "x86-64-v3" && level != "x86-64-v4")
    return module.emitError() << "unknown code level \"" << level << '"';
  MLIRContext *context = module.getContext();
  context->loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                       memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
  SmallVector<func::FuncOp> declarations;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isDeclaration() && function->hasAttrOfType<StringAttr>(kKernelAttr))
      declarations.push_back(function);
  if (!declarations.empty())
    kernels::declareFail(module);
  for (func::FuncOp function : declarations)
    if (failed(kernels::emitBody(function, function->getAttrOfType<StringAttr>(kKernelAttr).getValue(),
                                 {/*vnni512=*/level == "x86-64-v4"})))
      return failure();
  return success();
}
