//===- OutlineKernels.cpp - Kernels, groups and loop nests to functions ---===//
//
// So that compile time and code size do not grow with the number of layers: the same
// operation on other buffers is the same function.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Dialect/Kernel/Outline.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct OutlineKernels : impl::OutlineKernelsBase<OutlineKernels> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp function : llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal() || function.isPrivate())
        continue;
      // Entry points are not merged, even if they do the same.
      setAttr<attrs::Entry>(function, function.getSymNameAttr());
      turnCopiesIntoLoops(function);
      unsigned loops = 0;
      if (failed(outlineAll(function.front(), function.getName(), loops, symbols)))
        return signalPassFailure();
    }
  }

  static void turnCopiesIntoLoops(func::FuncOp function) {
    function.walk([](memref::CopyOp copy) {
      OpBuilder b(copy);
      linalg::CopyOp::create(b, copy.getLoc(), copy.getSource(), copy.getTarget());
      copy.erase();
    });
  }

  LogicalResult outlineAll(Block &block, StringRef entry, unsigned &loops, SymbolTable &symbols) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (auto kernel = dyn_cast<kernel::KernelOpInterface>(op)) {
        if (failed(kernel::expectMemory(kernel)))
          return failure();
        kernel::outline(kernel, symbols);
      } else if (auto group = dyn_cast<kernel::GroupOp>(op)) {
        kernel::outline(group, symbols);
      } else if (isa<linalg::LinalgOp, scf::ForOp, scf::ParallelOp>(op)) {
        kernel::outlineLoop(&op, entry + "_loop_" + Twine(loops++), symbols);
      } else if (auto repeat = dyn_cast<RepeatOp>(op)) {
        if (failed(outlineAll(repeat.getBody().front(), entry, loops, symbols)))
          return failure();
        continue;
      } else {
        continue;
      }
      ++numFunctions;
    }
    return success();
  }
};

} // namespace
} // namespace qopt
