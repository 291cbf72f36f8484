//===- ConvertKernelsToLlvm.cpp - gpu.funcs to the LLVM dialect ------------===//
//
// One conversion to the LLVM dialect instead of upstream's pass, which makes calls
// of libdevice from math operations and refuses LLVM's own intrinsics.
//
//===----------------------------------------------------------------------===//
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_CONVERTKERNELSTOLLVM
#include "qopt/Passes/Passes.h.inc"

using namespace mlir;

namespace {

LogicalResult convertToLlvm(gpu::GPUModuleOp kernels) {
  MLIRContext *context = kernels.getContext();
  LLVMTypeConverter types(context);
  configureGpuToNVVMTypeConverter(types);
  RewritePatternSet patterns(context);
  populateGpuToNVVMConversionPatterns(types, patterns, /*benefit=*/10);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  // Before what the GPU's patterns make of math operations.
  populateMathToLLVMConversionPatterns(types, patterns, /*approximateLog1p=*/true, /*benefit=*/20);
  populateFinalizeMemRefToLLVMConversionPatterns(types, patterns);
  populateVectorToLLVMConversionPatterns(types, patterns);
  ub::populateUBToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addIllegalDialect<arith::ArithDialect, gpu::GPUDialect, math::MathDialect, memref::MemRefDialect,
                           ub::UBDialect, vector::VectorDialect>();
  target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  target.addLegalOp<gpu::GPUModuleOp>();
  return applyPartialConversion(kernels, target, std::move(patterns));
}

/// Tensor maps lie in the parameters themselves, where the copies read them. The
/// conversion keeps no attributes of arguments, so which they are is asked before it.
using TensorMaps = std::vector<std::pair<std::string, unsigned>>; // kernels and arguments

TensorMaps findTensorMaps(gpu::GPUModuleOp kernels) {
  TensorMaps maps;
  for (auto kernel : kernels.getOps<gpu::GPUFuncOp>())
    for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
      if (getArgAttr<attrs::TensorMap>(kernel, i))
        maps.emplace_back(kernel.getName().str(), i);
  return maps;
}

void passByValue(gpu::GPUModuleOp kernels, const TensorMaps &maps) {
  Builder b(kernels.getContext());
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), QRT_TENSOR_MAP_BYTES);
  for (const auto &[name, i] : maps) {
    auto kernel = kernels.lookupSymbol<LLVM::LLVMFuncOp>(name);
    kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(type));
    kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(QRT_TENSOR_MAP_BYTES / 2));
    kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(), b.getUnitAttr());
  }
}

/// A kernel whose warps share out registers between them begins with as many as a block
/// alone on its multiprocessor has; otherwise ptxas does not know from how many it starts.
void fixRegistersAtEntry(gpu::GPUModuleOp kernels) {
  for (auto kernel : kernels.getOps<LLVM::LLVMFuncOp>()) {
    bool sharesOut = kernel.walk([](NVVM::SetMaxRegisterOp) { return WalkResult::interrupt(); }).wasInterrupted();
    if (sharesOut)
      kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), Builder(kernel).getI32IntegerAttr(1));
  }
}

struct ConvertKernelsToLlvm : impl::ConvertKernelsToLlvmBase<ConvertKernelsToLlvm> {
  using Base::Base;

  void runOnOperation() override {
    TensorMaps maps = findTensorMaps(getOperation());
    if (failed(convertToLlvm(getOperation())))
      return signalPassFailure();
    passByValue(getOperation(), maps);
    fixRegistersAtEntry(getOperation());
  }
};

} // namespace
} // namespace qopt
