//===- Block.cpp - One thread block under simulation ----------------------===//
//
// Threads are fibers that run until they must wait for others; when none can go on, the
// block is stuck, and the message says where.
//
//===----------------------------------------------------------------------===//
#include "Block.h"
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

using namespace qrt;
using namespace qrt::sim;

Block::Block()
    : fibers(new Fiber[kSimMaxThreads]), warps(new Warp[kSimMaxThreads / kWarpLanes]), shared(nullptr, std::free) {
  for (uint32_t w = 0; w < kSimMaxThreads / kWarpLanes; ++w) {
    warps[w].block = this;
    warps[w].lanes = &fibers[w * kWarpLanes];
    for (uint32_t lane = 0; lane < kWarpLanes; ++lane)
      warps[w].lanes[lane].group = &warps[w];
  }
}

void Block::reset(const SimLaunch &next, const std::array<uint32_t, 3> &blockId) {
  launch = &next;
  if (sharedCapacity < next.sharedBytes || !shared) {
    sharedCapacity = std::max<int64_t>((next.sharedBytes + 1023) / 1024 * 1024, 1024);
    shared.reset(static_cast<char *>(std::aligned_alloc(1024, sharedCapacity)));
    if (!shared)
      throw std::bad_alloc();
  }
  stacks.reset();
  std::memset(shared.get(), 0xAA, next.sharedBytes);
  uint32_t x = next.block[0], y = next.block[1], z = next.block[2];
  numThreads = x * y * z;
  numWarps = (numThreads + kWarpLanes - 1) / kWarpLanes;
  numAtBarrier = 0;
  error.reset();
  for (uint32_t i = 0; i < numThreads; ++i) {
    Fiber &fiber = fibers[i];
    fiber.api = &api;
    fiber.shared = shared.get();
    fiber.sharedBytes = next.sharedBytes;
    uint32_t id[3] = {i % x, i / x % y, i / x / y};
    for (int d = 0; d < 3; ++d) {
      fiber.threadId[d] = id[d];
      fiber.blockId[d] = blockId[d];
      fiber.blockDim[d] = next.block[d];
      fiber.gridDim[d] = next.grid[d];
    }
    fiber.lane = i % kWarpLanes;
    fiber.warp = i / kWarpLanes;
    fiber.stack = nullptr;
    fiber.stackPointer = nullptr;
    fiber.copies.list.clear();
    fiber.copies.groupEnds.clear();
    fiber.copies.firstCopy = fiber.copies.firstGroup = 0;
    if (!fiber.raceFiber)
      fiber.raceFiber = race::createFiber();
  }
  for (uint32_t w = 0; w < numWarps; ++w) {
    Warp &warp = warps[w];
    uint32_t lanes = std::min(numThreads - w * kWarpLanes, kWarpLanes);
    // Lanes that a last warp lacks count as ended.
    warp.ready = lanes == kWarpLanes ? ~0u : (1u << lanes) - 1;
    warp.done = ~warp.ready;
    warp.waiting = warp.atBarrier = warp.atMbarrier = 0;
    warp.numSyncs = 0;
    warp.products.reset();
  }
  mbarriers.reset();
}

std::unique_ptr<Trap> Block::run(const SimLaunch &next, const std::array<uint32_t, 3> &blockId) {
  reset(next, blockId);
  raceScheduler = race::currentFiber();
  race::release(&raceStart);
  schedule();
  race::acquire(&raceEnd);
  // Nothing orders what threads did that did not come to their end before what the next block does there.
  if (race::isEnabled && error)
    forget();
  return std::move(error);
}

void Block::forget() {
  for (uint32_t i = 0; i < kSimMaxThreads; ++i)
    if (void *fiber = std::exchange(fibers[i].raceFiber, nullptr))
      race::destroyFiber(fiber);
  stacks.clear();
  shared.reset();
}

/// The next lane after `lane` that may run, in a circle; null if there is none.
static Fiber *takeReady(Warp &warp, uint32_t lane) {
  if (!warp.ready)
    return nullptr;
  uint32_t later = warp.ready & (~0u << lane);
  uint32_t next = std::countr_zero(later ? later : warp.ready);
  warp.ready &= ~(1u << next);
  return &warp.lanes[next];
}

void Block::schedule() {
  for (;;) {
    bool hasRun = false;
    uint32_t numDone = 0;
    for (uint32_t w = 0; w < numWarps; ++w) {
      Warp &warp = warps[w];
      while (Fiber *next = takeReady(warp, 0)) {
        hasRun = true;
        leave(&scheduler, next);
        if (error)
          return;
      }
      // Lanes that wait for an mbarrier may still come.
      if (warp.waiting && !warp.atMbarrier) {
        setTrap(warp.lanes[std::countr_zero(warp.waiting)], Trap::Divergent, 0, 0);
        return describeWarp(warp);
      }
      numDone += std::popcount(warp.done);
    }
    if (numDone == numWarps * kWarpLanes)
      return checkEnd();
    if (!hasRun)
      return findDeadlock(numDone - (numWarps * kWarpLanes - numThreads));
  }
}

void Block::findDeadlock(uint32_t numDone) {
  for (uint32_t w = 0; w < numWarps; ++w)
    if (Warp &warp = warps[w]; warp.atMbarrier) {
      Fiber &first = warp.lanes[std::countr_zero(warp.atMbarrier)];
      setTrap(first, Trap::MbarrierDeadlock, 0, 0);
      error->detail = mbarriers.describeWait(first);
      return;
    }
  for (uint32_t w = 0; w < numWarps; ++w)
    if (Warp &warp = warps[w]; warp.atBarrier) {
      Fiber &first = warp.lanes[std::countr_zero(warp.atBarrier)];
      setTrap(first, Trap::Deadlock, numThreads, numDone);
      error->detail = warp.site[first.lane];
      return;
    }
}

void Block::checkEnd() {
  if (const TensorCopy *copy = mbarriers.findUnfinished()) {
    setTrap(*copy->issuer, Trap::Misuse, 0, 0);
    error->detail = std::string(copy->site) + ": nobody waited for the copy to offset " +
                    std::to_string(copy->to - copy->issuer->shared) + " of shared memory";
  }
  for (uint32_t w = 0; w < numWarps && !error; ++w)
    if (!warps[w].products.isIdle()) {
      setTrap(warps[w].lanes[0], Trap::Misuse, 0, 0);
      error->detail = "nobody waited for its last wgmma";
    }
}

void Block::fiberMain(void *argument) {
  Block &block = *static_cast<Block *>(argument);
  for (;;) {
    Fiber &self = *block.current;
    race::acquire(&block.raceStart);
    block.launch->kernel(&self, block.launch->args);
    race::release(&block.raceEnd);
    self.group->done |= 1u << self.lane;
    Fiber *next = takeReady(*self.group, self.lane);
    if (next && !next->stack && !race::isEnabled) {
      // A thread that begins can have this stack, without any switch.
      next->stack = self.stack;
      block.current = next;
      continue;
    }
    if (!race::isEnabled)
      block.stacks.giveBack(self.stack);
    block.leave(&self.stackPointer, next);
  }
}

void Block::suspend(Fiber &self) { leave(&self.stackPointer, takeReady(*self.group, self.lane)); }

void Block::leave(void **from, Fiber *next) {
  if (!next) {
    race::switchTo(raceScheduler);
    return qrtSimSwitch(from, scheduler);
  }
  if (!next->stack) {
    next->stack = stacks.take();
    if (!next->stack) {
      setTrap(*next, Trap::OutOfMemory, 0, 0);
      if (from != &scheduler)
        leave(from, nullptr);
      return;
    }
    next->stackPointer = prepareStack(next->stack, fiberMain, this);
  }
  current = next;
  race::switchTo(next->raceFiber);
  qrtSimSwitch(from, next->stackPointer);
}

void Block::barrier(Fiber &self, const char *site) {
  Warp &warp = *self.group;
  char *sync = &raceBarrier[numBarriers % 2];
  race::release(sync);
  warp.site[self.lane] = site;
  warp.atBarrier |= 1u << self.lane;
  if (++numAtBarrier < numThreads) {
    suspend(self);
    return race::acquire(sync);
  }
  for (uint32_t w = 0; w < numWarps; ++w) {
    Warp &other = warps[w];
    uint32_t first = std::countr_zero(other.atBarrier);
    for (uint32_t lanes = other.atBarrier; lanes; lanes &= lanes - 1)
      if (Fiber &fiber = other.lanes[std::countr_zero(lanes)]; other.site[fiber.lane] != other.site[first]) {
        setTrap(fiber, Trap::BarrierDivergent, 0, 0);
        describeWarp(other);
        leave(&self.stackPointer, nullptr);
      }
    other.ready = other.atBarrier;
    other.atBarrier = 0;
  }
  warp.ready &= ~(1u << self.lane);
  numAtBarrier = 0;
  ++numBarriers;
  race::acquire(sync);
}

void Block::setTrap(const Fiber &thread, Trap::Kind kind, int64_t address, int64_t number) {
  error = std::make_unique<Trap>();
  error->kind = kind;
  error->address = address;
  error->number = number;
  std::copy_n(thread.threadId, 3, error->thread);
}

void Block::trap(Fiber &self, Trap::Kind kind, int64_t address, int64_t number) {
  setTrap(self, kind, address, number);
  leave(&self.stackPointer, nullptr);
  __builtin_unreachable();
}

void Block::trap(Fiber &self, const char *site, std::string detail) {
  setTrap(self, Trap::Misuse, 0, 0);
  error->detail = std::string(site) + ": " + std::move(detail);
  // Nothing on this stack is destroyed any more.
  detail = std::string();
  leave(&self.stackPointer, nullptr);
  __builtin_unreachable();
}

void Block::checkShared(Fiber &self, const void *address, int64_t bytes, int64_t alignment) {
  int64_t offset = static_cast<const char *>(address) - self.shared;
  if (offset < 0 || offset > self.sharedBytes - bytes)
    trap(self, Trap::OutOfBounds, offset, bytes);
  if (offset % alignment != 0)
    trap(self, Trap::MisalignedShared, offset, alignment);
}

static std::string hex(uint32_t lanes) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", lanes);
  return text;
}

/// Which lanes are where.
void Block::describeWarp(const Warp &warp) {
  std::string &text = error->detail;
  for (uint32_t rest = warp.waiting | warp.atBarrier; rest;) {
    const char *site = warp.site[std::countr_zero(rest)];
    uint32_t members = warp.members[std::countr_zero(rest)], here = 0, isBarrier = warp.atBarrier & -rest & rest;
    for (uint32_t lane = 0; lane < kWarpLanes; ++lane)
      if (rest >> lane & 1 && warp.site[lane] == site && (isBarrier || warp.members[lane] == members))
        here |= 1u << lane;
    rest &= ~here;
    text += (text.empty() ? "lanes " : ", lanes ") + hex(here) + " are at " + site;
    if (!isBarrier && members != ~0u)
      text += " with members " + hex(members);
  }
  if (warp.done)
    text += ", lanes " + hex(warp.done) + " have ended or do not exist";
}
