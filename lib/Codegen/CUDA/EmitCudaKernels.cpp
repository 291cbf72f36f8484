//===- EmitCudaKernels.cpp - From declarations to launches -----------------===//
#include "DeclareKernels.h"
#include "Kernel.h"
#include "Loops.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/Kernels.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace qopt::cuda {
namespace {

using Generator = LogicalResult (*)(Kernel &);

Generator find(StringRef name) {
  return llvm::StringSwitch<Generator>(name)
      .Case("quantize", emitQuantize)
      .Case("dynamic_quantize", emitDynamicQuantize)
      .Case("split_columns", emitSplitColumns)
      .Case("split_columns_at", emitSplitColumnsAt)
      .Case("rms_norm", emitRmsNorm)
      .Case("rotary", emitRotary)
      .Case("gather", emitGather)
      .Cases({"matmul_w8a8", "matmul_w4a16", "matmul_w8a16", "matmul_f32", "matmul_f16"}, emitProduct)
      .Case("attention", emitAttention)
      .Case("cached_attention", emitCachedAttention)
      .Case("cache_append", emitCacheAppend)
      .Default(nullptr);
}

/// Groups to launches. Kernels and loops that are parts of launches only are gone then.
LogicalResult emitGroups(ModuleOp module) {
  llvm::SetVector<func::FuncOp> called;
  for (func::FuncOp function : llvm::to_vector(module.getOps<func::FuncOp>())) {
    if (!function->hasAttr(kGroupAttr))
      continue;
    function.walk([&](func::CallOp call) { called.insert(module.lookupSymbol<func::FuncOp>(call.getCallee())); });
    if (failed(emitGroup(function)))
      return failure();
  }
  SymbolTableCollection symbols;
  SymbolUserMap users(symbols, module);
  for (func::FuncOp function : called)
    if (users.useEmpty(function))
      function.erase();
  return success();
}

LogicalResult emitBody(func::FuncOp function, StringRef name) {
  Generator generate = find(name);
  if (!generate)
    return function.emitOpError() << "unknown kernel \"" << name << "\" for CUDA";
  OpBuilder builder(function.getContext());
  builder.setInsertionPointToEnd(function.addEntryBlock());
  Kernel kernel(function, builder);
  if (failed(generate(kernel)))
    return failure();
  func::ReturnOp::create(kernel);
  return success();
}

} // namespace
} // namespace qopt::cuda

LogicalResult qopt::emitCudaKernels(ModuleOp module) {
  if (failed(declareKernels(module)))
    return failure();
  // Groups first: they are read from declarations and loops.
  if (failed(cuda::emitGroups(module)) || failed(cuda::emitLoops(module)))
    return failure();
  for (func::FuncOp function : llvm::to_vector(module.getOps<func::FuncOp>())) {
    auto kernel = function->getAttrOfType<StringAttr>(kKernelAttr);
    if (kernel && function.isDeclaration() && failed(cuda::emitBody(function, kernel.getValue())))
      return failure();
  }
  host::expandMath(module);
  return success();
}
