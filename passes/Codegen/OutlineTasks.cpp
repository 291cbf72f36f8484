//===- OutlineTasks.cpp - Parallel loops to tasks of the runtime ----------===//
//
// The pass around lib/Codegen/Host/OutlineTasks.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_OUTLINETASKS
#include "qopt/Passes/Passes.h.inc"

using namespace mlir;

namespace {

struct OutlineTasks : impl::OutlineTasksBase<OutlineTasks> {
  using Base::Base;

  void runOnOperation() override {
    FailureOr<int64_t> number = host::outlineTasks(getOperation());
    if (failed(number))
      return signalPassFailure();
    numTasks += *number;
  }
};

} // namespace
} // namespace qopt
