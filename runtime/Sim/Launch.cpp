//===- Launch.cpp - A grid of simulated blocks ----------------------------===//
//
// Blocks are shared out to the threads of the pool; the first fault ends the launch
// with one message.
//
//===----------------------------------------------------------------------===//
#include "Block.h"
#include "qopt/Support/Targets.h"
#include <atomic>
#include <cstdio>
#include <mutex>

using namespace qrt;
using namespace qrt::sim;
using qopt::Error;

static std::string triple(const uint32_t *v) {
  return "(" + std::to_string(v[0]) + ", " + std::to_string(v[1]) + ", " + std::to_string(v[2]) + ")";
}

static std::string describe(const Trap &trap, const SimLaunch &launch) {
  std::string number = std::to_string(trap.number), address = std::to_string(trap.address);
  switch (trap.kind) {
  case Trap::MisalignedGlobal:
    return "misaligned access of global memory: its address is " +
           std::to_string(static_cast<uint64_t>(trap.address) % static_cast<uint64_t>(trap.number)) +
           " more than a multiple of " + number;
  case Trap::MisalignedShared:
    return "misaligned access of shared memory: offset " + address + " is not a multiple of " + number;
  case Trap::OutOfBounds:
    return "access of " + number + " bytes at offset " + address + " of shared memory, which has " +
           std::to_string(launch.sharedBytes) + " bytes";
  case Trap::Explicit:
    return "the kernel executed a trap";
  case Trap::NotMember: {
    char mask[16];
    std::snprintf(mask, sizeof mask, "0x%08x", static_cast<uint32_t>(trap.number));
    return "takes part in a warp operation whose members " + std::string(mask) + " do not name it";
  }
  case Trap::Divergent:
    return "divergent warp operation: " + trap.detail;
  case Trap::BarrierDivergent:
    return "divergent barrier: " + trap.detail;
  case Trap::Deadlock:
    return "deadlock: waits at " + trap.detail + ", but " + number + " of " + address + " threads have ended";
  case Trap::MbarrierDeadlock:
    return "deadlock: waits at " + trap.detail;
  case Trap::Misuse:
    return trap.detail;
  case Trap::OutOfMemory:
    return "no memory for the stack of a thread";
  }
  return "unknown trap";
}

std::string qrt::sim::describe(const Trap &trap, const SimLaunch &launch, const std::array<uint32_t, 3> &blockId) {
  return "kernel " + launch.name + ", block " + triple(blockId.data()) + ", thread " + triple(trap.thread) + ": " +
         ::describe(trap, launch);
}

static Status check(const SimLaunch &launch) {
  auto refuse = [&](const std::string &reason) { return Error{"kernel " + launch.name + ": " + reason}; };
  int64_t threads = 1;
  for (int d = 0; d < 3; ++d) {
    if (launch.grid[d] < 0 || (d > 0 && launch.grid[d] > 65535))
      return refuse("cannot launch a grid of " + std::to_string(launch.grid[d]) + " blocks in dimension " +
                    std::to_string(d));
    if (launch.block[d] < 1 || launch.block[d] > (d == 2 ? 64 : kSimMaxThreads))
      return refuse("cannot launch a block of " + std::to_string(launch.block[d]) + " threads in dimension " +
                    std::to_string(d));
    threads *= launch.block[d];
  }
  if (threads > kSimMaxThreads)
    return refuse("a block of " + std::to_string(threads) + " threads is more than " + std::to_string(kSimMaxThreads));
  if (launch.sharedBytes < 0 || launch.sharedBytes > kSimMaxSharedBytes)
    return refuse(std::to_string(launch.sharedBytes) + " bytes of shared memory are more than " +
                  std::to_string(kSimMaxSharedBytes));
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return refuse("the simulator needs a processor of " + std::string(qopt::kHostV3.name));
  return {};
}

Status qrt::simLaunch(const SimLaunch &launch, ThreadPool &threads) {
  if (Status status = check(launch); !status)
    return status;
  int64_t x = launch.grid[0], y = launch.grid[1], count = x * y * launch.grid[2];
  std::atomic<int64_t> trapped = count; // lowest block that did
  std::mutex mutex;
  std::string message;
  threads.parallelFor(count, /*grain=*/1, [&](int64_t begin, int64_t end) {
    // Stacks are worth keeping from launch to launch.
    static thread_local std::unique_ptr<Block> block;
    try {
      if (!block)
        block = std::make_unique<Block>();
      for (int64_t i = begin; i < end && i < trapped.load(std::memory_order_relaxed); ++i) {
        std::array<uint32_t, 3> id{uint32_t(i % x), uint32_t(i / x % y), uint32_t(i / x / y)};
        std::unique_ptr<Trap> trap = block->run(launch, id);
        if (!trap)
          continue;
        std::lock_guard<std::mutex> lock(mutex);
        if (i < trapped.load(std::memory_order_relaxed)) {
          trapped.store(i, std::memory_order_relaxed);
          message = describe(*trap, launch, id);
        }
        return;
      }
    } catch (const std::bad_alloc &) {
      std::lock_guard<std::mutex> lock(mutex);
      trapped.store(begin, std::memory_order_relaxed);
      message = "kernel " + launch.name + ": no memory to simulate a block";
    }
  });
  if (trapped.load(std::memory_order_relaxed) < count)
    return Error{message};
  return {};
}
