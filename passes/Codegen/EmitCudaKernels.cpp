//===- EmitCudaKernels.cpp - The pass around the CUDA kernel generators ----===//
//
// The generators are in lib/Codegen/CUDA.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_EMITCUDAKERNELS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct EmitCudaKernels : impl::EmitCudaKernelsBase<EmitCudaKernels> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(emitCudaKernels(getOperation())))
      signalPassFailure();
  }
};

} // namespace
} // namespace qopt
