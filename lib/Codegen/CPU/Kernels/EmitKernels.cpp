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

namespace {

using Generator = LogicalResult (*)(Kernel &);

Generator find(StringRef name) {
  return llvm::StringSwitch<Generator>(name)
      .Case("matmul_f32", emitMatmulF32)
      .Case("matmul_f16", emitMatmulF16)
      .Case("matmul_w8a16", emitMatmulW8A16)
      .Case("matmul_w4a16", emitMatmulW4A16)
      .Case("matmul_w8a8", emitMatmulW8A8)
      .Case("quantize", emitQuantize)
      .Case("dynamic_quantize", emitDynamicQuantize)
      .Case("split_columns", emitSplitColumns)
      .Case("split_columns_at", emitSplitColumnsAt)
      .Case("rms_norm", emitRmsNorm)
      .Case("rotary", emitRotary)
      .Case("gather", emitGather)
      .Case("attention", emitAttention)
      .Case("cached_attention", emitCachedAttention)
      .Case("cache_append", emitCacheAppend)
      .Default(nullptr);
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
    for (func::FuncOp function : declarations)
      if (failed(kernels::emitBody(function, function->getAttrOfType<StringAttr>(kKernelAttr).getValue(),
                                   {/*vnni512=*/level == "x86-64-v4"})))
        return failure();
  return success();
}
