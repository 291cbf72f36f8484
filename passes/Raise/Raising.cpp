//===- Raising.cpp - What the raise passes share --------------------------===//
//
// The tolerances hold for sums of some hundred terms, which different ways to compute the
// same value round differently.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Remarks.h"

using namespace mlir;
using namespace qopt;

double raise::toleranceOf(Type element) {
  if (element.isF64() || element.isF32())
    return 2e-5;
  return element.isF16() ? 1e-2 : 6e-2;
}

bool raise::isGraph(func::FuncOp function) {
  if (function.getBody().hasOneBlock())
    return true;
  if (!function.isExternal())
    remarkMissed(function.getLoc(), topics::kGraph,
                 "expected a function of one block but got " + Twine(function.getBlocks().size()));
  return false;
}

llvm::DenseSet<Value> raise::findUsedValues(func::FuncOp function) {
  llvm::DenseSet<Value> used;
  SmallVector<Value> open(function.front().getTerminator()->getOperands());
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (used.insert(value).second)
      if (Operation *op = value.getDefiningOp())
        open.append(op->operand_begin(), op->operand_end());
  }
  return used;
}

bool raise::isContextAssumed(func::FuncOp function, int64_t option) {
  return option == 0 && !getAttr<attrs::ContextLength>(function->getParentOp());
}

FailureOr<int64_t> raise::contextLength(func::FuncOp function, int64_t option) {
  int64_t length = option;
  auto context = getAttr<attrs::ContextLength>(function->getParentOp());
  if (length == 0)
    length = context ? context.getInt() : kAssumedContext;
  if (length < 1)
    return emitError(function.getLoc()) << "expected a context of at least 1 token but got " << length;
  return length;
}

Value raise::scaledBy(OpBuilder &builder, Location loc, Value value, const APFloat &factor) {
  if (factor.isExactlyValue(1.0))
    return value;
  Type element = typeOf(value).getElementType();
  auto number =
      DenseElementsAttr::get(RankedTensorType::get({}, element), FloatAttr::get(element, factor.convertToDouble()));
  return onnx::MulOp::create(builder, loc, value.getType(), value, onnx::ConstantOp::create(builder, loc, number));
}

Value raise::createInts(OpBuilder &builder, Location loc, ArrayRef<int64_t> values) {
  return onnx::ConstantOp::create(builder, loc, builder.getI64TensorAttr(values));
}
