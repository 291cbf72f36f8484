//===- LowerToLlvm.cpp - What is left to the LLVM dialect -----------------===//
//
// Upstream's conversions, in the order that leaves no cast between types behind, and what
// must be rewritten before them.
//
//===----------------------------------------------------------------------===//
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/Codegen/Host/Steps.h"

using namespace mlir;

/// expand-strided-metadata takes at most one dynamic size per group of an
/// expand_shape; for dense memrefs the sizes that the operation has say it all.
static void lowerExpandShapes(ModuleOp module) {
  module.walk([](memref::ExpandShapeOp expand) {
    MemRefType type = expand.getResultType();
    if (!type.getLayout().isIdentity() || !expand.getSrcType().getLayout().isIdentity())
      return;
    OpBuilder b(expand);
    Location loc = expand.getLoc();
    SmallVector<OpFoldResult> sizes = expand.getMixedOutputShape(), strides(sizes.size());
    OpFoldResult stride = b.getIndexAttr(1);
    for (size_t i = sizes.size(); i-- > 0;) {
      strides[i] = stride;
      std::optional<int64_t> size = getConstantIntValue(sizes[i]), known = getConstantIntValue(stride);
      if (size && known)
        stride = b.getIndexAttr(*size * *known);
      else
        stride = arith::MulIOp::create(b, loc, getValueOrCreateConstantIndexOp(b, loc, stride),
                                       getValueOrCreateConstantIndexOp(b, loc, sizes[i]))
                     .getResult();
    }
    Value dense = memref::ReinterpretCastOp::create(b, loc, expand.getSrc(), b.getIndexAttr(0), sizes, strides);
    if (dense.getType() != type)
      dense = memref::CastOp::create(b, loc, type, dense);
    expand.replaceAllUsesWith(dense);
    expand.erase();
  });
}

/// Buffers of a known size on the stack belong to the whole function, so that a
/// loop reuses them; the scopes around them then have nothing left to do.
static void hoistStackBuffers(ModuleOp module) {
  for (auto function : module.getOps<FunctionOpInterface>()) {
    if (function.isExternal())
      continue;
    Operation *entry = &function.getFunctionBody().front().front();
    function.walk([&](memref::AllocaOp alloca) {
      if (alloca->getNumOperands() == 0)
        alloca->moveBefore(entry);
    });
    function.walk([](memref::AllocaScopeOp scope) {
      Block &body = scope.getBodyRegion().front();
      Operation *end = body.getTerminator();
      scope->replaceAllUsesWith(end->getOperands());
      end->erase();
      scope->getBlock()->getOperations().splice(scope->getIterator(), body.getOperations());
      scope->erase();
    });
  }
}

void qopt::host::prepareForLlvm(ModuleOp module) {
  lowerExpandShapes(module);
  hoistStackBuffers(module);
}

void qopt::host::addLlvmLowering(OpPassManager &passes) {
  passes.addPass(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  passes.addPass(arith::createArithExpandOpsPass(expand));
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertIndexToLLVMPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}
