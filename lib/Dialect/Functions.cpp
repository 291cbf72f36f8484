//===- Functions.cpp - Keeping functions in order -------------------------===//
//
// Dead operations are looked for from the end, so that one walk finds whole chains.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Functions.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

void qopt::eraseDeadOps(func::FuncOp function) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void qopt::updateResultTypes(func::FuncOp function) {
  function.setType(FunctionType::get(function.getContext(), function.getArgumentTypes(),
                                     function.front().getTerminator()->getOperandTypes()));
}
