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
#include "qopt/Dialect/Attributes.h"
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

/// The conversion keeps attributes of functions but none of their arguments, so the
/// numbers of those that are tensor maps go with the function.
void numberTensorMaps(gpu::GPUModuleOp kernels) {
  for (auto kernel : kernels.getOps<gpu::GPUFuncOp>()) {
    SmallVector<int32_t> numbers;
    for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
      if (getArgAttr<attrs::TensorMap>(kernel, i))
        numbers.push_back(i);
    if (!numbers.empty())
      setAttr<attrs::TensorMaps>(kernel, DenseI32ArrayAttr::get(kernel.getContext(), numbers));
  }
}

/// Tensor maps lie in the parameters themselves, where the copies read them.
void passTensorMapsByValue(gpu::GPUModuleOp kernels) {
  Builder b(kernels.getContext());
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), QRT_TENSOR_MAP_BYTES);
  for (auto kernel : kernels.getOps<LLVM::LLVMFuncOp>()) {
    auto numbers = getAttr<attrs::TensorMaps>(kernel);
    if (!numbers)
      continue;
    for (int32_t i : numbers.asArrayRef()) {
      kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(type));
      kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(QRT_TENSOR_MAP_BYTES / 2));
      kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(), b.getUnitAttr());
    }
    kernel->removeAttr(attrs::TensorMaps::getNameStr());
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
    numberTensorMaps(getOperation());
    if (failed(convertToLlvm(getOperation())))
      return signalPassFailure();
    passTensorMapsByValue(getOperation());
    fixRegistersAtEntry(getOperation());
  }
};

} // namespace
} // namespace qopt
