//===- WeightCopy.h - Weights in huge pages --------------------------------===//
//
// A token reads all weights once, so its time is bytes over the rate of memory, and that of
// a mapped file, whose pages are small, is a quarter lower than that of huge pages.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_WEIGHTCOPY_H
#define QOPT_LIB_RUNTIME_WEIGHTCOPY_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace qrt {

class WeightCopy {
public:
  /// Of these weights, which stay where they are, and the places in them that code reads.
  WeightCopy(std::span<const char> weights, std::vector<const void *> places);
  ~WeightCopy();

  /// The places: in the copy once it is whole.
  std::span<const void *const> places() const { return isReady.load(std::memory_order_acquire) ? copied : mapped; }
  /// Begins to copy, beside the caller's work; not where weights are few, or memory would
  /// become scarce. May be called often.
  void start();
  /// Of the copy, whole or not; 0 where there is none. In the thread that calls start().
  int64_t bytes() const { return memory ? static_cast<int64_t>(weights.size()) : 0; }

private:
  void work();

  struct Free {
    void operator()(char *memory) const;
  };

  std::span<const char> weights;
  std::vector<const void *> mapped, copied;
  std::unique_ptr<char, Free> memory;
  std::once_flag once;
  std::thread worker;
  std::atomic<bool> isReady = false, isStopping = false;
};

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_WEIGHTCOPY_H
