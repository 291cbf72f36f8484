//===- ReplaceDialects.cpp - The end of the way to other compilers --------===//
//
// They know MLIR's dialects and none of ours, neither as operations nor as attributes.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_REPLACEDIALECTS
#include "qopt/Passes/Passes.h.inc"

namespace {

bool isOurs(Dialect *dialect) {
  return isa_and_nonnull<kernel::KernelDialect, onnx::OnnxDialect, QoptDialect>(dialect);
}

/// What an assertion says. The numbers of the error are known at run time only.
StringRef messageOf(RuntimeError error) {
  switch (error) {
  case RuntimeError::IndexOutOfRange:
    return "index out of range";
  case RuntimeError::ShapeMismatch:
    return "requires equal sizes";
  }
  llvm_unreachable("all errors are handled");
}

struct ReplaceDialects : impl::ReplaceDialectsBase<ReplaceDialects> {
  using Base::Base;

  void runOnOperation() override {
    WalkResult result = getOperation().walk([](Operation *op) {
      removeAttributes(op);
      return isOurs(op->getDialect()) && failed(replace(op)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  static LogicalResult replace(Operation *op) {
    OpBuilder builder(op);
    Location loc = op->getLoc();
    if (auto require = dyn_cast<RequireOp>(op)) {
      cf::AssertOp::create(builder, loc, require.getCondition(), messageOf(require.getError()));
    } else if (auto fail = dyn_cast<FailOp>(op)) {
      Value never = arith::ConstantIntOp::create(builder, loc, 0, 1);
      cf::AssertOp::create(builder, loc, never, messageOf(fail.getError()));
    } else if (isa<ParameterOp, onnx::ConstantOp>(op)) {
      auto parameter = dyn_cast<ParameterOp>(op);
      ElementsAttr value = parameter ? parameter.getValue() : cast<onnx::ConstantOp>(op).getValue();
      Type element = value.getElementType();
      if (auto integer = dyn_cast<IntegerType>(element); integer && !integer.isSignless())
        return op->emitOpError("has no form in MLIR's dialects for elements of type ") << element;
      op->getResult(0).replaceAllUsesWith(arith::ConstantOp::create(builder, loc, value));
    } else {
      return op->emitOpError("has no form in MLIR's dialects");
    }
    op->erase();
    return success();
  }

  /// Of the operation, and of the arguments and results of a function.
  static void removeAttributes(Operation *op) {
    for (NamedAttribute attribute : llvm::to_vector(op->getDiscardableAttrs()))
      if (isOurs(attribute.getNameDialect()))
        op->removeDiscardableAttr(attribute.getName());
    auto function = dyn_cast<FunctionOpInterface>(op);
    if (!function)
      return;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      for (NamedAttribute attribute : llvm::to_vector(function.getArgAttrs(i)))
        if (isOurs(attribute.getNameDialect()))
          function.removeArgAttr(i, attribute.getName());
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      for (NamedAttribute attribute : llvm::to_vector(function.getResultAttrs(i)))
        if (isOurs(attribute.getNameDialect()))
          function.removeResultAttr(i, attribute.getName());
  }
};

} // namespace
} // namespace qopt
