//===- LowerAsyncOps.cpp - sm_90a in the simulator -------------------------===//
//
// mbarrier, tensor copies and wgmma. Of inline assembly the simulator knows what
// Emitter::multiplyAsync and waitProducts write, by its mnemonic:
//
//   wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 D, A, descriptor, adds
//   wgmma.wait_group.sync.aligned N
//
// Results are tied to the first operands: the sums.
//
//===----------------------------------------------------------------------===//
#include "DeviceOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::sim;

namespace {

constexpr int64_t mostSums = 512; ///< of one wait

/// The sums before and after, as words.
struct Sums {
  ValueRange before;
  Type after;
};

std::optional<Sums> sumsOf(LLVM::InlineAsmOp assembly) {
  auto structure = assembly->getNumResults() ? dyn_cast<LLVM::LLVMStructType>(assembly->getResult(0).getType())
                                             : LLVM::LLVMStructType();
  if (!structure || structure.getBody().size() > std::min<size_t>(assembly.getOperands().size(), mostSums))
    return std::nullopt;
  return Sums{assembly.getOperands().take_front(structure.getBody().size()), structure};
}

LogicalResult lowerMultiply(DeviceOpBuilder &k, host::LlvmBuilder &b, LLVM::InlineAsmOp assembly, StringRef shape,
                            bool addsToSums) {
  std::optional<Sums> sums = sumsOf(assembly);
  QrtSimWgmmaKind kind{};
  kind.addsToSums = addsToSums;
  if (!shape.consume_front("m64n") || shape.consumeInteger(10, kind.columns) || !sums ||
      sums->before.size() * 2 != kind.columns || assembly.getOperands().size() != sums->before.size() + 5)
    return failure();
  if (shape == "k32.s32.s8.s8")
    kind.element = QRT_SIM_S8;
  else if (shape == "k16.f32.f16.f16")
    kind.element = QRT_SIM_F16;
  else
    return failure();
  Value left = k.slot(k.leftSlot, 4), words = k.slot(k.sumsSlot, mostSums);
  ValueRange others = assembly.getOperands().drop_front(sums->before.size());
  k.storeWords(b, others.take_front(4), left);
  k.storeWords(b, sums->before, words);
  Value kindAddress = k.constant(b, "wgmma", StringRef(reinterpret_cast<const char *>(&kind), sizeof kind));
  k.call(b, ApiFunction::MultiplyAsync, {k.self, k.site(b, assembly), kindAddress, left, others[4], words});
  assembly->getResult(0).replaceAllUsesWith(k.packWords(b, words, 0, sums->after));
  return success();
}

LogicalResult lowerWait(DeviceOpBuilder &k, host::LlvmBuilder &b, LLVM::InlineAsmOp assembly, StringRef number) {
  std::optional<Sums> sums = sumsOf(assembly);
  uint32_t pending = 0;
  if (!sums || number.consumeInteger(10, pending))
    return failure();
  Value words = k.slot(k.sumsSlot, mostSums);
  k.storeWords(b, sums->before, words);
  k.call(b, ApiFunction::WaitProducts,
         {k.self, k.site(b, assembly), k.i32(b, pending), words, k.i32(b, sums->before.size())});
  assembly->getResult(0).replaceAllUsesWith(k.packWords(b, words, 0, sums->after));
  return success();
}

LogicalResult lowerAssembly(DeviceOpBuilder &k, host::LlvmBuilder &b, LLVM::InlineAsmOp assembly) {
  StringRef text = assembly.getAsmString(), before, rest;
  std::tie(before, rest) = text.split("wgmma.mma_async.sync.aligned.");
  if (!rest.empty())
    return lowerMultiply(k, b, assembly, rest.split(' ').first, /*addsToSums=*/before.contains(" 1, 0;"));
  if (text.consume_front("wgmma.wait_group.sync.aligned "))
    return lowerWait(k, b, assembly, text);
  return failure();
}

} // namespace

LogicalResult sim::lowerAsyncOp(DeviceOpBuilder &k, Operation *op) {
  host::LlvmBuilder b(op->getLoc(), OpBuilder(op));
  LogicalResult known = success();
  if (auto init = dyn_cast<NVVM::MBarrierInitOp>(op)) {
    known = success(!init.getPredicate());
    k.call(b, ApiFunction::InitBarrier, {k.self, k.site(b, op), init.getAddr(), init.getCount()});
  } else if (isa<NVVM::FenceMbarrierInitOp>(op)) {
    k.call(b, ApiFunction::FenceBarriers, k.self);
  } else if (isa<NVVM::FenceProxyOp, NVVM::SetMaxRegisterOp>(op)) {
    // The order of memory between proxies is not modelled, nor are registers.
  } else if (auto arrive = dyn_cast<NVVM::MBarrierArriveOp>(op)) {
    known = success(!arrive.getCount() && op->use_empty());
    k.call(b, ApiFunction::Arrive, {k.self, k.site(b, op), arrive.getAddr(), k.i32(b, 0)});
  } else if (auto expect = dyn_cast<NVVM::MBarrierArriveExpectTxOp>(op)) {
    known = success(!expect.getPredicate() && op->use_empty());
    k.call(b, ApiFunction::Arrive, {k.self, k.site(b, op), expect.getAddr(), expect.getTxcount()});
  } else if (auto wait = dyn_cast<NVVM::MBarrierTryWaitParityOp>(op)) {
    k.call(b, ApiFunction::WaitPhase, {k.self, k.site(b, op), wait.getAddr(), wait.getPhase()});
  } else if (auto copy = dyn_cast<NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp>(op)) {
    known = success(copy.getCoordinates().size() == 2 && copy.getMode() == NVVM::TMALoadMode::TILE &&
                    !copy.getMulticastMask() && !copy.getPredicate());
    if (succeeded(known))
      k.call(b, ApiFunction::CopyTensor,
             {k.self, k.site(b, op), copy.getDstMem(), copy.getTmaDescriptor(), copy.getCoordinates()[0],
              copy.getCoordinates()[1], copy.getMbar()});
  } else if (isa<NVVM::WgmmaFenceAlignedOp>(op)) {
    k.call(b, ApiFunction::FenceProducts, k.self);
  } else if (isa<NVVM::WgmmaGroupSyncAlignedOp>(op)) {
    k.call(b, ApiFunction::CommitProducts, k.self);
  } else if (auto assembly = dyn_cast<LLVM::InlineAsmOp>(op)) {
    known = lowerAssembly(k, b, assembly);
  } else {
    return failure();
  }
  if (succeeded(known))
    op->erase();
  return known;
}
