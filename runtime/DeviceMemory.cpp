//===- DeviceMemory.cpp - Memory of a device that is used again -----------===//
//
// What a call allocates is kept for the next one, which is given the smallest block
// that fits.
//
//===----------------------------------------------------------------------===//
#include "DeviceMemory.h"
#include <algorithm>
#include <bit>
#include <limits>

using namespace qrt;
using qopt::Error;

/// Rounded up by at most an eighth, so that text that grows by a token does not need
/// new memory for each.
static int64_t roundUp(int64_t bytes) {
  constexpr int64_t least = 4096;
  int64_t step = std::max<int64_t>(static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes))) / 8, least);
  return (bytes + step - 1) / step * step;
}

DeviceMemory::~DeviceMemory() {
  freeKept(/*onlyUnused=*/false);
  for (auto [memory, bytes] : given)
    device.release(memory);
}

/// The smallest kept block that fits and is not far too large.
void *DeviceMemory::takeKept(int64_t bytes) {
  constexpr int64_t mostWaste = 4;
  auto best = kept.end();
  for (auto block = kept.begin(); block != kept.end(); ++block)
    if (block->bytes >= bytes && block->bytes / mostWaste <= bytes &&
        (best == kept.end() || block->bytes < best->bytes))
      best = block;
  if (best == kept.end())
    return nullptr;
  void *memory = best->memory;
  given.emplace(memory, best->bytes);
  kept.erase(best);
  return memory;
}

Result<void *> DeviceMemory::allocate(int64_t bytes) {
  auto tooMuch = [&] {
    int64_t free = device.freeBytes();
    return Error{"out of memory on " + device.name() + ": " + std::to_string(bytes) + " bytes were needed" +
                 (free >= 0 ? ", " + std::to_string(free) + " are free" : "")};
  };
  if (bytes < 0 || bytes > std::numeric_limits<int64_t>::max() / 2)
    return tooMuch();
  int64_t rounded = roundUp(std::max<int64_t>(bytes, 1));
  if (void *memory = takeKept(rounded))
    return memory;
  // Then with what is kept given back, then without rounding.
  for (int attempt = 0; attempt < 3; ++attempt) {
    int64_t size = attempt < 2 ? rounded : std::max<int64_t>(bytes, 1);
    Result<void *> memory = device.allocate(size);
    if (!memory)
      return memory;
    if (*memory) {
      given.emplace(*memory, size);
      return memory;
    }
    freeKept(/*onlyUnused=*/false);
  }
  return tooMuch();
}

void DeviceMemory::release(void *memory) {
  auto found = given.find(memory);
  if (found == given.end())
    return;
  kept.push_back({memory, found->second, /*wasUsed=*/true});
  given.erase(found);
}

void DeviceMemory::endCall() {
  freeKept(/*onlyUnused=*/true);
  for (Block &block : kept)
    block.wasUsed = false;
}

void DeviceMemory::freeKept(bool onlyUnused) {
  std::erase_if(kept, [&](const Block &block) {
    if (onlyUnused && block.wasUsed)
      return false;
    device.release(block.memory);
    return true;
  });
}
