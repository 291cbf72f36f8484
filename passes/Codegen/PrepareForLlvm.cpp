//===- PrepareForLlvm.cpp - What upstream does not lower to LLVM ------------===//
//
// The pass around prepareForLlvm() of lib/Codegen/Host/LowerToLlvm.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_PREPAREFORLLVM
#include "qopt/Passes/Passes.h.inc"

namespace {

struct PrepareForLlvm : impl::PrepareForLlvmBase<PrepareForLlvm> {
  using Base::Base;

  void runOnOperation() override { host::prepareForLlvm(getOperation()); }
};

} // namespace
} // namespace qopt
