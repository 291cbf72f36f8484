//===- Emitter.cpp - Vectors, loops and tiles of kernels ------------------===//
//
// Every kernel of the CPU is written with these few words, in widths that the level
// has.
//
//===----------------------------------------------------------------------===//
#include "Emitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;

namespace qopt::kernels {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

Value Emitter::index(int64_t value) { return arith::ConstantIndexOp::create(*this, value); }
Value Emitter::f32(float value) { return arith::ConstantOp::create(*this, getF32FloatAttr(value)); }
Value Emitter::i32(int64_t value) { return arith::ConstantOp::create(*this, getI32IntegerAttr(value)); }
Value Emitter::i64(int64_t value) { return arith::ConstantOp::create(*this, getI64IntegerAttr(value)); }

Value Emitter::splat(float value) {
  return arith::ConstantOp::create(*this, DenseElementsAttr::get(vector(getF32Type()), value));
}

Value Emitter::splatI32(int64_t value, int64_t lanes) {
  return arith::ConstantOp::create(*this,
                                   DenseElementsAttr::get(vector(getI32Type(), lanes), static_cast<int32_t>(value)));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value Emitter::div(Value a, Value b) { return createOrFold<arith::DivUIOp>(a, b); }
Value Emitter::rem(Value a, Value b) { return createOrFold<arith::RemUIOp>(a, b); }
Value Emitter::div(Value a, int64_t b) { return div(a, index(b)); }
Value Emitter::rem(Value a, int64_t b) { return rem(a, index(b)); }
Value Emitter::ceilDiv(Value a, int64_t b) { return div(add(a, index(b - 1)), b); }
Value Emitter::minIndex(Value a, Value b) { return createOrFold<arith::MinUIOp>(a, b); }

Value Emitter::broadcast(Value scalar, int64_t lanes) {
  return vector::BroadcastOp::create(*this, vector(getElementTypeOrSelf(scalar), lanes), scalar);
}
Value Emitter::bitcast(Value value, Type type) {
  if (isa<VectorType>(type))
    return vector::BitCastOp::create(*this, type, value);
  return arith::BitcastOp::create(*this, type, value);
}

Value Emitter::toHalf(Value value) {
  Value limited = max(splat(-65504.0f), min(splat(65504.0f), value)); // NaN stays
  return arith::TruncFOp::create(*this, vector(getF16Type()), limited);
}
Value Emitter::roundToHalf(Value value) { return arith::ExtFOp::create(*this, value.getType(), toHalf(value)); }

Value Emitter::halves(Value value, function_ref<Value(Value, Value)> combine) {
  for (int64_t half = cast<VectorType>(value.getType()).getNumElements() / 2; half; half /= 2) {
    SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(0, half));
    SmallVector<int64_t> high = llvm::to_vector(llvm::seq<int64_t>(half, 2 * half));
    value = combine(shuffle(value, value, low), shuffle(value, value, high));
  }
  return vector::ExtractOp::create(*this, value, ArrayRef<int64_t>{0});
}
Value Emitter::sumLanes(Value value) {
  return halves(value, [&](Value a, Value b) { return add(a, b); });
}
Value Emitter::maxLanes(Value value) {
  return halves(value, [&](Value a, Value b) { return max(a, b); });
}

Value Emitter::fence(Value value) { return intrinsic("llvm.arithmetic.fence", value.getType(), value); }

Value Emitter::intrinsic(StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(*this, result, getStringAttr(name), operands).getResult(0);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Emitter::dim(Value memref, int64_t i) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(i))
    return index(type.getDimSize(i));
  return memref::DimOp::create(*this, memref, i);
}
Value Emitter::load(Value memref, ValueRange indices) { return memref::LoadOp::create(*this, memref, indices); }
void Emitter::store(Value value, Value memref, ValueRange indices) {
  memref::StoreOp::create(*this, value, memref, indices);
}

/// A constant mask of the first `valid` of `lanes` lanes.
static Value maskOf(Emitter &e, int64_t valid, int64_t lanes) {
  SmallVector<bool> bits(lanes, false);
  std::fill_n(bits.begin(), valid, true);
  return arith::ConstantOp::create(e, DenseElementsAttr::get(e.vector(e.getI1Type(), lanes), bits));
}

Value Emitter::loadVector(Value memref, ValueRange indices, int64_t valid, int64_t lanes) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  VectorType type = vector(element, lanes);
  if (valid >= lanes)
    return vector::LoadOp::create(*this, type, memref, indices);
  Value zero = arith::ConstantOp::create(*this, getZeroAttr(type));
  return vector::MaskedLoadOp::create(*this, type, memref, indices, maskOf(*this, valid, lanes), zero);
}

void Emitter::storeVector(Value value, Value memref, ValueRange indices, int64_t valid) {
  int64_t lanes = cast<VectorType>(value.getType()).getNumElements();
  if (valid >= lanes)
    vector::StoreOp::create(*this, value, memref, indices);
  else
    vector::MaskedStoreOp::create(*this, memref, indices, maskOf(*this, valid, lanes), value);
}

void Emitter::prefetch(Value memref, ValueRange indices) {
  memref::PrefetchOp::create(*this, memref, indices, /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}

void Emitter::prefetchWeights(Value weights, Value block, Value row, int64_t streams) {
  constexpr int64_t kBytesAhead = 8192; // of all streams
  auto type = cast<MemRefType>(weights.getType());
  int64_t rowBytes = type.getDimSize(2) * type.getElementTypeBitWidth() / 8;
  prefetch(weights, {block, add(row, index(kBytesAhead / streams / rowBytes)), index(0)});
}

Value Emitter::scratch(ArrayRef<int64_t> shape, Type element) {
  return memref::AllocaOp::create(*this, MemRefType::get(shape, element), ValueRange{}, ValueRange{},
                                  getI64IntegerAttr(64));
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void Emitter::forLoop(Value begin, Value end, int64_t step, function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*this, begin, end, index(step));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(loop.getBody()->getTerminator());
  body(loop.getInductionVar());
}

Values Emitter::forLoop(Value begin, Value end, int64_t step, ValueRange initial,
                        function_ref<Values(Value, ValueRange)> body) {
  if (initial.empty()) { // a loop without values ends by itself
    forLoop(begin, end, step, [&](Value i) { body(i, {}); });
    return {};
  }
  auto loop = scf::ForOp::create(*this, begin, end, index(step), initial);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToEnd(loop.getBody());
  scf::YieldOp::create(*this, body(loop.getInductionVar(), loop.getRegionIterArgs()));
  return llvm::to_vector(ValueRange(loop.getResults()));
}

void Emitter::chunks(int64_t size, function_ref<void(Value, int64_t)> body) {
  int64_t full = size / kLanes * kLanes;
  if (full)
    forLoop(index(0), index(full), kLanes, [&](Value i) { body(i, kLanes); });
  if (full < size)
    body(index(full), size - full);
}

Values Emitter::chunks(int64_t size, ValueRange initial, function_ref<Values(Value, int64_t, ValueRange)> body) {
  int64_t full = size / kLanes * kLanes;
  Values results = llvm::to_vector(initial);
  if (full)
    results = forLoop(index(0), index(full), kLanes, results,
                      [&](Value i, ValueRange carried) { return body(i, kLanes, carried); });
  if (full < size)
    results = body(index(full), size - full, results);
  return results;
}

void Emitter::parallel(Value count, int64_t grain, function_ref<void(Value)> body) {
  auto loop = scf::ParallelOp::create(*this, ValueRange{index(0)}, ValueRange{count}, ValueRange{index(1)});
  if (grain > 1)
    setAttr<attrs::Grain>(loop, getI64IntegerAttr(grain));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(loop.getBody()->getTerminator());
  // One iteration's stack memory ends with it, however the loop is cut up later.
  auto scope = memref::AllocaScopeOp::create(*this, TypeRange{});
  createBlock(&scope.getBodyRegion());
  body(loop.getInductionVars().front());
  memref::AllocaScopeReturnOp::create(*this, ValueRange{});
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

void Emitter::tiles(Value begin, Value end, ArrayRef<int64_t> sizes, function_ref<void(Value, int64_t)> body) {
  for (int64_t size : sizes) {
    Value length = sub(end, begin);
    Value stop = size == 1 ? end : add(begin, mul(div(length, size), index(size)));
    forLoop(begin, stop, size, [&](Value i) { body(i, size); });
    begin = stop;
  }
}

void Emitter::failIndex(Value position, Value size) {
  auto toI64 = [&](Value v) {
    return v.getType().isInteger(64) ? v : createOrFold<arith::IndexCastOp>(getI64Type(), v);
  };
  FailOp::create(*this, RuntimeError::IndexOutOfRange, toI64(position), toI64(size));
}

} // namespace qopt::kernels
