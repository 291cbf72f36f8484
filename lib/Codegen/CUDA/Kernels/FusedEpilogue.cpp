//===- FusedEpilogue.cpp - Steps on results while they are in registers ----===//
//
// A lane has one column. The scalar code of a loop is cloned as it is. Rotary takes the
// other element of a pair from another lane: the columns of a block are chosen so that
// it is in the same warp (Pairing). What goes into a cache is stored there at once.
//
//===----------------------------------------------------------------------===//
#include "FusedEpilogue.h"
#include "mlir/IR/IRMapping.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Runtime/Abi.h"

using namespace mlir;

namespace qopt::cuda {

FusedArguments::FusedArguments(Kernel &k, const FusedGroup &group) {
  for (BlockArgument argument : group.memory) {
    addresses[argument] = list.size();
    list.push_back({k.address(argument), /*readOnly=*/!group.isWritten(argument)});
  }
  auto pass = [&](const FusedCall &call, unsigned operand, unsigned dimension) {
    limits[call.op] = list.size();
    list.push_back({k.dim(call.memory(operand), dimension)});
  };
  if (group.quantization && group.quantization.kernel() == "split_columns_at")
    pass(group.quantization, 1, 0);
  bool canFail = false;
  for (const FusedBranch &branch : group.branches)
    for (const FusedStep &step : branch.steps) {
      if (step.loop)
        continue;
      bool isRotary = step.call.kernel() == "rotary";
      pass(step.call, isRotary ? 1 : 2, isRotary ? 0 : 2);
      canFail = true;
    }
  if (canFail)
    list.push_back(k.errors());
}

void FusedEpilogue::run(ValueRange results) {
  for (auto [product, result] : llvm::zip(branch.products, results))
    elements[product.call.memory(product.declaration.y)] = result;
  for (const FusedStep &step : branch.steps) {
    if (step.loop)
      runLoop(step);
    else if (step.call.kernel() == "rotary")
      rotate(step.call);
    else
      append(step.call);
  }
  t.ifThen(isColumn, [&] {
    for (auto [memory, element] : elements)
      if (!arguments.isScratch(memory))
        t.store(element, t.at(arguments.address(args, memory), t.f32Type(), column));
  });
}

Values cloneScalars(Emitter &t, linalg::GenericOp loop, function_ref<Value(OpOperand &)> element) {
  IRMapping mapping;
  for (Operation &op : *loop->getBlock())
    if (op.hasTrait<OpTrait::ConstantLike>())
      t.clone(op, mapping);
  for (OpOperand &operand : loop->getOpOperands())
    if (loop.payloadUsesValueFromOperand(&operand))
      mapping.map(loop.getMatchingBlockArgument(&operand), element(operand));
  for (Operation &op : loop.getBody()->without_terminator())
    t.clone(op, mapping);
  Values results;
  for (Value result : loop.getBody()->getTerminator()->getOperands())
    results.push_back(mapping.lookupOrDefault(result));
  return results;
}

void FusedEpilogue::runLoop(const FusedStep &step) {
  linalg::GenericOp loop = step.loop;
  Values results = cloneScalars(t, loop, [&](OpOperand &operand) {
    Value memory = step.call.memory(operand.getOperandNumber()), element = elements.lookup(memory);
    if (element)
      return element;
    bool isScalar = loop.getMatchingIndexingMap(&operand).getNumResults() == 0;
    return t.load(t.f32Type(), t.at(arguments.address(args, memory), t.f32Type(), isScalar ? t.i32(0) : clamped()));
  });
  for (auto [i, result] : llvm::enumerate(results))
    elements[step.call.memory(step.call.firstResult + i)] = result;
}

Value FusedEpilogue::check(const FusedCall &step, Value position) {
  Value limit = arguments.limit(args, step), isValid = t.below(position, limit);
  t.ifThen(t.both(t.negate(isValid), t.equal(column, 0)),
           [&] { t.fail(arguments.errors(args), QRT_INDEX_OUT_OF_RANGE, position, limit); });
  return isValid;
}

void FusedEpilogue::rotate(const FusedCall &rotary) {
  const Pairing &pairing = *branch.pairing;
  Type f32 = t.f32Type();
  Value row = t.i64(0);
  if (rotary.op->getNumOperands() == 5) {
    // One row: one position.
    Value positions = rotary.memory(3);
    Type type = cast<MemRefType>(positions.getType()).getElementType();
    Value given = t.toInteger(t.load(type, arguments.address(args, positions)), t.getI64Type());
    row = t.select(check(rotary, given), given, t.i64(0));
  }
  Value inHead = t.rem(clamped(), pairing.headSize), isTurned = t.less(inHead, pairing.rotated);
  Value place = pairing.interleaved ? t.shiftRight(inHead, 1) : t.rem(inHead, pairing.half());
  Value isFirst = pairing.interleaved ? t.equal(t.bitAnd(inHead, 1), 0) : t.less(inHead, pairing.half());
  place = t.select(isTurned, place, t.i32(0));
  auto entry = [&](unsigned table) {
    Value line = t.row(arguments.address(args, rotary.memory(table)), f32, row, pairing.half());
    return t.load(f32, t.at(line, f32, place));
  };
  Value x = elements.lookup(rotary.memory(0)), c = entry(1), s = entry(2);
  Value other = t.shuffleXor(x, pairing.interleaved ? 1 : pairing.isFar() ? 16 : pairing.half());
  Value along = t.mul(x, c), across = t.mul(other, s);
  Value turned = t.select(isFirst, t.sub(along, across), t.add(along, across));
  elements[rotary.memory(rotary.firstResult)] = t.select(isTurned, turned, x);
}

/// To its place in the cache, whose heads have `limit` tokens each.
void FusedEpilogue::append(const FusedCall &append) {
  KernelDeclaration declaration(append.callee);
  int64_t size = declaration.size(0, 3);
  Value past = t.load(t.getI64Type(), arguments.address(args, append.memory(1)));
  t.ifThen(t.both(check(append, past), isColumn), [&] {
    Value head = t.toInteger(t.div(column, size), t.getI64Type());
    Value token = t.add(t.mul(head, arguments.limit(args, append)), past);
    Value place = t.row(arguments.address(args, append.memory(2)), t.f32Type(), token, size);
    t.store(elements.lookup(append.memory(0)), t.at(place, t.f32Type(), t.rem(column, size)));
  });
}

} // namespace qopt::cuda
