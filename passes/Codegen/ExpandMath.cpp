//===- ExpandMath.cpp - Functions of math as arithmetic ---------------------===//
//
// The pass around lib/Codegen/Host/ExpandMath.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Passes/Passes.h"

namespace qopt {
#define GEN_PASS_DEF_EXPANDMATH
#include "qopt/Passes/Passes.h.inc"

namespace {

struct ExpandMath : impl::ExpandMathBase<ExpandMath> {
  using Base::Base;

  void runOnOperation() override { host::expandMath(getOperation()); }
};

} // namespace
} // namespace qopt
