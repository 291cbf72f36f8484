//===- ConvertOnnxToLinalg.cpp - ONNX operators to linalg on tensors ------===//
//
// Lowers every operator that has no hand-made kernel; how, stands in the Lower*.cpp
// files beside this one, by kind of operator.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_CONVERTONNXTOLINALG
#include "qopt/Passes/Passes.h.inc"

namespace {

struct ConvertOnnxToLinalg : impl::ConvertOnnxToLinalgBase<ConvertOnnxToLinalg> {
  using Base::Base;

  void runOnOperation() override {
    lowering::Handlers handlers;
    lowering::populateAttention(handlers);
    lowering::populateElementwise(handlers);
    lowering::populateIndexing(handlers);
    lowering::populateMatMuls(handlers);
    lowering::populateMovement(handlers);
    lowering::populateNormalization(handlers);
    lowering::populateQuantization(handlers);
    lowering::populateQuantizedProducts(handlers);
    lowering::populateReductions(handlers);
    lowering::populateShapes(handlers);
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      if (!function.getBody().hasOneBlock()) {
        function.emitOpError("expected one block but got ") << function.getBody().getBlocks().size();
        return signalPassFailure();
      }
      lowering::OnnxLowering lowering(function, handlers);
      lowering.usesQuantTypes = quantTypes;
      if (failed(lowering.run()))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace qopt
