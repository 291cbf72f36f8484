//===- SeparateBuffers.cpp - A result buffer for every loop ----------------===//
//
// Loops with results of one shape share a tensor.empty after CSE, and would share memory
// through all layers. Whether what one loop has written is still needed would then be a
// question about all others; apart, a buffer that nobody else reads is scratch
// (GroupKernels.cpp), and which ones can share memory is PlanMemory's to find.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_SEPARATEBUFFERS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct SeparateBuffers : impl::SeparateBuffersBase<SeparateBuffers> {
  using Base::Base;

  void runOnOperation() override {
    getOperation().walk([&](tensor::EmptyOp empty) {
      // The last one in the list of uses is the first one in the function.
      while (!empty->hasOneUse() && !empty->use_empty()) {
        OpOperand &use = *empty->use_begin();
        OpBuilder b(use.getOwner());
        use.set(b.clone(*empty)->getResult(0));
        ++numBuffers;
      }
    });
  }
};

} // namespace
} // namespace qopt
