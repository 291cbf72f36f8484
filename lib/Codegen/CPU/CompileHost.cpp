//===- CompileHost.cpp - Lowered functions to code for one x86-64 level ---===//
//
// Each level has code of its own, made of a copy of the same lowered functions.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "qopt/Codegen/Codegen.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/Kernels.h"

using namespace mlir;

FailureOr<std::vector<char>> qopt::compileHost(ModuleOp module, StringRef level) {
  if (!findHostLevel(level))
    return module.emitError("has no code generator for \"") << level << '"';
  module.getContext()
      ->loadDialect<affine::AffineDialect, arith::ArithDialect, cf::ControlFlowDialect, LLVM::LLVMDialect,
                    math::MathDialect, memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
  OwningOpRef<ModuleOp> copy(module.clone());
  if (failed(emitKernels(*copy, level)) || failed(host::lowerToLoops(*copy)) || failed(host::lowerAbi(*copy)) ||
      failed(host::lowerLaunches(*copy)) || failed(host::outlineTasks(*copy)))
    return failure();
  host::expandMath(*copy);
  if (failed(host::lowerToLlvm(*copy)))
    return failure();
  FailureOr<std::vector<char>> object = host::emitObject(*copy, level);
  if (failed(object))
    return failure();
  return host::linkShared(module.getLoc(), *object);
}
