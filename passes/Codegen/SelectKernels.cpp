//===- SelectKernels.cpp - The kernels of one architecture -----------------===//
//
// Code for a device is made of a module's kernels alone: what runs on the host has a
// pipeline of its own.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_SELECTKERNELS
#include "qopt/Passes/Passes.h.inc"

using namespace mlir;

namespace {

struct SelectKernels : impl::SelectKernelsBase<SelectKernels> {
  using Base::Base;

  void runOnOperation() override {
    if (getOperation().getOps<gpu::GPUModuleOp>().empty()) {
      getOperation().emitError("has no gpu.module, in which kernels are expected");
      return signalPassFailure();
    }
    for (Operation &op : llvm::make_early_inc_range(*getOperation().getBody()))
      if (auto kernels = dyn_cast<gpu::GPUModuleOp>(op))
        select(kernels);
      else
        op.erase();
  }

private:
  void select(gpu::GPUModuleOp kernels) {
    for (auto kernel : llvm::make_early_inc_range(kernels.getOps<FunctionOpInterface>()))
      if (auto arch = getAttr<attrs::Arch>(kernel); !chip.empty() && arch && arch.getValue() != chip) {
        kernel.erase();
        ++numLeftOut;
      }
  }
};

} // namespace
} // namespace qopt
