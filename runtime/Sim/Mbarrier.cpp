//===- Mbarrier.cpp - Barriers that count bytes, and tensor copies --------===//
//
// PTX ISA, "mbarrier". To the race detector an arrival releases and a wait acquires;
// a copy writes when it is started (it may happen from then on) and when it arrives.
//
//===----------------------------------------------------------------------===//
#include "Block.h"
#include <algorithm>
#include <cstring>

using namespace qrt;
using namespace qrt::sim;

namespace {
constexpr uint64_t mapMagic = 0x70614d726f736e54; // "TnsorMap"
constexpr int64_t rowBytes = 128;                 // of a box
} // namespace

Status qrt::simTensorMap(void *map, const void *data, int64_t rows, int64_t bytes, int64_t boxRows) {
  // What cuTensorMapEncodeTiled asks for.
  constexpr int64_t mostRows = int64_t(1) << 32, mostBytes = int64_t(1) << 32;
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0 || reinterpret_cast<uintptr_t>(data) % 16 != 0 || bytes % 16 != 0 ||
      bytes < 1 || bytes > mostBytes || rows < 1 || rows > mostRows || boxRows < 1 || boxRows > 256)
    return qopt::Error{"cannot describe " + std::to_string(rows) + " rows of " + std::to_string(bytes) +
                       " bytes in boxes of " + std::to_string(boxRows) + " rows to the simulator"};
  TensorMap content{mapMagic, static_cast<const char *>(data), rows, bytes, boxRows};
  static_assert(sizeof content <= QRT_TENSOR_MAP_BYTES);
  std::memset(map, 0, QRT_TENSOR_MAP_BYTES);
  std::memcpy(map, &content, sizeof content);
  return {};
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

static std::string place(int64_t offset) { return "the mbarrier at offset " + std::to_string(offset); }

void Mbarriers::init(Fiber &self, const char *site, void *address, uint32_t count) {
  block.checkShared(self, address, 8, 8);
  race::write(address, 8);
  int64_t offset = static_cast<char *>(address) - self.shared;
  if (count < 1 || count >= 1u << 20)
    block.trap(self, site, place(offset) + " cannot count " + std::to_string(count) + " arrivals");
  race::Bookkeeping own;
  Mbarrier &barrier = barriers[offset] = Mbarrier();
  barrier.count = barrier.pending = count;
  barrier.owner = &self;
}

void Mbarriers::fence(Fiber &self) {
  for (auto &[offset, barrier] : barriers)
    if (barrier.owner == &self)
      barrier.isFenced = true;
}

Mbarrier &Mbarriers::find(Fiber &self, const char *site, void *address) {
  block.checkShared(self, address, 8, 8);
  race::read(address, 8);
  int64_t offset = static_cast<char *>(address) - self.shared;
  auto found = barriers.find(offset);
  if (found == barriers.end())
    block.trap(self, site, place(offset) + " was not initialised");
  return found->second;
}

void Mbarriers::wake(Mbarrier &barrier) {
  for (Fiber *fiber : barrier.waiting) {
    fiber->group->atMbarrier &= ~(1u << fiber->lane);
    fiber->group->ready |= 1u << fiber->lane;
  }
  barrier.waiting.clear();
}

void Mbarriers::endPhaseIfComplete(Mbarrier &barrier) {
  if (barrier.pending || barrier.bytes)
    return;
  ++barrier.phase;
  barrier.pending = barrier.count;
  wake(barrier);
}

void Mbarriers::arrive(Fiber &self, const char *site, void *address, uint32_t bytes) {
  Mbarrier &barrier = find(self, site, address);
  if (!barrier.pending)
    block.trap(self, site,
               place(static_cast<char *>(address) - self.shared) + " gets more than the " +
                   std::to_string(barrier.count) + " arrivals of a phase");
  race::release(&barrier.raceSync);
  race::Bookkeeping own;
  barrier.bytes += bytes;
  --barrier.pending;
  endPhaseIfComplete(barrier);
}

void Mbarriers::wait(Fiber &self, const char *site, void *address, uint32_t parity) {
  Mbarrier &barrier = find(self, site, address);
  while ((barrier.phase & 1) == (parity & 1)) {
    if (!barrier.copies.empty()) {
      finishCopy(barrier);
      continue;
    }
    self.group->site[self.lane] = site;
    self.group->atMbarrier |= 1u << self.lane;
    {
      race::Bookkeeping own;
      barrier.waiting.push_back(&self);
    }
    block.suspend(self);
  }
  race::acquire(&barrier.raceSync);
}

std::string Mbarriers::describeWait(const Fiber &waiting) const {
  for (const auto &[offset, barrier] : barriers)
    if (std::find(barrier.waiting.begin(), barrier.waiting.end(), &waiting) != barrier.waiting.end())
      return std::string(waiting.group->site[waiting.lane]) + " for " + place(offset) + ", which lacks " +
             std::to_string(barrier.pending) + " arrivals and " + std::to_string(barrier.bytes) + " bytes in phase " +
             std::to_string(barrier.phase);
  return {};
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

void Mbarriers::copy(Fiber &self, const TensorCopy &start, const void *map, void *address) {
  TensorCopy copy = start;
  Mbarrier &barrier = find(self, copy.site, address);
  if (!barrier.isFenced)
    block.trap(self, copy.site,
               place(static_cast<char *>(address) - self.shared) + " has no fence since it was initialised");
  if (reinterpret_cast<uintptr_t>(map) % 64 == 0)
    std::memcpy(&copy.map, map, sizeof copy.map);
  if (copy.map.magic != mapMagic)
    block.trap(self, copy.site, "the address of the tensor map is not one of a tensor map");
  int64_t bytes = copy.map.boxRows * rowBytes;
  block.checkShared(self, copy.to, bytes, rowBytes);
  race::write(copy.to, bytes);
  race::release(&barrier.raceSync);
  race::Bookkeeping own;
  barrier.copies.push_back(copy);
  wake(barrier);
}

void Mbarriers::finishCopy(Mbarrier &barrier) {
  race::acquire(&barrier.raceSync);
  TensorCopy copy = barrier.copies.front();
  const TensorMap &map = copy.map;
  char *shared = copy.issuer->shared;
  race::write(copy.to, map.boxRows * rowBytes);
  for (int64_t row = 0; row < map.boxRows; ++row) {
    char line[rowBytes] = {};
    int64_t y = copy.y + row, begin = std::max<int64_t>(copy.x, 0), end = std::min(copy.x + rowBytes, map.rowBytes);
    if (y >= 0 && y < map.rows && begin < end) {
      const char *from = map.data + y * map.rowBytes + begin;
      race::read(from, end - begin);
      std::memcpy(line + (begin - copy.x), from, end - begin);
    }
    for (int64_t piece = 0; piece < rowBytes; piece += 16)
      std::memcpy(shared + swizzle(copy.to - shared + row * rowBytes + piece, 3), line + piece, 16);
  }
  race::release(&barrier.raceSync);
  race::Bookkeeping own;
  barrier.copies.pop_front();
  barrier.bytes -= map.boxRows * rowBytes;
  endPhaseIfComplete(barrier);
}

const TensorCopy *Mbarriers::findUnfinished() const {
  for (const auto &[offset, barrier] : barriers)
    if (!barrier.copies.empty())
      return &barrier.copies.front();
  return nullptr;
}
