//===- EmitCpuKernels.cpp - Code for kernels of one host level ------------===//
//
// The pass around the generators of lib/Codegen/CPU/Kernels.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/StringExtras.h"

namespace qopt {
#define GEN_PASS_DEF_EMITCPUKERNELS
#include "qopt/Passes/Passes.h.inc"

using namespace mlir;

namespace {

struct EmitCpuKernels : impl::EmitCpuKernelsBase<EmitCpuKernels> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    known = findHostLevel(std::string(level));
    if (!known)
      return emitError(UnknownLoc::get(context), "qopt-emit-cpu-kernels: expected level ")
             << llvm::join(hostLevelNames(), " or ") << " but got \"" << level << '"';
    return success();
  }

  void runOnOperation() override {
    FailureOr<int64_t> number = emitKernels(getOperation(), *known);
    if (failed(number))
      return signalPassFailure();
    numKernels += *number;
  }

private:
  const HostLevel *known = nullptr;
};

} // namespace
} // namespace qopt
