//===- Wgmma.cpp - Asynchronous products of a warp ------------------------===//
//
// PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate": A fragments are
// those of mma.m16n8k32 (k16), D consists of those of its n-tiles of eight columns. B is
// K-major, found through a descriptor:
//   bits 0-13 start, 16-29 and 32-45 leading and stride byte offset, all / 16; 49-51
//   offset of the swizzle's pattern, 62-63 swizzle: none, 128, 64 or 32 bytes.
// Without a swizzle blocks of 8 rows x 16 bytes are contiguous, the leading offset lies
// between the two of a step; the stride offset between eight rows and the next.
//
//===----------------------------------------------------------------------===//
#include "Wgmma.h"
#include "Mbarrier.h"
#include "Mma.h"
#include "Race.h"
#include <algorithm>
#include <cstring>

using namespace qrt::sim;

namespace {

constexpr uint32_t nameBase = 0x7FF00000, namesOfOne = 256;
constexpr int64_t stepBytes = 32, pieceBytes = 16;

uint32_t nameOf(size_t which, uint32_t word) { return nameBase + static_cast<uint32_t>(which) * namesOfOne + word; }

struct Descriptor {
  int64_t start, leading, stride;
  int swizzleBits; ///< 0: none; 1: 32 bytes, 2: 64, 3: 128

  explicit Descriptor(uint64_t bits)
      : start(static_cast<int64_t>(bits & 0x3FFF) << 4), leading(static_cast<int64_t>(bits >> 16 & 0x3FFF) << 4),
        stride(static_cast<int64_t>(bits >> 32 & 0x3FFF) << 4), swizzleBits(static_cast<int>((4 - (bits >> 62)) % 4)) {}

  int64_t pieceOf(int64_t row, int64_t piece) const {
    if (!swizzleBits)
      return start + row / 8 * stride + piece * leading + row % 8 * pieceBytes;
    return swizzle(start + row / 8 * stride + row % 8 * (pieceBytes << swizzleBits) + piece * pieceBytes, swizzleBits);
  }
};

} // namespace

void WgmmaQueue::reset() {
  products.clear();
  groupEnds.clear();
  accumulators.clear();
  isFenced = false;
  if (reader)
    race::destroyFiber(reader);
  reader = nullptr;
  numStarted = numFinished = numFinishedBefore = 0;
}

//===----------------------------------------------------------------------===//
// Starting
//===----------------------------------------------------------------------===//

bool WgmmaQueue::isNamed(size_t which, const Lanes &sums, uint32_t count, uint32_t &matches) const {
  matches = 0;
  for (uint32_t *lane : sums)
    for (uint32_t word = 0; word < count; ++word)
      matches += lane[word] == nameOf(which, word);
  return matches == count * sums.size();
}

std::string WgmmaQueue::findAccumulators(const QrtSimWgmmaKind &kind, const Lanes &sums, size_t &found) {
  uint32_t count = kind.columns / 2;
  for (found = 0; found < accumulators.size(); ++found) {
    uint32_t matches = 0;
    if (accumulators[found].empty())
      continue;
    if (isNamed(found, sums, count, matches) && accumulators[found].size() == matches)
      return {};
    if (matches && kind.addsToSums)
      return "its sums were changed while a product was being added to them";
  }
  if (!isFenced)
    return "no wgmma.fence since the last wait, but its sums are new";
  found =
      static_cast<size_t>(std::find(accumulators.begin(), accumulators.end(), Accumulators()) - accumulators.begin());
  if (found == accumulators.size())
    accumulators.emplace_back();
  for (uint32_t *lane : sums)
    accumulators[found].insert(accumulators[found].end(), lane, lane + count);
  return {};
}

void WgmmaQueue::readAll(const Product &product, const char *shared) {
  if (!race::isEnabled)
    return;
  if (!reader)
    reader = race::createFiber();
  void *lane = race::currentFiber();
  race::switchTo(reader);
  race::acquire(&raceStart);
  Descriptor b(product.descriptor);
  for (int64_t n = 0; n < product.kind.columns; ++n)
    for (int64_t piece = 0; piece < 2; ++piece)
      race::read(shared + b.pieceOf(n, piece), pieceBytes);
  race::release(&raceEnds[numStarted++ % std::size(raceEnds)]);
  race::switchTo(lane);
}

std::string WgmmaQueue::start(const QrtSimWgmmaKind &kind, const Operands &a, uint64_t descriptor, const Lanes &sums,
                              const char *shared, int64_t sharedBytes) {
  Descriptor b(descriptor);
  if (descriptor >> 49 & 7)
    return "its descriptor has a pattern offset, which the simulator does not know";
  // The pattern of a swizzle repeats every eight rows, and a step lies in one row.
  int64_t row = pieceBytes << b.swizzleBits;
  if (b.swizzleBits && (b.start % (8 * row) >= row || b.start % row + stepBytes > row || b.stride % (8 * row)))
    return "its descriptor starts at " + std::to_string(b.start) + " with a stride of " + std::to_string(b.stride) +
           ", not at the first of eight rows of " + std::to_string(row) + " bytes";
  for (int64_t i = 0; i < kind.columns; ++i)
    for (int64_t piece = 0; piece < 2; ++piece)
      if (b.pieceOf(i, piece) + pieceBytes > sharedBytes)
        return "its descriptor reaches offset " + std::to_string(b.pieceOf(i, piece) + pieceBytes) +
               " of shared memory, which has " + std::to_string(sharedBytes) + " bytes";
  size_t which = 0;
  if (std::string fault = findAccumulators(kind, sums, which); !fault.empty())
    return fault;
  products.push_back({kind, descriptor, a, which});
  readAll(products.back(), shared);
  for (uint32_t *lane : sums)
    for (uint32_t word = 0; word < kind.columns / 2u; ++word)
      lane[word] = nameOf(which, word);
  return {};
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

void WgmmaQueue::acquire() {
  for (size_t i = numFinishedBefore; race::isEnabled && i < numFinished; ++i)
    race::acquire(&raceEnds[i % std::size(raceEnds)]);
}

void WgmmaQueue::wait(uint32_t pending, const Lanes &sums, uint32_t count, const char *shared) {
  isFenced = false;
  size_t numGroups = groupEnds.size() - std::min<size_t>(pending, groupEnds.size());
  size_t end = numGroups ? groupEnds[numGroups - 1] : 0;
  for (size_t i = 0; i < end; ++i) {
    const Product &product = products[i];
    Descriptor b(product.descriptor);
    uint32_t columns[256][8];
    for (int64_t n = 0; n < product.kind.columns; ++n)
      for (int64_t piece = 0; piece < 2; ++piece)
        std::memcpy(&columns[n][4 * piece], shared + b.pieceOf(n, piece), pieceBytes);
    multiplyColumns(product.kind, product.a, columns, accumulators[product.accumulators].data());
  }
  numFinishedBefore = numFinished;
  numFinished += end;
  products.erase(products.begin(), products.begin() + static_cast<std::ptrdiff_t>(end));
  groupEnds.erase(groupEnds.begin(), groupEnds.begin() + static_cast<std::ptrdiff_t>(numGroups));
  for (size_t &groupEnd : groupEnds)
    groupEnd -= end;

  // Names come in runs: those of several accumulators may pass through one wait.
  for (size_t which = 0; which < accumulators.size(); ++which) {
    Accumulators &values = accumulators[which];
    uint32_t each = static_cast<uint32_t>(values.size() / sums.size());
    bool isBusy = std::any_of(products.begin(), products.end(),
                              [&](const Product &product) { return product.accumulators == which; });
    if (values.empty() || isBusy)
      continue;
    uint32_t first = static_cast<uint32_t>(std::find(sums[0], sums[0] + count, nameOf(which, 0)) - sums[0]);
    if (first + each > count)
      continue;
    for (size_t lane = 0; lane < sums.size(); ++lane)
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(lane * each), each, sums[lane] + first);
    values.clear();
  }
}
