//===- Functions.cpp - Keeping functions in order -------------------------===//
//
// Dead operations are looked for from the end, so that one walk finds whole chains.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Functions.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

void qopt::eraseDeadOps(func::FuncOp function) {
  for (Block &block : function.getBody())
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
}

void qopt::updateResultTypes(func::FuncOp function) {
  for (Block &block : function.getBody())
    if (auto result = dyn_cast<func::ReturnOp>(block.getTerminator()))
      function.setType(FunctionType::get(function.getContext(), function.getArgumentTypes(), result.getOperandTypes()));
}
