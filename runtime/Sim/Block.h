//===- Block.h - One thread block under simulation ------------------------===//
//
// Lanes run in order, each until it must wait for others; the lane that arrives
// last at a warp operation performs it for all. A warp goes on until all of its
// lanes wait for the block, then comes the next warp. So a launch does the same
// thing each time, and its blocks may run in any order.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SIM_BLOCK_H
#define QOPT_RUNTIME_SIM_BLOCK_H

#include "Mbarrier.h"
#include "Race.h"
#include "Stacks.h"
#include "Wgmma.h"
#include "qopt/Runtime/Sim.h"
#include <memory>

namespace qrt::sim {

inline constexpr uint32_t kWarpLanes = 32;

class Block;
struct Warp;

struct Copy {
  char *to;
  const char *from;
  uint32_t bytes, sourceBytes;
};

/// cp.async operations of one thread that have not arrived, in order.
struct Copies {
  std::vector<Copy> list;
  std::vector<size_t> groupEnds; ///< in `list`, for committed groups
  size_t firstCopy = 0, firstGroup = 0;
};

struct Fiber : QrtSimThread {
  Warp *group;
  char *stack = nullptr;        ///< its upper end; null before it starts
  void *stackPointer = nullptr; ///< while it does not run
  void *raceFiber = nullptr;
  Copies copies;
};

struct Warp {
  Block *block;
  Fiber *lanes;
  // Bits for lanes: may run, wait at a warp operation, at a barrier, for an mbarrier, ended.
  uint32_t ready, waiting, atBarrier, atMbarrier, done;
  // Of lanes that wait:
  const char *site[kWarpLanes];
  uint32_t members[kWarpLanes];
  void *payload[kWarpLanes];
  unsigned numSyncs; ///< of syncWarp, for race detection
  char raceSync[2];
  WgmmaQueue products;
};

/// What went wrong, in numbers: made into text when the launch is over.
struct Trap {
  enum Kind {
    MisalignedGlobal, ///< number = alignment
    MisalignedShared, ///< number = alignment
    OutOfBounds,      ///< of shared memory; number = bytes
    Explicit,         ///< the kernel's own
    NotMember,        ///< number = member mask
    Divergent,        ///< the warp's state says how
    BarrierDivergent, ///< lanes of a warp at different barriers
    Deadlock,         ///< number = threads that have ended
    MbarrierDeadlock, ///< the detail says what it waits for
    Misuse,           ///< the detail says of what and how
    OutOfMemory,
  };
  Kind kind;
  uint32_t thread[3];
  int64_t address, number; ///< shared memory: the offset
  std::string detail;
};

class Block {
public:
  Block();
  Block(const Block &) = delete;
  ~Block() { forget(); }
  /// Runs block `blockId`; a Trap when it cannot be completed.
  std::unique_ptr<Trap> run(const SimLaunch &launch, const std::array<uint32_t, 3> &blockId);

  // The rest is called by fibers of this block.

  /// Waits until the lanes in `members` are at `site`; the last one calls
  /// `execute(warp, members)`, the payloads of all in warp.payload.
  template <typename Execute>
  static void meet(Fiber &self, const char *site, uint32_t members, void *payload, Execute execute);
  void barrier(Fiber &self, const char *site);
  /// Ends the launch.
  [[noreturn]] void trap(Fiber &self, Trap::Kind kind, int64_t address, int64_t number);
  [[noreturn]] void trap(Fiber &self, const char *site, std::string detail);
  /// Traps if an access of shared memory is wrong.
  void checkShared(Fiber &self, const void *address, int64_t bytes, int64_t alignment);
  /// Lets others run until something makes the caller ready.
  void suspend(Fiber &self);

  Mbarriers mbarriers{*this};

private:
  void reset(const SimLaunch &launch, const std::array<uint32_t, 3> &blockId);
  /// Gives up what is kept from block to block: stacks, shared memory and, for the race detector, fibers.
  void forget();
  void schedule();
  /// What is left to do when all threads have ended, or who waits for nothing.
  void checkEnd();
  void findDeadlock(uint32_t numDone);
  static void fiberMain(void *block);
  /// Goes on with `next`, or with the scheduler if null.
  void leave(void **from, Fiber *next);
  void setTrap(const Fiber &thread, Trap::Kind kind, int64_t address, int64_t number);
  void describeWarp(const Warp &warp);

  const SimLaunch *launch = nullptr;
  std::unique_ptr<Fiber[]> fibers;
  std::unique_ptr<Warp[]> warps;
  uint32_t numThreads = 0, numWarps = 0, numAtBarrier = 0;
  std::unique_ptr<char, void (*)(void *)> shared;
  int64_t sharedCapacity = 0;
  Stacks stacks;
  Fiber *current = nullptr;
  void *scheduler = nullptr; ///< its stack pointer while a fiber runs
  void *raceScheduler = nullptr;
  unsigned numBarriers = 0; ///< completed
  char raceBarrier[2], raceStart, raceEnd;
  std::unique_ptr<Trap> error;
};

inline bool isSameOperation(const Warp &warp, const char *site, uint32_t members) {
  bool same = true;
  for (uint32_t lane = 0; lane < kWarpLanes; ++lane)
    same &= !(members >> lane & 1) || (warp.site[lane] == site && warp.members[lane] == members);
  return same;
}

template <typename Execute>
void Block::meet(Fiber &self, const char *site, uint32_t members, void *payload, Execute execute) {
  Warp &warp = *self.group;
  uint32_t lane = self.lane, bit = 1u << lane;
  if (!(members & bit))
    warp.block->trap(self, Trap::NotMember, 0, members);
  warp.site[lane] = site;
  warp.members[lane] = members;
  warp.payload[lane] = payload;
  warp.waiting |= bit;
  if ((warp.waiting & members) != members || !isSameOperation(warp, site, members))
    return warp.block->suspend(self);
  warp.waiting &= ~members;
  warp.ready |= members & ~bit;
  execute(warp, members);
}

/// The functions that fibers call.
extern const QrtSimApi api;

/// "kernel gemm, block (0, 1, 0), thread (5, 0, 0): ..."
std::string describe(const Trap &trap, const SimLaunch &launch, const std::array<uint32_t, 3> &blockId);

} // namespace qrt::sim

#endif // QOPT_RUNTIME_SIM_BLOCK_H
