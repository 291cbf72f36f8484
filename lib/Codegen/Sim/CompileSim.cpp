//===- CompileSim.cpp - GPU kernels to code for the simulator -------------===//
#include "SimCodegen.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Runtime/Abi.h"

using namespace mlir;
using namespace qopt;

FailureOr<std::vector<char>> qopt::compileSim(ModuleOp module, bool detectRaces) {
  module.getContext()
      ->loadDialect<affine::AffineDialect, arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
                    gpu::GPUDialect, LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, NVVM::NVVMDialect,
                    scf::SCFDialect, vector::VectorDialect>();
  // Only the device's part is worth a copy.
  OwningOpRef<ModuleOp> kernels(ModuleOp::create(module.getLoc())), code(ModuleOp::create(module.getLoc()));
  for (auto device : module.getOps<gpu::GPUModuleOp>())
    kernels->push_back(device.clone());
  if (failed(sim::lowerKernels(*kernels, *code)))
    return failure();
  host::expandMath(*code);
  if (failed(host::lowerToLlvm(*code)) || failed(sim::lowerDeviceOps(*code)))
    return failure();
  for (auto global : llvm::make_early_inc_range(code->getOps<LLVM::GlobalOp>())) {
    if (global.getAddrSpace() == 3)
      global.erase();
    else
      global.setAddrSpace(0);
  }
  OpBuilder b = OpBuilder::atBlockBegin(code->getBody());
  LLVM::GlobalOp::create(b, module.getLoc(), b.getI32Type(), /*isConstant=*/true, LLVM::Linkage::External,
                         "qrt_abi_version", b.getI32IntegerAttr(QRT_ABI_VERSION));
  FailureOr<std::vector<char>> object = host::emitObject(*code, "x86-64-v3", detectRaces);
  if (failed(object))
    return failure();
  return host::linkShared(module.getLoc(), *object, /*mayImport=*/detectRaces);
}
