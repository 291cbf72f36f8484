//===- EmitterWarp.cpp - What the threads of a block do together -----------===//
//
// Shuffles, votes and barriers, sums and maxima of them, and the products of tensor cores,
// which all lanes of a warp compute together.
//
//===----------------------------------------------------------------------===//
#include "Emitter.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace qopt::cuda {

static gpu::Dimension dimensionOf(unsigned i) { return static_cast<gpu::Dimension>(i); }

Value Emitter::thread() {
  return createOrFold<arith::IndexCastOp>(getI32Type(), gpu::ThreadIdOp::create(*this, gpu::Dimension::x));
}
Value Emitter::block(unsigned dimension) {
  return createOrFold<arith::IndexCastOp>(getI32Type(), gpu::BlockIdOp::create(*this, dimensionOf(dimension)));
}
Value Emitter::lane() { return bitAnd(thread(), kWarp - 1); }
Value Emitter::warp() { return shiftRight(thread(), 5); }
void Emitter::barrier() { gpu::BarrierOp::create(*this); }
void Emitter::warpBarrier() { NVVM::SyncWarpOp::create(*this, i32(-1)); }

static Value exchange(Emitter &e, Value value, Value which, NVVM::ShflKind kind, int64_t clamp) {
  return NVVM::ShflOp::create(e, value.getType(), e.i32(-1), value, which, e.i32(clamp), kind, UnitAttr());
}
Value Emitter::shuffleXor(Value value, int64_t mask) {
  return exchange(*this, value, i32(mask), NVVM::ShflKind::bfly, 31);
}
Value Emitter::shuffleUp(Value value, int64_t distance) {
  return exchange(*this, value, i32(distance), NVVM::ShflKind::up, 0);
}
Value Emitter::shuffleFrom(Value value, Value lane) { return exchange(*this, value, lane, NVVM::ShflKind::idx, 31); }

Value Emitter::reduceLanes(Value value, int64_t lanes, function_ref<Value(Value, Value)> combine) {
  for (int64_t mask = lanes / 2; mask; mask /= 2)
    value = combine(value, shuffleXor(value, mask));
  return value;
}
Value Emitter::warpSum(Value value, int64_t lanes) {
  return reduceLanes(value, lanes, [&](Value a, Value b) { return add(a, b); });
}
Value Emitter::warpMax(Value value, int64_t lanes) {
  return reduceLanes(value, lanes, [&](Value a, Value b) { return max(a, b); });
}
Value Emitter::ballot(Value condition) {
  return NVVM::VoteSyncOp::create(*this, getI32Type(), i32(-1), condition, NVVM::VoteSyncKind::ballot);
}

Value Emitter::blockMax(Value value, int64_t threads, Value scratch) {
  Type type = value.getType();
  value = warpMax(value);
  ifThen(equal(lane(), 0), [&] { store(value, at(scratch, type, warp())); });
  barrier();
  // Lanes without a warp of their own repeat the last one.
  Value last = i32(threads / kWarp - 1);
  return warpMax(load(type, at(scratch, type, min(lane(), last))));
}

//===----------------------------------------------------------------------===//
// Copies and tensor cores
//===----------------------------------------------------------------------===//

void Emitter::copyAsync(Value shared, Value global, int64_t bytes, Value condition) {
  Value source = global;
  if (cast<LLVM::LLVMPointerType>(global.getType()).getAddressSpace() != 1)
    source = LLVM::AddrSpaceCastOp::create(*this, pointer(1), global);
  Value count = condition ? select(condition, i32(bytes), i32(0)) : Value();
  // Only copies of 16 bytes may go past L1.
  auto cache = bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
  NVVM::CpAsyncOp::create(*this, shared, source, static_cast<uint32_t>(bytes), cache, count);
}
void Emitter::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(*this); }
void Emitter::waitCopies(int64_t pending) { NVVM::CpAsyncWaitGroupOp::create(*this, static_cast<uint32_t>(pending)); }

static Values fields(Emitter &e, Value structure) {
  Values result;
  for (size_t i = 0, n = cast<LLVM::LLVMStructType>(structure.getType()).getBody().size(); i < n; ++i)
    result.push_back(LLVM::ExtractValueOp::create(e, structure, ArrayRef<int64_t>{static_cast<int64_t>(i)}));
  return result;
}

Values Emitter::loadMatrices(Value row, int64_t count, bool transposed) {
  Type i32 = getI32Type();
  Type result = count == 1 ? i32 : LLVM::LLVMStructType::getLiteral(getContext(), SmallVector<Type>(count, i32));
  Value loaded = NVVM::LdMatrixOp::create(
      *this, result, row, static_cast<uint32_t>(count), transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(getContext(), 8, 8), NVVM::LdStMatrixEltType::B16);
  return count == 1 ? Values{loaded} : fields(*this, loaded);
}

Values Emitter::mmaS8(ValueRange a, ValueRange b, ValueRange c) {
  Type result = LLVM::LLVMStructType::getLiteral(getContext(), SmallVector<Type>(4, getI32Type()));
  return fields(*this, NVVM::MmaOp::create(*this, result, a, b, c, ArrayRef<int64_t>{16, 8, 32}, std::nullopt,
                                           NVVM::MMAIntOverflow::satfinite,
                                           std::array<NVVM::MMATypes, 2>{NVVM::MMATypes::s8, NVVM::MMATypes::s8},
                                           std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col}));
}
Values Emitter::mmaF16(ValueRange a, ValueRange b, ValueRange c) {
  Type result = LLVM::LLVMStructType::getLiteral(getContext(), SmallVector<Type>(4, getF32Type()));
  return fields(*this,
                NVVM::MmaOp::create(*this, result, a, b, c, ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt,
                                    std::array<NVVM::MMATypes, 2>{NVVM::MMATypes::f16, NVVM::MMATypes::f16},
                                    std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col}));
}

Values Emitter::mmaTf32(ValueRange a, ValueRange b, ValueRange c) {
  Type result = LLVM::LLVMStructType::getLiteral(getContext(), SmallVector<Type>(4, getF32Type()));
  return fields(*this,
                NVVM::MmaOp::create(*this, result, a, b, c, ArrayRef<int64_t>{16, 8, 8}, std::nullopt, std::nullopt,
                                    std::array<NVVM::MMATypes, 2>{NVVM::MMATypes::tf32, NVVM::MMATypes::tf32},
                                    std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col}));
}

} // namespace qopt::cuda
