//===- Api.cpp - What simulated threads call ------------------------------===//
//
// Values of other lanes are read in their payloads, on their stacks. Memory that
// kernels share is touched through `race`, so that the race detector sees whose
// access it is; small copies are inline for the same reason.
//
//===----------------------------------------------------------------------===//
#include "Block.h"
#include "Mma.h"
#include <bit>
#include <cstring>

using namespace qrt;
using namespace qrt::sim;

namespace {

Fiber &fiberOf(QrtSimThread *self) { return *static_cast<Fiber *>(self); }
Block &blockOf(QrtSimThread *self) { return *fiberOf(self).group->block; }

template <typename Function>
void forEachLane(uint32_t members, Function function) {
  for (; members; members &= members - 1)
    function(static_cast<uint32_t>(std::countr_zero(members)));
}

void trap(QrtSimThread *self, int64_t kind, const void *address, int64_t bytes, int64_t alignment) {
  Fiber &fiber = fiberOf(self);
  if (kind == QRT_SIM_SHARED_ACCESS)
    blockOf(self).checkShared(fiber, address, bytes, alignment);
  if (kind == QRT_SIM_GLOBAL_ACCESS)
    blockOf(self).trap(fiber, Trap::MisalignedGlobal, reinterpret_cast<int64_t>(address), alignment);
  blockOf(self).trap(fiber, Trap::Explicit, 0, 0);
}

void barrier(QrtSimThread *self, const char *site) { blockOf(self).barrier(fiberOf(self), site); }

void syncWarp(QrtSimThread *self, const char *site, uint32_t members) {
  Fiber &fiber = fiberOf(self);
  char *sync = &fiber.group->raceSync[fiber.group->numSyncs % 2];
  race::release(sync);
  Block::meet(fiber, site, members, nullptr, [](Warp &warp, uint32_t) { ++warp.numSyncs; });
  race::acquire(sync);
}

struct Shuffle {
  uint32_t value, lane, packed, kind;
  uint64_t result;
};

/// PTX ISA, shfl.sync. A lane that does not take part gives a value that nobody
/// should use.
void shuffleWarp(Warp &warp, uint32_t members) {
  forEachLane(members, [&](uint32_t lane) {
    auto &mine = *static_cast<Shuffle *>(warp.payload[lane]);
    uint32_t offset = mine.lane & 31, clamp = mine.packed & 31, segment = mine.packed >> 8 & 31;
    int last = (lane & segment) | (clamp & ~segment), first = lane & segment, source = 0;
    bool inRange = false;
    switch (mine.kind) {
    case QRT_SIM_UP:
      source = int(lane) - int(offset), inRange = source >= last;
      break;
    case QRT_SIM_DOWN:
      source = int(lane) + int(offset), inRange = source <= last;
      break;
    case QRT_SIM_BFLY:
      source = int(lane ^ offset), inRange = source <= last;
      break;
    default:
      source = first | int(offset & ~segment), inRange = source <= last;
    }
    if (!inRange)
      source = int(lane);
    uint32_t value = 0xDEADBEEF;
    if (members >> source & 1)
      value = static_cast<Shuffle *>(warp.payload[source])->value;
    mine.result = value | uint64_t(inRange) << 32;
  });
}

uint64_t shuffle(QrtSimThread *self, const char *site, uint32_t members, uint32_t value, uint32_t lane, uint32_t packed,
                 uint32_t kind) {
  Shuffle mine{value, lane, packed, kind, 0};
  Block::meet(fiberOf(self), site, members, &mine, shuffleWarp);
  return mine.result;
}

struct Value {
  uint32_t value, kind, result;
};

void voteWarp(Warp &warp, uint32_t members) {
  uint32_t ballot = 0;
  forEachLane(members,
              [&](uint32_t lane) { ballot |= uint32_t(static_cast<Value *>(warp.payload[lane])->value & 1) << lane; });
  forEachLane(members, [&](uint32_t lane) {
    auto &mine = *static_cast<Value *>(warp.payload[lane]);
    switch (mine.kind) {
    case QRT_SIM_ANY:
      mine.result = ballot != 0;
      break;
    case QRT_SIM_ALL:
      mine.result = ballot == members;
      break;
    case QRT_SIM_UNI:
      mine.result = ballot == members || ballot == 0;
      break;
    default:
      mine.result = ballot;
    }
  });
}

uint32_t vote(QrtSimThread *self, const char *site, uint32_t members, uint32_t predicate, uint32_t kind) {
  Value mine{predicate, kind, 0};
  Block::meet(fiberOf(self), site, members, &mine, voteWarp);
  return mine.result;
}

uint32_t combine(uint32_t a, uint32_t b, uint32_t kind) {
  auto x = static_cast<int32_t>(a), y = static_cast<int32_t>(b);
  switch (kind) {
  case QRT_SIM_AND:
    return a & b;
  case QRT_SIM_OR:
    return a | b;
  case QRT_SIM_XOR:
    return a ^ b;
  case QRT_SIM_MAX:
    return x > y ? a : b;
  case QRT_SIM_MIN:
    return x < y ? a : b;
  case QRT_SIM_UMAX:
    return a > b ? a : b;
  case QRT_SIM_UMIN:
    return a < b ? a : b;
  default:
    return a + b;
  }
}

void reduceWarp(Warp &warp, uint32_t members) {
  auto &first = *static_cast<Value *>(warp.payload[std::countr_zero(members)]);
  uint32_t result = first.value;
  forEachLane(members & (members - 1), [&](uint32_t lane) {
    result = combine(result, static_cast<Value *>(warp.payload[lane])->value, first.kind);
  });
  forEachLane(members, [&](uint32_t lane) { static_cast<Value *>(warp.payload[lane])->result = result; });
}

uint32_t reduce(QrtSimThread *self, const char *site, uint32_t members, uint32_t value, uint32_t kind) {
  Value mine{value, kind, 0};
  Block::meet(fiberOf(self), site, members, &mine, reduceWarp);
  return mine.result;
}

constexpr uint32_t rowBytes = 16;

struct MatrixLoad {
  const void *row;
  uint32_t count;
  bool isTransposed;
  uint32_t *result;
};

void loadMatrices(Warp &warp, uint32_t) {
  const auto &all = *static_cast<MatrixLoad *>(warp.payload[0]);
  for (uint32_t j = 0; j < all.count; ++j) {
    alignas(16) uint16_t matrix[8][8];
    for (uint32_t i = 0; i < 8; ++i)
      __builtin_memcpy_inline(matrix[i], static_cast<MatrixLoad *>(warp.payload[8 * j + i])->row, rowBytes);
    for (uint32_t lane = 0; lane < kWarpLanes; ++lane) {
      uint32_t g = lane / 4, t = lane % 4;
      uint32_t low = all.isTransposed ? matrix[2 * t][g] : matrix[g][2 * t];
      uint32_t high = all.isTransposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      static_cast<MatrixLoad *>(warp.payload[lane])->result[j] = low | high << 16;
    }
  }
}

void loadMatrix(QrtSimThread *self, const char *site, const void *row, uint32_t count, uint32_t isTransposed,
                uint32_t *result) {
  Fiber &fiber = fiberOf(self);
  if (fiber.lane < 8 * count) {
    blockOf(self).checkShared(fiber, row, rowBytes, rowBytes);
    race::read(row, rowBytes);
  }
  MatrixLoad mine{row, count, isTransposed != 0, result};
  Block::meet(fiber, site, ~0u, &mine, loadMatrices);
}

void mma(QrtSimThread *self, const char *site, const QrtSimMmaKind *kind, QrtSimMma *registers) {
  Block::meet(fiberOf(self), site, ~0u, registers, [kind](Warp &warp, uint32_t) {
    QrtSimMma *all[kWarpLanes];
    for (uint32_t lane = 0; lane < kWarpLanes; ++lane)
      all[lane] = static_cast<QrtSimMma *>(warp.payload[lane]);
    multiplyWarp(*kind, all);
  });
}

void copyAsync(QrtSimThread *self, void *to, const void *from, uint32_t bytes, uint32_t sourceBytes) {
  Fiber &fiber = fiberOf(self);
  blockOf(self).checkShared(fiber, to, bytes, bytes);
  if (reinterpret_cast<uintptr_t>(from) % bytes != 0)
    blockOf(self).trap(fiber, Trap::MisalignedGlobal, reinterpret_cast<int64_t>(from), bytes);
  // It may happen at any time from now on.
  race::write(to, bytes);
  fiber.copies.list.push_back(
      {static_cast<char *>(to), static_cast<const char *>(from), bytes, sourceBytes < bytes ? sourceBytes : bytes});
}

void commitCopies(QrtSimThread *self) {
  Copies &copies = fiberOf(self).copies;
  copies.groupEnds.push_back(copies.list.size());
}

void perform(const Copy &copy) {
  race::read(copy.from, copy.sourceBytes);
  race::write(copy.to, copy.bytes);
  if (copy.sourceBytes == 16)
    return __builtin_memcpy_inline(copy.to, copy.from, 16);
  for (uint32_t i = 0; i < copy.bytes; ++i) {
    char byte = i < copy.sourceBytes ? copy.from[i] : 0;
    __builtin_memcpy_inline(copy.to + i, &byte, 1);
  }
}

void waitCopies(QrtSimThread *self, uint32_t pending) {
  Copies &copies = fiberOf(self).copies;
  while (copies.groupEnds.size() - copies.firstGroup > pending) {
    size_t end = copies.groupEnds[copies.firstGroup++];
    for (; copies.firstCopy < end; ++copies.firstCopy)
      perform(copies.list[copies.firstCopy]);
  }
  if (copies.firstCopy == copies.list.size() && copies.firstGroup == copies.groupEnds.size()) {
    copies.list.clear();
    copies.groupEnds.clear();
    copies.firstCopy = copies.firstGroup = 0;
  }
}

//===----------------------------------------------------------------------===//
// sm_90a
//===----------------------------------------------------------------------===//

void initBarrier(QrtSimThread *self, const char *site, void *barrier, uint32_t count) {
  blockOf(self).mbarriers.init(fiberOf(self), site, barrier, count);
}
void fenceBarriers(QrtSimThread *self) { blockOf(self).mbarriers.fence(fiberOf(self)); }
void arrive(QrtSimThread *self, const char *site, void *barrier, uint32_t bytes) {
  blockOf(self).mbarriers.arrive(fiberOf(self), site, barrier, bytes);
}
void waitPhase(QrtSimThread *self, const char *site, void *barrier, uint32_t parity) {
  blockOf(self).mbarriers.wait(fiberOf(self), site, barrier, parity);
}
void copyTensor(QrtSimThread *self, const char *site, void *to, const void *map, int32_t x, int32_t y, void *barrier) {
  TensorCopy copy{&fiberOf(self), site, static_cast<char *>(to), {}, x, y};
  blockOf(self).mbarriers.copy(fiberOf(self), copy, map, barrier);
}

void fenceProducts(QrtSimThread *self) { fiberOf(self).group->products.fence(); }

struct ProductLane {
  const uint32_t *a;
  uint32_t *sums;
};

WgmmaQueue::Lanes sumsOf(const Warp &warp) {
  WgmmaQueue::Lanes sums;
  for (uint32_t lane = 0; lane < kWarpLanes; ++lane)
    sums[lane] = static_cast<ProductLane *>(warp.payload[lane])->sums;
  return sums;
}

void multiplyAsync(QrtSimThread *self, const char *site, const QrtSimWgmmaKind *kind, const uint32_t *a,
                   uint64_t descriptor, uint32_t *sums) {
  Fiber &fiber = fiberOf(self);
  ProductLane mine{a, sums};
  fiber.group->products.release();
  Block::meet(fiber, site, ~0u, &mine, [&](Warp &warp, uint32_t) {
    race::Bookkeeping own;
    WgmmaQueue::Operands operands;
    for (uint32_t lane = 0; lane < kWarpLanes; ++lane)
      std::memcpy(operands[lane].data(), static_cast<ProductLane *>(warp.payload[lane])->a, sizeof operands[lane]);
    std::string fault = warp.products.start(*kind, operands, descriptor, sumsOf(warp), self->shared, self->sharedBytes);
    if (!fault.empty())
      warp.block->trap(fiber, site, std::move(fault));
  });
}

void commitProducts(QrtSimThread *self) {
  // Once for the warp.
  if (self->lane != 0)
    return;
  race::Bookkeeping own;
  fiberOf(self).group->products.commit();
}

void waitProducts(QrtSimThread *self, const char *site, uint32_t pending, uint32_t *sums, uint32_t count) {
  ProductLane mine{nullptr, sums};
  Block::meet(fiberOf(self), site, ~0u, &mine, [&](Warp &warp, uint32_t) {
    race::Bookkeeping own;
    warp.products.wait(pending, sumsOf(warp), count, self->shared);
  });
  fiberOf(self).group->products.acquire();
}

} // namespace

const QrtSimApi qrt::sim::api = {trap,       barrier,       syncWarp,      shuffle,        vote,
                                 reduce,     loadMatrix,    mma,           copyAsync,      commitCopies,
                                 waitCopies, initBarrier,   fenceBarriers, arrive,         waitPhase,
                                 copyTensor, fenceProducts, multiplyAsync, commitProducts, waitProducts};
