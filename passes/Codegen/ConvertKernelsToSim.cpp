//===- ConvertKernelsToSim.cpp - Kernels as functions of simulated threads --===//
//
// The pass around lib/Codegen/Sim/LowerKernels.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_CONVERTKERNELSTOSIM
#include "qopt/Passes/Passes.h.inc"

namespace {

struct ConvertKernelsToSim : impl::ConvertKernelsToSimBase<ConvertKernelsToSim> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(sim::lowerKernels(getOperation())))
      signalPassFailure();
  }
};

} // namespace
} // namespace qopt
