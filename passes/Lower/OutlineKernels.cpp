//===- OutlineKernels.cpp - Loop nests to functions -----------------------===//
//
// So that compile time and code size do not grow with the number of layers: the
// same loops on other buffers are the same function.
//
//===----------------------------------------------------------------------===//
#include "mlir/Transforms/RegionUtils.h"
#include "qopt/Codegen/Kernels.h"
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
      bool isEntry = !function.isPrivate();
      if (function.isExternal() || !(isEntry || function->hasAttr(kGroupAttr)))
        continue;
      // Entry points are not merged, even if they do the same.
      if (isEntry)
        setAttr<attrs::Entry>(function, function.getSymNameAttr());
      turnCopiesIntoLoops(function);
      unsigned next = 0;
      for (Operation &op : llvm::make_early_inc_range(function.getBody().front()))
        if (isa<linalg::LinalgOp, scf::ForOp, scf::ParallelOp>(op)) {
          outline(&op, function, next++, symbols);
          ++numKernels;
        }
    }
  }

  static void turnCopiesIntoLoops(func::FuncOp function) {
    function.walk([](memref::CopyOp copy) {
      OpBuilder b(copy);
      linalg::CopyOp::create(b, copy.getLoc(), copy.getSource(), copy.getTarget());
      copy.erase();
    });
  }

  /// Constants and views of constants are made again inside.
  static bool belongsInside(Operation *op) { return op && op->hasTrait<OpTrait::ConstantLike>(); }

  static void outline(Operation *op, func::FuncOp function, unsigned number, SymbolTable &symbols) {
    llvm::SetVector<Value> used(op->operand_begin(), op->operand_end());
    for (Region &region : op->getRegions())
      getUsedValuesDefinedAbove(region, used);
    SmallVector<Value> arguments;
    SmallVector<Operation *> inside;
    for (Value value : used) {
      if (belongsInside(value.getDefiningOp()))
        inside.push_back(value.getDefiningOp());
      else
        arguments.push_back(value);
    }
    OpBuilder b(op);
    auto type = b.getFunctionType(ValueRange(arguments).getTypes(), {});
    auto kernel = func::FuncOp::create(op->getLoc(), (function.getName() + "_loop_" + Twine(number)).str(), type);
    kernel.setPrivate();
    symbols.insert(kernel);
    b.setInsertionPointToStart(kernel.addEntryBlock());
    IRMapping mapping;
    mapping.map(arguments, kernel.getArguments());
    for (Operation *constant : inside)
      b.clone(*constant, mapping);
    b.clone(*op, mapping);
    func::ReturnOp::create(b, op->getLoc());
    b.setInsertionPoint(op);
    func::CallOp::create(b, op->getLoc(), kernel, arguments);
    op->erase();
  }
};

} // namespace
} // namespace qopt
