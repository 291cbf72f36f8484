//===- EmitSim.cpp - Simulator code in the LLVM dialect to a shared object --===//
//
// The same object emitter and linker as for host code.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Runtime/Abi.h"

using namespace mlir;

FailureOr<std::vector<char>> qopt::emitSim(ModuleOp module, bool detectRaces) {
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  LLVM::GlobalOp::create(b, module.getLoc(), b.getI32Type(), /*isConstant=*/true, LLVM::Linkage::External,
                         "qrt_abi_version", b.getI32IntegerAttr(QRT_ABI_VERSION));
  // A simulated kernel runs a few times; most of the time it would be compiled.
  host::ObjectOptions options = {.effort = llvm::CodeGenOptLevel::None, .detectRaces = detectRaces};
  FailureOr<std::vector<char>> object = host::emitObject(module, kHostV3, options);
  if (failed(object))
    return failure();
  return host::linkShared(module.getLoc(), *object, /*mayImport=*/detectRaces);
}
