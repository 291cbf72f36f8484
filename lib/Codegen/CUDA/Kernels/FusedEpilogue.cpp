//===- FusedEpilogue.cpp - Steps on results while they are in registers ----===//
//
// A lane has one column. The scalar code of a loop is cloned as it is. Rotary takes the
// other element of a pair from another lane: the columns of a block are chosen so that
// it is in the same warp (Pairing). What goes into a cache is stored there at once.
//
//===----------------------------------------------------------------------===//
#include "FusedEpilogue.h"
#include "mlir/Transforms/RegionUtils.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::cuda {

FusedArguments::FusedArguments(Kernel &k, const FusedGroup &group, const IRMapping &outside) {
  for (BlockArgument argument : group.memory) {
    addresses[argument] = list.size();
    list.push_back({k.address(outside.lookup(argument)), /*readOnly=*/!group.isWritten(argument)});
  }
  auto pass = [&](Operation *op, Value sized, unsigned dimension) {
    limits[op] = list.size();
    list.push_back({k.dim(outside.lookup(kernel::getMemory(sized)), dimension)});
  };
  if (auto split = dyn_cast_if_present<kernel::SplitColumnsAtOp>(group.quantization))
    pass(split, split.getColumns(), 0);
  bool canFail = false;
  for (const FusedBranch &branch : group.branches)
    for (Operation *step : branch.steps) {
      if (auto rotary = dyn_cast<kernel::RotaryOp>(step))
        pass(step, rotary.getCos(), 0);
      else if (auto append = dyn_cast<kernel::CacheAppendOp>(step))
        pass(step, append.getCache(), 2);
      canFail |= !isa<linalg::GenericOp>(step);
    }
  if (canFail)
    list.push_back(k.errors());
}

void FusedEpilogue::run(ValueRange results) {
  for (auto [product, result] : llvm::zip(branch.products, results))
    elements[kernel::getMemory(kernel::ProductOpInterface(product.op).getY())] = result;
  for (Operation *op : branch.steps)
    llvm::TypeSwitch<Operation *>(op).Case<linalg::GenericOp, kernel::RotaryOp, kernel::CacheAppendOp>(
        [&](auto typed) { step(typed); });
  t.ifThen(isColumn, [&] {
    for (auto [memory, element] : elements)
      if (!arguments.isScratch(memory))
        t.store(element, t.at(address(memory), t.f32Type(), column));
  });
}

Values cloneScalars(Emitter &t, linalg::GenericOp loop, function_ref<Value(OpOperand &)> element) {
  IRMapping mapping;
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(loop.getRegion(), captured);
  for (Value constant : captured)
    t.clone(*constant.getDefiningOp(), mapping);
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

void FusedEpilogue::step(linalg::GenericOp loop) {
  Values results = cloneScalars(t, loop, [&](OpOperand &operand) {
    if (Value element = elementOf(operand.get()))
      return element;
    bool isScalar = loop.getMatchingIndexingMap(&operand).getNumResults() == 0;
    return t.load(t.f32Type(), t.at(address(operand.get()), t.f32Type(), isScalar ? t.i32(0) : clamped()));
  });
  for (auto [init, result] : llvm::zip(loop.getDpsInits(), results))
    elements[kernel::getMemory(init)] = result;
}

Value FusedEpilogue::check(Operation *step, Value position) {
  Value limit = arguments.limit(args, step), isValid = t.below(position, limit);
  t.ifThen(t.both(t.negate(isValid), t.equal(column, 0)),
           [&] { t.fail(arguments.errors(args), QRT_INDEX_OUT_OF_RANGE, position, limit); });
  return isValid;
}

void FusedEpilogue::step(kernel::RotaryOp rotary) {
  const Pairing &pairing = *branch.pairing;
  Type f32 = t.f32Type();
  Value row = t.i64(0);
  if (rotary.getPositions()) {
    // One row: one position.
    Type type = rotary.getPositions().getType().getElementType();
    Value given = t.toInteger(t.load(type, address(rotary.getPositions())), t.getI64Type());
    row = t.select(check(rotary, given), given, t.i64(0));
  }
  Value inHead = t.rem(clamped(), pairing.headSize), isTurned = t.less(inHead, pairing.rotated);
  Value place = pairing.interleaved ? t.shiftRight(inHead, 1) : t.rem(inHead, pairing.half());
  Value isFirst = pairing.interleaved ? t.equal(t.bitAnd(inHead, 1), 0) : t.less(inHead, pairing.half());
  place = t.select(isTurned, place, t.i32(0));
  auto entry = [&](Value table) {
    return t.load(f32, t.at(t.row(address(table), f32, row, pairing.half()), f32, place));
  };
  Value x = elementOf(rotary.getX()), c = entry(rotary.getCos()), s = entry(rotary.getSin());
  Value other = t.shuffleXor(x, pairing.interleaved ? 1 : pairing.isFar() ? 16 : pairing.half());
  Value along = t.mul(x, c), across = t.mul(other, s);
  Value turned = t.select(isFirst, t.sub(along, across), t.add(along, across));
  elements[kernel::getMemory(rotary.getY())] = t.select(isTurned, turned, x);
}

/// To its place in the cache, whose heads have `limit` tokens each.
void FusedEpilogue::step(kernel::CacheAppendOp append) {
  int64_t size = append.headSize();
  Value past = t.load(t.getI64Type(), address(append.getPast()));
  t.ifThen(t.both(check(append, past), isColumn), [&] {
    Value head = t.toInteger(t.div(column, size), t.getI64Type());
    Value token = t.add(t.mul(head, arguments.limit(args, append)), past);
    Value place = t.row(address(append.getCache()), t.f32Type(), token, size);
    t.store(elementOf(append.getX()), t.at(place, t.f32Type(), t.rem(column, size)));
  });
}

} // namespace qopt::cuda
