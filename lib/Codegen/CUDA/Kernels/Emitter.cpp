//===- Emitter.cpp - Arithmetic, memory and control flow -------------------===//
//
// What the operators of the builder become: operations of arith, math, vector, scf and the
// LLVM dialect, folded where they can be.
//
//===----------------------------------------------------------------------===//
#include "Emitter.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace qopt::cuda {

//===----------------------------------------------------------------------===//
// Types and constants
//===----------------------------------------------------------------------===//

Type Emitter::vector(Type element, int64_t lanes) { return lanes == 1 ? element : VectorType::get(lanes, element); }
Type Emitter::pointer(unsigned addressSpace) { return LLVM::LLVMPointerType::get(getContext(), addressSpace); }

Value Emitter::boolean(bool value) { return arith::ConstantOp::create(*this, getBoolAttr(value)); }

static Value constant(Emitter &e, Type type, TypedAttr element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(e, DenseElementsAttr::get(vector, Attribute(element)));
  return arith::ConstantOp::create(e, element);
}
Value Emitter::splat(Type type, int64_t value) {
  Type element = getElementTypeOrSelf(type);
  if (isa<FloatType>(element))
    return splat(type, static_cast<double>(value));
  unsigned bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
  return constant(*this, type, getIntegerAttr(element, APInt(bits, value, /*isSigned=*/true, /*implicitTrunc=*/true)));
}
Value Emitter::splat(Type type, double value) {
  return constant(*this, type, getFloatAttr(getElementTypeOrSelf(type), value));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value Emitter::div(Value a, Value b) { return byElement<arith::DivFOp, arith::DivUIOp>(a, b); }
Value Emitter::rem(Value a, Value b) { return createOrFold<arith::RemUIOp>(a, b); }
Value Emitter::abs(Value a) { return math::AbsFOp::create(*this, a); }
Value Emitter::sqrt(Value a) { return math::SqrtOp::create(*this, a); }

Value Emitter::bitAnd(Value a, Value b) { return createOrFold<arith::AndIOp>(a, b); }
Value Emitter::bitOr(Value a, Value b) { return createOrFold<arith::OrIOp>(a, b); }
Value Emitter::bitXor(Value a, Value b) { return createOrFold<arith::XOrIOp>(a, b); }
Value Emitter::shiftLeft(Value a, int64_t bits) { return createOrFold<arith::ShLIOp>(a, splat(a.getType(), bits)); }
Value Emitter::shiftRight(Value a, int64_t bits) { return createOrFold<arith::ShRUIOp>(a, splat(a.getType(), bits)); }

Value Emitter::lessEqual(Value a, Value b) {
  return compare(arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle, a, b);
}
Value Emitter::below(Value a, Value b) { return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, a, b); }
Value Emitter::negate(Value condition) { return bitXor(condition, splat(condition.getType(), int64_t(1))); }

Value Emitter::toInteger(Value value, Type type) {
  unsigned from = getElementTypeOrSelf(value).getIntOrFloatBitWidth();
  unsigned to = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  if (from == to)
    return value;
  return from < to ? createOrFold<arith::ExtSIOp>(type, value) : createOrFold<arith::TruncIOp>(type, value);
}
Value Emitter::toFloat(Value value, Type type) {
  if (!isFloat(value))
    return createOrFold<arith::SIToFPOp>(type, value);
  unsigned from = getElementTypeOrSelf(value).getIntOrFloatBitWidth();
  unsigned to = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  if (from == to)
    return value;
  if (from < to)
    return arith::ExtFOp::create(*this, type, value);
  return arith::TruncFOp::create(*this, type, value);
}
Value Emitter::toHalf(Value value) {
  value = arith::MinimumFOp::create(*this, f32(65504), value); // NaN stays
  value = arith::MaximumFOp::create(*this, f32(-65504), value);
  return toFloat(value, getF16Type());
}
Value Emitter::bitcast(Value value, Type type) {
  if (value.getType() == type)
    return value;
  if (isa<VectorType>(value.getType()) && isa<VectorType>(type))
    return createOrFold<vector::BitCastOp>(cast<VectorType>(type), value);
  return LLVM::BitcastOp::create(*this, type, value);
}

Value Emitter::permuteBytes(Value low, Value high, int64_t selector) {
  return intrinsic("llvm.nvvm.prmt", getI32Type(), {low, high, i32(selector)});
}

Value Emitter::broadcast(Value scalar, int64_t lanes) {
  return lanes == 1 ? scalar
                    : vector::BroadcastOp::create(*this, cast<VectorType>(vector(scalar.getType(), lanes)), scalar);
}
Value Emitter::extract(Value value, int64_t lane) {
  return isa<VectorType>(value.getType()) ? vector::ExtractOp::create(*this, value, ArrayRef<int64_t>{lane}) : value;
}
Value Emitter::insert(Value scalar, Value value, int64_t lane) {
  return isa<VectorType>(value.getType()) ? vector::InsertOp::create(*this, scalar, value, ArrayRef<int64_t>{lane})
                                          : scalar;
}
Value Emitter::pack(ValueRange scalars) {
  return vector::FromElementsOp::create(*this, VectorType::get(scalars.size(), scalars[0].getType()), scalars);
}

Value Emitter::intrinsic(StringRef name, Type result, ValueRange operands) {
  if (!result) {
    LLVM::CallIntrinsicOp::create(*this, getStringAttr(name), operands);
    return Value();
  }
  return LLVM::CallIntrinsicOp::create(*this, result, getStringAttr(name), operands).getResult(0);
}
Value Emitter::exp2Approx(Value x) { return intrinsic("llvm.nvvm.ex2.approx.f32", getF32Type(), x); }
Value Emitter::rsqrtApprox(Value x) { return intrinsic("llvm.nvvm.rsqrt.approx.f", getF32Type(), x); }
Value Emitter::reciprocalApprox(Value x) { return intrinsic("llvm.nvvm.rcp.approx.ftz.f", getF32Type(), x); }

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Emitter::at(Value base, Type element, Value index) {
  return LLVM::GEPOp::create(*this, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{index});
}
Value Emitter::at(Value base, Type element, int64_t index) {
  if (index == 0)
    return base;
  return LLVM::GEPOp::create(*this, base.getType(), element, base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
}
Value Emitter::row(Value base, Type element, Value row, int64_t width) {
  return at(base, element, mul(toInteger(row, getI64Type()), width));
}

static int64_t sizeOf(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  int64_t bits = getElementTypeOrSelf(type).getIntOrFloatBitWidth() * (vector ? vector.getNumElements() : 1);
  return std::max<int64_t>(bits / 8, 1);
}
Value Emitter::load(Type type, Value pointer, int64_t alignment) {
  return LLVM::LoadOp::create(*this, type, pointer, alignment ? alignment : sizeOf(type));
}
void Emitter::store(Value value, Value pointer, int64_t alignment) {
  LLVM::StoreOp::create(*this, value, pointer, alignment ? alignment : sizeOf(value.getType()));
}
Value Emitter::shared(int64_t offset) {
  Value base = LLVM::AddressOfOp::create(*this, pointer(3), kSharedSymbol);
  return at(base, getI8Type(), offset);
}

int64_t Emitter::lanesOf(int64_t width, int64_t bytes) {
  int64_t lanes = 16 / bytes;
  while (lanes > 1 && width % lanes)
    lanes /= 2;
  return lanes;
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void Emitter::forLoop(Value begin, Value end, Value step, Body body) {
  auto loop = scf::ForOp::create(*this, begin, end, step);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(loop.getBody()->getTerminator());
  body(loop.getInductionVar());
}
void Emitter::forLoop(Value begin, Value end, int64_t step, Body body) {
  forLoop(begin, end, splat(begin.getType(), step), body);
}
Values Emitter::forLoop(Value begin, Value end, Value step, ValueRange initial, CarryingBody body) {
  if (initial.empty()) {
    forLoop(begin, end, step, [&](Value i) { body(i, {}); });
    return {};
  }
  auto loop = scf::ForOp::create(*this, begin, end, step, initial);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToEnd(loop.getBody());
  scf::YieldOp::create(*this, body(loop.getInductionVar(), loop.getRegionIterArgs()));
  return llvm::to_vector(ValueRange(loop.getResults()));
}
Values Emitter::forLoop(Value begin, Value end, int64_t step, ValueRange initial, CarryingBody body) {
  return forLoop(begin, end, splat(begin.getType(), step), initial, body);
}

void Emitter::ifThen(Value condition, function_ref<void()> then, function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(*this, condition, /*withElseRegion=*/static_cast<bool>(otherwise));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(op.thenBlock()->getTerminator());
  then();
  if (otherwise) {
    setInsertionPoint(op.elseBlock()->getTerminator());
    otherwise();
  }
}
Values Emitter::whileLoop(ValueRange initial, function_ref<Value(ValueRange)> condition,
                          function_ref<Values(ValueRange)> body) {
  auto loop = scf::WhileOp::create(
      *this, initial.getTypes(), initial, [&](OpBuilder &, Location, ValueRange) {},
      [&](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToEnd(loop.getBeforeBody());
  scf::ConditionOp::create(*this, condition(loop.getBeforeArguments()), loop.getBeforeArguments());
  setInsertionPointToEnd(loop.getAfterBody());
  scf::YieldOp::create(*this, body(loop.getAfterArguments()));
  return llvm::to_vector(ValueRange(loop.getResults()));
}
Values Emitter::ifElse(Value condition, function_ref<Values()> then, function_ref<Values()> otherwise) {
  Block *blocks[2] = {new Block, new Block};
  SmallVector<Type> types;
  for (int i = 0; i < 2; ++i) {
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToEnd(blocks[i]);
    Values results = i ? otherwise() : then();
    scf::YieldOp::create(*this, results);
    types.assign(ValueRange(results).getTypes().begin(), ValueRange(results).getTypes().end());
  }
  auto op = scf::IfOp::create(*this, types, condition, /*addThenBlock=*/false, /*addElseBlock=*/false);
  op.getThenRegion().push_back(blocks[0]);
  op.getElseRegion().push_back(blocks[1]);
  return llvm::to_vector(ValueRange(op.getResults()));
}

void Emitter::fail(Value errors, Value code, Value a, Value b) {
  Value found = LLVM::AtomicCmpXchgOp::create(*this, errors, i64(0), code, LLVM::AtomicOrdering::monotonic,
                                              LLVM::AtomicOrdering::monotonic);
  Value isFirst = LLVM::ExtractValueOp::create(*this, found, ArrayRef<int64_t>{1});
  ifThen(isFirst, [&] {
    store(toInteger(a, getI64Type()), at(errors, getI64Type(), 1));
    store(toInteger(b, getI64Type()), at(errors, getI64Type(), 2));
  });
}

} // namespace qopt::cuda
