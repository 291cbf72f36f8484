//===- OnnxLoweringIndices.cpp - Index arithmetic, folded and shared ------===//
//
// Sizes are numbers where they are known, and then no operation is made for them.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

std::optional<int64_t> lowering::constantOf(OpFoldResult size) { return getConstantIntValue(size); }

Value OnnxLowering::value(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return value;
  Value &cached = indexConstants[*constantOf(size)];
  if (!cached) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.getBody().front());
    cached = arith::ConstantIndexOp::create(b, *constantOf(size));
  }
  return cached;
}

OpFoldResult OnnxLowering::shared(char operation, OpFoldResult lhs, OpFoldResult rhs,
                                  function_ref<Value(Value, Value)> create) {
  OpFoldResult &cached = arithmetic[{operation, lhs.getOpaqueValue(), rhs.getOpaqueValue()}];
  if (!cached)
    cached = create(value(lhs), value(rhs));
  return cached;
}

/// The order of operands of a commutative operation: constants last.
static void order(OpFoldResult &lhs, OpFoldResult &rhs) {
  if (constantOf(lhs) && !constantOf(rhs))
    std::swap(lhs, rhs);
}

OpFoldResult OnnxLowering::add(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(int64_t(uint64_t(*x) + uint64_t(*y)));
  if (y == 0)
    return lhs;
  return shared('+', lhs, rhs, [&](Value l, Value r) { return arith::AddIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::sub(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(int64_t(uint64_t(*x) - uint64_t(*y)));
  if (y == 0)
    return lhs;
  if (lhs == rhs)
    return index(0);
  return shared('-', lhs, rhs, [&](Value l, Value r) { return arith::SubIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::mul(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(int64_t(uint64_t(*x) * uint64_t(*y)));
  if (y == 1)
    return lhs;
  if (y == 0)
    return index(0);
  return shared('*', lhs, rhs, [&](Value l, Value r) { return arith::MulIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::div(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (y == 0)
    return index(0);
  if (y == -1)
    return sub(index(0), lhs);
  if (x && y)
    return index(*x / *y);
  if (y == 1)
    return lhs;
  return shared('/', lhs, rhs, [&](Value l, Value r) -> Value {
    if (y)
      return arith::DivSIOp::create(b, l, r);
    // Neither division by zero nor that of the least number by -1 may trap.
    Value zero = value(index(0)), one = value(index(1)), minusOne = value(index(-1));
    Value isZero = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, r, zero);
    Value isMinusOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, r, minusOne);
    Value unsafe = arith::OrIOp::create(b, isZero, isMinusOne);
    Value quotient = arith::DivSIOp::create(b, l, arith::SelectOp::create(b, unsafe, one, r));
    Value negated = arith::SubIOp::create(b, zero, l);
    quotient = arith::SelectOp::create(b, isMinusOne, negated, quotient);
    return arith::SelectOp::create(b, isZero, zero, quotient);
  });
}

OpFoldResult OnnxLowering::min(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(std::min(*x, *y));
  if (lhs == rhs || y == std::numeric_limits<int64_t>::max())
    return lhs;
  return shared('<', lhs, rhs, [&](Value l, Value r) { return arith::MinSIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::max(OpFoldResult lhs, OpFoldResult rhs) {
  order(lhs, rhs);
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (x && y)
    return index(std::max(*x, *y));
  if (lhs == rhs)
    return lhs;
  return shared('>', lhs, rhs, [&](Value l, Value r) { return arith::MaxSIOp::create(b, l, r); });
}

OpFoldResult OnnxLowering::product(ArrayRef<OpFoldResult> factors) {
  // The constant part last: products that differ only in it share the rest.
  int64_t constant = 1;
  OpFoldResult result = index(1);
  for (OpFoldResult factor : factors) {
    if (std::optional<int64_t> known = constantOf(factor))
      constant = int64_t(uint64_t(constant) * uint64_t(*known));
    else
      result = mul(result, factor);
  }
  return mul(result, index(constant));
}

LogicalResult OnnxLowering::requireEqual(OpFoldResult lhs, OpFoldResult rhs) {
  std::optional<int64_t> x = constantOf(lhs), y = constantOf(rhs);
  if (lhs == rhs || (x && x == y))
    return success();
  if (x && y)
    return emitError(b.getLoc()) << "requires equal sizes but got " << *x << " and " << *y;
  Value l = value(lhs), r = value(rhs);
  Value same = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, l, r);
  emitRequire(b, b.getLoc(), same, RuntimeError::ShapeMismatch, l, r);
  return success();
}
