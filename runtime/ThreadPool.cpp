//===- ThreadPool.cpp - Ranges of work for a few threads ------------------===//
//
// A job is cut into chunks. One 64-bit word holds the number of the job and how
// many chunks are left, so a thread that wakes late cannot take a chunk of a job
// that it has not read, and the caller never waits for threads that still sleep:
// it does the chunks itself. Workers spin a little after each job (the next matmul comes
// within microseconds), then sleep.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/Runtime.h"
#include <algorithm>
#include <atomic>
#include <immintrin.h>
#include <mutex>
#include <system_error>
#include <thread>

using namespace qrt;

namespace {
constexpr int spins = 2000;        // some ten microseconds
constexpr int chunksPerThread = 4; // so that a slow thread does not hold up all

/// Set while this thread works for a pool: a task that calls parallelFor again
/// runs its ranges itself.
thread_local bool isInsideTask = false;

struct InsideTask {
  InsideTask() { isInsideTask = true; }
  ~InsideTask() { isInsideTask = false; }
};
} // namespace

struct ThreadPool::Impl {
  // The job: written before its number is published in `claim`.
  std::atomic<QrtTask> task = nullptr;
  std::atomic<void *> args = nullptr;
  std::atomic<int64_t> count = 0, chunk = 0;
  std::atomic<uint32_t> numChunks = 0;

  std::atomic<uint64_t> claim = 0; // job number << 32 | chunks nobody has taken
  std::atomic<uint32_t> jobs = 0;  // number of the newest job: what workers wait for
  std::atomic<uint32_t> done = 0;  // finished chunks of the newest job
  std::atomic<bool> stopping = false;
  std::mutex oneJob; // callers from several threads take turns
  std::vector<std::thread> workers;

  void help(uint32_t job);
  void work();
};

/// Takes chunks of `job` until none is left or a newer job has begun.
void ThreadPool::Impl::help(uint32_t job) {
  InsideTask inside;
  for (;;) {
    uint64_t seen = claim.load(std::memory_order_acquire);
    uint32_t left = static_cast<uint32_t>(seen);
    if (seen >> 32 != job || left == 0)
      return;
    QrtTask run = task.load(std::memory_order_relaxed);
    void *data = args.load(std::memory_order_relaxed);
    int64_t total = count.load(std::memory_order_relaxed), size = chunk.load(std::memory_order_relaxed);
    uint32_t chunks = numChunks.load(std::memory_order_relaxed);
    // Success proves that what was read belongs to `job`: nothing of the next job
    // is written before this chunk is done.
    if (!claim.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel))
      continue;
    int64_t begin = int64_t(chunks - left) * size;
    run(data, begin, std::min(begin + size, total));
    if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == chunks)
      done.notify_all();
  }
}

void ThreadPool::Impl::work() {
  uint32_t last = 0;
  for (;;) {
    for (int i = 0; i < spins && jobs.load(std::memory_order_acquire) == last; ++i)
      _mm_pause();
    jobs.wait(last, std::memory_order_acquire);
    if (stopping.load(std::memory_order_acquire))
      return;
    last = jobs.load(std::memory_order_acquire);
    help(last);
  }
}

ThreadPool::ThreadPool(int threads) : impl(std::make_unique<Impl>()) {
  try {
    for (int i = 1; i < threads; ++i)
      impl->workers.emplace_back([shared = impl.get()] { shared->work(); });
  } catch (const std::system_error &) {
    // The system gives no more threads: go on with those there are.
  }
}

ThreadPool::~ThreadPool() {
  impl->stopping.store(true, std::memory_order_release);
  impl->jobs.fetch_add(1, std::memory_order_acq_rel);
  impl->jobs.notify_all();
  for (std::thread &worker : impl->workers)
    worker.join();
}

int ThreadPool::size() const { return static_cast<int>(impl->workers.size()) + 1; }

void ThreadPool::parallelFor(QrtTask task, void *args, int64_t count, int64_t grain) {
  if (count <= 0)
    return;
  grain = std::clamp<int64_t>(grain, 1, count);
  int64_t grains = (count - 1) / grain + 1;
  int64_t wanted = std::min<int64_t>(grains, int64_t(size()) * chunksPerThread);
  if (isInsideTask || size() == 1 || wanted == 1)
    return task(args, 0, count);

  std::lock_guard<std::mutex> lock(impl->oneJob);
  int64_t chunk = ((grains - 1) / wanted + 1) * grain;
  uint32_t chunks = static_cast<uint32_t>((count - 1) / chunk + 1);
  impl->task.store(task, std::memory_order_relaxed);
  impl->args.store(args, std::memory_order_relaxed);
  impl->count.store(count, std::memory_order_relaxed);
  impl->chunk.store(chunk, std::memory_order_relaxed);
  impl->numChunks.store(chunks, std::memory_order_relaxed);
  impl->done.store(0, std::memory_order_relaxed);
  uint32_t job = impl->jobs.load(std::memory_order_relaxed) + 1;
  impl->claim.store(uint64_t(job) << 32 | chunks, std::memory_order_release);
  impl->jobs.store(job, std::memory_order_release);
  impl->jobs.notify_all();

  impl->help(job);
  for (uint32_t finished; (finished = impl->done.load(std::memory_order_acquire)) != chunks;) {
    for (int i = 0; i < spins && impl->done.load(std::memory_order_acquire) == finished; ++i)
      _mm_pause();
    impl->done.wait(finished, std::memory_order_acquire);
  }
}
