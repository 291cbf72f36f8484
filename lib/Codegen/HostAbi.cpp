//===- HostAbi.cpp - How lowered functions talk to the runtime ------------===//
#include "qopt/Codegen/HostAbi.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

using namespace mlir;

namespace qopt {

static void emitCall(OpBuilder &builder, Location loc, StringRef name, ValueRange operands) {
  Operation *inside = builder.getInsertionBlock()->getParentOp();
  auto module = dyn_cast<ModuleOp>(inside);
  if (!module)
    module = inside->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    auto type = builder.getFunctionType(operands.getTypes(), {});
    func::FuncOp::create(builder, builder.getUnknownLoc(), name, type).setPrivate();
  }
  func::CallOp::create(builder, loc, name, TypeRange(), operands);
}

static Value toI64(OpBuilder &builder, Location loc, Value value) {
  Type i64 = builder.getI64Type();
  if (value.getType() == i64)
    return value;
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(builder, loc, i64, value);
  return arith::ExtSIOp::create(builder, loc, i64, value);
}

void emitFail(OpBuilder &builder, Location loc, QrtError code, Value a, Value b) {
  Value codeValue = arith::ConstantIntOp::create(builder, loc, code, 64);
  emitCall(builder, loc, kFailFunction, {codeValue, toI64(builder, loc, a), toI64(builder, loc, b)});
}

void emitRequire(OpBuilder &builder, Location loc, Value condition, QrtError code, Value a, Value b) {
  Value codeValue = arith::ConstantIntOp::create(builder, loc, code, 64);
  emitCall(builder, loc, kRequireFunction, {condition, codeValue, toI64(builder, loc, a), toI64(builder, loc, b)});
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
