//===- LowerHostAbi.cpp - Functions to what the runtime calls -------------===//
//
// The pass around lib/Codegen/Host/LowerAbi.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_LOWERHOSTABI
#include "qopt/Passes/Passes.h.inc"

using namespace mlir;

namespace {

struct LowerHostAbi : impl::LowerHostAbiBase<LowerHostAbi> {
  using Base::Base;

  void runOnOperation() override {
    FailureOr<int64_t> number = host::lowerAbi(getOperation());
    if (failed(number))
      return signalPassFailure();
    numEntries += *number;
  }
};

} // namespace
} // namespace qopt
