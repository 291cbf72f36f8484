//===- Probe.cpp - Recognise parts of a graph by what they compute --------===//
//
// A slice is evaluated backwards from the value that is asked for, so only what it
// needs is computed.
//
//===----------------------------------------------------------------------===//
#include "qopt/Reference/Probe.h"
#include "Kernels.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Threading.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

Quiet::Quiet(MLIRContext *context)
    : handler(context,
              [thread = llvm::get_threadid()](Diagnostic &) { return success(llvm::get_threadid() == thread); }) {}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

FailureOr<Tensor> Slice::get(Value value) {
  llvm::SetVector<Operation *> needed;
  SmallVector<Value> open = {value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    if (values.contains(next))
      continue;
    Operation *op = next.getDefiningOp();
    if (!op)
      return emitError(next.getLoc(), "depends on an input that was not given");
    if (op->getNumRegions() != 0 || op->getBlock() != value.getParentBlock())
      return op->emitOpError("cannot be evaluated as part of a slice");
    if (!needed.insert(op))
      continue;
    if (needed.size() > static_cast<size_t>(kMaxOperators))
      return op->emitOpError("needs more than ") << kMaxOperators << " operators";
    open.append(op->operand_begin(), op->operand_end());
  }
  SmallVector<Operation *> ordered = needed.takeVector();
  llvm::sort(ordered, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ordered) {
    SmallVector<const Tensor *> operands;
    for (Value operand : op->getOperands())
      operands.push_back(&values.find(operand)->second);
    std::vector<Tensor> results;
    if (failed(evaluateInto(op, operands, results)))
      return failure();
    for (auto [result, tensor] : llvm::zip(op->getResults(), results))
      values.try_emplace(result, std::move(tensor));
  }
  return values.find(value)->second;
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

bool reference::isClose(const Tensor &expected, const Tensor &actual, double tolerance) {
  if (expected.type.getShape() != actual.type.getShape() || expected.isFloat() != actual.isFloat())
    return false;
  if (!expected.isFloat())
    return expected.ints == actual.ints;
  double largest = 0;
  for (double value : expected.floats)
    largest = std::max(largest, std::abs(value));
  for (auto [a, b] : llvm::zip(expected.floats, actual.floats))
    if (!(std::abs(a - b) <= tolerance * largest))
      return false;
  return true;
}
