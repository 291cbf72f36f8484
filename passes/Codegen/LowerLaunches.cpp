//===- LowerLaunches.cpp - Kernel launches to calls of the runtime --------===//
//
// The pass around lib/Codegen/Host/LowerLaunches.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_LOWERLAUNCHES
#include "qopt/Passes/Passes.h.inc"

using namespace mlir;

namespace {

struct LowerLaunches : impl::LowerLaunchesBase<LowerLaunches> {
  using Base::Base;

  void runOnOperation() override {
    FailureOr<int64_t> number = host::lowerLaunches(getOperation());
    if (failed(number))
      return signalPassFailure();
    numLaunches += *number;
  }
};

} // namespace
} // namespace qopt
