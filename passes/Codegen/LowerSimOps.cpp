//===- LowerSimOps.cpp - Operations of GPUs as calls of the simulator -------===//
//
// The pass around lib/Codegen/Sim/LowerDeviceOps.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_LOWERSIMOPS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct LowerSimOps : impl::LowerSimOpsBase<LowerSimOps> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(sim::lowerDeviceOps(getOperation())))
      signalPassFailure();
  }
};

} // namespace
} // namespace qopt
