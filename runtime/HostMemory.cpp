//===- HostMemory.cpp - Memory for tensors and for generated code ----------===//
//
// Caches and activations are read from front to back: with huge pages the processor looks
// up a five-hundredth of the addresses, and the kernel is entered as rarely for new memory.
//
//===----------------------------------------------------------------------===//
#include "HostMemory.h"
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <sys/mman.h>

void *qrt::allocateHostMemory(int64_t bytes) {
  constexpr size_t kAlignment = 64, kHugePage = size_t(2) << 20;
  if (bytes < 0 || bytes > std::numeric_limits<int64_t>::max() - int64_t(kHugePage))
    return nullptr;
  // aligned_alloc wants a multiple of the alignment; an empty piece gets memory too.
  auto roundUp = [&](size_t to) { return (static_cast<size_t>(std::max<int64_t>(bytes, 1)) + to - 1) / to * to; };
  if (roundUp(kAlignment) < 2 * kHugePage)
    return std::aligned_alloc(kAlignment, roundUp(kAlignment));
  void *memory = std::aligned_alloc(kHugePage, roundUp(kHugePage));
  // Only whole huge pages take part; where the system refuses, these are pages as any.
  if (memory)
    (void)::madvise(memory, static_cast<size_t>(bytes) / kHugePage * kHugePage, MADV_HUGEPAGE);
  return memory;
}
