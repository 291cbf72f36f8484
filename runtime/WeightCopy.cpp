//===- WeightCopy.cpp - Weights in huge pages ------------------------------===//
//
// A thread of its own copies piece after piece. Calls that begin later find the new places;
// those that are under way keep the mapped ones, which stay valid.
//
//===----------------------------------------------------------------------===//
#include "WeightCopy.h"
#include "HostMemory.h"
#include "qopt/Support/Memory.h"
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

using namespace qrt;

/// Fewer lie in the processor's caches, or nearly.
static constexpr size_t kFewest = size_t(64) << 20;

void WeightCopy::Free::operator()(char *memory) const { std::free(memory); }

WeightCopy::WeightCopy(std::span<const char> weights, std::vector<const void *> places)
    : weights(weights), mapped(std::move(places)) {}

WeightCopy::~WeightCopy() {
  isStopping = true;
  if (worker.joinable())
    worker.join();
}

void WeightCopy::start() {
  std::call_once(once, [this] {
    if (weights.size() < kFewest || qopt::availableMemory() / 2 < static_cast<int64_t>(weights.size()))
      return;
    memory.reset(static_cast<char *>(allocateHostMemory(static_cast<int64_t>(weights.size()))));
    if (!memory)
      return;
    try {
      worker = std::thread([this] { work(); });
    } catch (const std::system_error &) {
      // The system gives no more threads: weights stay where they are.
    }
  });
}

void WeightCopy::work() {
  // Only with time that nobody else wants: where all processors are busy, tokens come first.
  sched_param none{};
  (void)::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none);
  constexpr size_t piece = size_t(2) << 20;
  for (size_t i = 0; i < weights.size(); i += piece) {
    if (isStopping)
      return;
    std::memcpy(memory.get() + i, weights.data() + i, std::min(piece, weights.size() - i));
  }
  for (const void *place : mapped)
    copied.push_back(memory.get() + (static_cast<const char *>(place) - weights.data()));
  isReady.store(true, std::memory_order_release);
  // The process needs the pages of the file no more; whoever reads them gets them again.
  auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  uintptr_t begin = (reinterpret_cast<uintptr_t>(weights.data()) + page - 1) / page * page;
  uintptr_t end = reinterpret_cast<uintptr_t>(weights.data() + weights.size()) / page * page;
  (void)::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}
