//===- ConvertToKernels.cpp - Heavy operators become calls of kernels ------===//
//
// Runs on tensors, before everything else is lowered: operands are flattened to
// rows, memory for the result is allocated, and a kernel is called that the code
// generator will write (include/qopt/Codegen/Kernels.h). Constant weights are
// packed here. What no kernel fits is left as it is.
//
//===----------------------------------------------------------------------===//
#include "KernelConversions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_CONVERTTOKERNELS
#include "qopt/Passes/Passes.h.inc"

namespace {

/// Every operator that has a kernel.
LogicalResult convert(Operation *op, lowering::KernelCalls &calls) {
  calls.b.setLoc(op->getLoc());
  calls.b.setInsertionPoint(op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<onnx::MatMulOp, MatmulW8A16Op, MatmulW4A16Op, MatmulW8A8Op,      // products
            QuantizeOp, DynamicQuantizeOp, SplitColumnsOp, SplitColumnsAtOp, // quantization
            onnx::GatherOp, onnx::RMSNormalizationOp,                        // the rest
            onnx::RotaryEmbeddingOp, onnx::AttentionOp, CachedAttentionOp>(  // of a decoder
          [&](auto typed) { return lowering::convertToCall(typed, calls); })
      .Default([](Operation *) { return failure(); });
}

struct ConvertToKernels : impl::ConvertToKernelsBase<ConvertToKernels> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Operation *> candidates, constants;
    module.walk([&](Operation *op) {
      if (isa<ParameterOp, onnx::ConstantOp, onnx::CastOp>(op))
        constants.push_back(op);
      else if (isa_and_nonnull<onnx::OnnxDialect, QoptDialect>(op->getDialect()))
        candidates.push_back(op);
    });
    lowering::KernelCalls calls(module);
    for (Operation *op : candidates)
      if (succeeded(convert(op, calls)))
        ++numCalls;
    // Weights that are now packed, and their casts.
    for (Operation *op : llvm::reverse(constants))
      if (op->use_empty())
        op->erase();
  }
};

} // namespace
} // namespace qopt
