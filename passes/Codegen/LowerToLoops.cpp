//===- LowerToLoops.cpp - linalg on memrefs to loops ----------------------===//
//
// The pass around lib/Codegen/Host/LowerToLoops.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_LOWERTOLOOPS
#include "qopt/Passes/Passes.h.inc"

using namespace mlir;

namespace {

struct LowerToLoops : impl::LowerToLoopsBase<LowerToLoops> {
  using Base::Base;

  void runOnOperation() override {
    FailureOr<int64_t> number = host::lowerToLoops(getOperation(), parallelInnermost);
    if (failed(number))
      return signalPassFailure();
    numLoops += *number;
  }
};

} // namespace
} // namespace qopt
