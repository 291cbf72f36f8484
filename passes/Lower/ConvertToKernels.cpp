//===- ConvertToKernels.cpp - Heavy operators become kernels ---------------===//
//
// Runs on tensors, before everything else is lowered: operands are flattened to rows,
// constant weights are packed, and an operation of the kernel dialect takes the place of
// the operator. What no kernel fits is left as it is, with a reason.
//
//===----------------------------------------------------------------------===//
#include "KernelPatterns.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Remarks.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_CONVERTTOKERNELS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct ConvertToKernels : impl::ConvertToKernelsBase<ConvertToKernels> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Operation *> constants;
    getOperation().walk([&](Operation *op) {
      if (isa<ParameterOp, onnx::ConstantOp, onnx::CastOp>(op))
        constants.push_back(op);
    });
    lowering::PackedParameters parameters(getOperation());
    RewritePatternSet patterns(&getContext());
    lowering::populateMatMulKernels(patterns, parameters);
    lowering::populateQuantizationKernels(patterns, parameters);
    lowering::populateDecoderKernels(patterns, parameters);
    lowering::populateAttentionKernels(patterns, parameters);
    // In order and once each: what becomes of an operator may depend on its users.
    ReasonListener reasons(getOperation());
    walkAndApplyPatterns(getOperation(), std::move(patterns), &reasons);
    explain(reasons);
    getOperation().walk([&](kernel::KernelOpInterface) { ++numKernels; });
    // Weights that are now packed, and their casts.
    for (Operation *op : llvm::reverse(constants))
      if (op->use_empty())
        op->erase();
  }

private:
  /// Says of each heavy operator that is left why no kernel fits. Not of Gather, which
  /// chooses sizes as often as rows of a table.
  void explain(const ReasonListener &reasons) {
    if (!areRemarksWanted(getOperation()))
      return;
    getOperation().walk([&](Operation *op) {
      if (isa<onnx::AttentionOp, onnx::GemmOp, onnx::LayerNormalizationOp, onnx::MatMulOp, onnx::RMSNormalizationOp,
              onnx::RotaryEmbeddingOp, CachedAttentionOp, DynamicQuantizeOp, MatmulW4A16Op, MatmulW4A8Op, MatmulW8A16Op,
              MatmulW8A8Op, QuantizeOp, SplitColumnsAtOp, SplitColumnsOp>(op))
        remarkMissed(op->getLoc(), topics::kKernel,
                     "'" + op->getName().getStringRef() + "' runs as a loop: " + reasons.reasonOf(op));
    });
  }
};

} // namespace
} // namespace qopt
