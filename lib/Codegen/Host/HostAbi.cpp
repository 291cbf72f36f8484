//===- HostAbi.cpp - How lowered functions talk to the runtime ------------===//
//
// Checks are operations until the interface of a call is lowered; here they are made.
//
//===----------------------------------------------------------------------===//
#include "qopt/Codegen/HostAbi.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

using namespace mlir;

namespace qopt {

static Value toI64(OpBuilder &builder, Location loc, Value value) {
  Type i64 = builder.getI64Type();
  if (value.getType() == i64)
    return value;
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(builder, loc, i64, value);
  return arith::ExtSIOp::create(builder, loc, i64, value);
}

void emitFail(OpBuilder &builder, Location loc, RuntimeError error, Value a, Value b) {
  Value first = toI64(builder, loc, a), second = toI64(builder, loc, b);
  FailOp::create(builder, loc, error, first, second);
}

void emitRequire(OpBuilder &builder, Location loc, Value condition, RuntimeError error, Value a, Value b) {
  Value first = toI64(builder, loc, a), second = toI64(builder, loc, b);
  RequireOp::create(builder, loc, condition, error, first, second);
}

std::vector<gpu::GPUFuncOp> listKernels(ModuleOp module) {
  std::vector<gpu::GPUFuncOp> kernels;
  for (auto gpuModule : module.getOps<gpu::GPUModuleOp>())
    for (auto function : gpuModule.getOps<gpu::GPUFuncOp>())
      if (function.isKernel())
        kernels.push_back(function);
  return kernels;
}

} // namespace qopt
