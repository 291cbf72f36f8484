//===- EmitterHopper.cpp - What only sm_90a has ----------------------------===//
//
// The registers of a wgmma belong to it until a wait says that it is done. Nothing in
// LLVM knows that, so the sums pass through the wait as operands and results: what reads
// them takes the results. Operands are used by the wait, lest something else gets their
// registers before (ptxas then serializes, C7513). wgmma with its left operand in registers has no operation in
// MLIR; the simulator reads the mnemonic of the inline assembly.
//
//===----------------------------------------------------------------------===//
#include "Emitter.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace qopt::cuda {

//===----------------------------------------------------------------------===//
// Barriers that count arrivals and bytes, and the copies that they count
//===----------------------------------------------------------------------===//

void Emitter::initBarrier(Value barrier, int64_t count) {
  NVVM::MBarrierInitOp::create(*this, barrier, i32(count), /*predicate=*/Value());
}
void Emitter::fenceBarriers() {
  NVVM::FenceMbarrierInitOp::create(*this);
  NVVM::FenceProxyOp::create(*this, NVVM::ProxyKind::async_shared,
                             NVVM::SharedSpaceAttr::get(getContext(), NVVM::SharedSpace::shared_cta));
}
void Emitter::arrive(Value barrier) { NVVM::MBarrierArriveOp::create(*this, getI64Type(), barrier); }
void Emitter::arriveExpecting(Value barrier, int64_t bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(*this, /*res=*/Type(), barrier, i32(bytes), NVVM::MemScopeKind::CTA,
                                         /*relaxed=*/false, /*predicate=*/Value());
}
void Emitter::waitPhase(Value barrier, Value parity) {
  // The hint of a time to sleep: long enough that a warp is woken, not polling.
  NVVM::MBarrierTryWaitParityOp::create(*this, barrier, parity, i32(10'000'000));
}
void Emitter::copyTensor(Value shared, Value map, Value x, Value y, Value barrier) {
  Value to = LLVM::AddrSpaceCastOp::create(*this, pointer(7), shared);
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(*this, to, map, ValueRange{x, y}, barrier, ValueRange(),
                                                         /*multicastMask=*/Value(), /*l2CacheHint=*/Value(),
                                                         NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false,
                                                         NVVM::CTAGroupKindAttr(), /*predicate=*/Value());
}

//===----------------------------------------------------------------------===//
// Products of four warps
//===----------------------------------------------------------------------===//

/// Inline assembly that changes `registers` and reads `inputs`.
static Values changeRegisters(Emitter &e, const Twine &text, ValueRange registers, ValueRange inputs) {
  std::string constraints, ties;
  SmallVector<Type> types;
  for (auto [i, value] : llvm::enumerate(registers)) {
    constraints += value.getType().isF32() ? "=f," : "=r,";
    ties += std::to_string(i) + ",";
    types.push_back(value.getType());
  }
  constraints += ties;
  for (Value value : inputs)
    constraints += value.getType().isInteger(64) ? "l," : "r,";
  constraints.pop_back();
  SmallVector<Value> operands = llvm::to_vector(registers);
  llvm::append_range(operands, inputs);
  auto result = LLVM::LLVMStructType::getLiteral(e.getContext(), types);
  auto assembly = LLVM::InlineAsmOp::create(e, result, operands, text.str(), constraints, /*has_side_effects=*/true,
                                            /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
                                            LLVM::AsmDialectAttr(), ArrayAttr());
  Values values;
  for (size_t i = 0; i < types.size(); ++i)
    values.push_back(LLVM::ExtractValueOp::create(e, assembly.getRes(), ArrayRef<int64_t>{static_cast<int64_t>(i)}));
  return values;
}

Value Emitter::matrixDescriptor(Value shared) {
  // Bits 14 and up of the address are not there; eight rows are 1024 bytes (64 units of
  // 16); rows of 128 bytes, swizzled.
  Value address = bitAnd(LLVM::PtrToIntOp::create(*this, getI64Type(), shared), 0x3FFFF);
  return bitOr(shiftRight(address, 4), int64_t(64) << 32 | int64_t(1) << 62);
}

void Emitter::fenceProducts() { NVVM::WgmmaFenceAlignedOp::create(*this); }
void Emitter::commitProducts() { NVVM::WgmmaGroupSyncAlignedOp::create(*this); }

Values Emitter::waitProducts(int64_t pending, ValueRange sums, ValueRange operands) {
  return changeRegisters(*this, "wgmma.wait_group.sync.aligned " + Twine(pending) + ";", sums, operands);
}

void Emitter::setRegisters(int64_t count, bool isMore) {
  auto action = isMore ? NVVM::SetMaxRegisterAction::increase : NVVM::SetMaxRegisterAction::decrease;
  NVVM::SetMaxRegisterOp::create(*this, static_cast<uint32_t>(count), action);
}

Values Emitter::multiplyAsync(ValueRange a, Value descriptor, ValueRange sums, bool addsToSums) {
  bool isInteger = sums[0].getType().isInteger(32);
  size_t count = sums.size(), next = 2 * count; // operands so far: results, and what they were before
  auto list = [&](size_t first, size_t number) {
    std::string text = "{";
    for (size_t i = 0; i < number; ++i)
      text += (i ? ", $" : "$") + std::to_string(first + i);
    return text + "}";
  };
  std::string shape = "m64n" + std::to_string(2 * count) + (isInteger ? "k32.s32.s8.s8" : "k16.f32.f16.f16");
  std::string text = "{ .reg .pred adds; setp.ne.b32 adds, " + std::to_string(addsToSums) +
                     ", 0; wgmma.mma_async.sync.aligned." + shape + " " + list(0, count) + ", " + list(next, 4) +
                     ", $" + std::to_string(next + 4) + ", adds" + (isInteger ? "; }" : ", 1, 1, 0; }");
  Values inputs(a);
  inputs.push_back(descriptor);
  return changeRegisters(*this, text, sums, inputs);
}

} // namespace qopt::cuda
