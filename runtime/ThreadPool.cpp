//===- ThreadPool.cpp - Ranges of work for a few threads ------------------===//
//
// Each thread has a part of the job, neighbouring indices, so that it reads its own part of
// the weights from front to back. A part is cut into chunks: who is done with his own takes
// chunks from the ends of the others' parts. One 64-bit word per part holds the number of
// the job and which chunks are left, so a thread that wakes late cannot take a chunk of a
// job that it has not read, and the caller never waits for threads that still sleep: it does
// their chunks itself. Workers spin a little after each job (the next matmul comes within
// microseconds), then sleep.
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
constexpr int spins = 2000;      // some ten microseconds
constexpr int chunksPerPart = 4; // so that a slow thread does not hold up all

/// Set while this thread works for a pool: a task that calls parallelFor again
/// runs its ranges itself.
thread_local bool isInsideTask = false;

struct InsideTask {
  InsideTask() { isInsideTask = true; }
  ~InsideTask() { isInsideTask = false; }
};

/// Indices [begin, end).
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
  /// The i-th of `count` parts, which differ by one index at most.
  Range part(int64_t i, int64_t count) const {
    auto bound = [&](int64_t n) { return begin + size() / count * n + std::min(n, size() % count); };
    return {bound(i), bound(i + 1)};
  }
};

/// The chunks of a thread's part that nobody has taken.
struct alignas(64) Claim {
  std::atomic<uint64_t> word = 0; ///< job number << 32 | first << 16 | end
};

} // namespace

struct ThreadPool::Impl {
  // The job: written before its number is published in the claims.
  std::atomic<QrtTask> task = nullptr;
  std::atomic<void *> args = nullptr;
  std::atomic<int64_t> count = 0, grain = 1;

  std::vector<Claim> claims;      // one for each thread; the caller's is the first
  std::atomic<uint32_t> jobs = 0; // number of the newest job: what workers wait for
  std::atomic<uint32_t> left = 0; // chunks of the newest job that are not done
  std::atomic<bool> stopping = false;
  std::mutex oneJob; // callers from several threads take turns
  std::vector<std::thread> workers;

  Range grainsOf(size_t part) const;
  bool runChunk(uint32_t job, size_t part, bool fromFront);
  void help(uint32_t job, size_t self);
  void work(size_t self);
};

static int64_t chunksOf(Range grains) { return std::min<int64_t>(grains.size(), chunksPerPart); }

/// Which grains of the job are a thread's part.
Range ThreadPool::Impl::grainsOf(size_t part) const {
  int64_t grains = (count.load(std::memory_order_relaxed) - 1) / grain.load(std::memory_order_relaxed) + 1;
  return Range{0, grains}.part(static_cast<int64_t>(part), static_cast<int64_t>(claims.size()));
}

/// Takes a chunk of a part of `job` and runs it; false where none is left or a newer job has begun.
bool ThreadPool::Impl::runChunk(uint32_t job, size_t part, bool fromFront) {
  std::atomic<uint64_t> &word = claims[part].word;
  uint64_t seen = word.load(std::memory_order_acquire), first, end;
  do {
    first = seen >> 16 & 0xffff, end = seen & 0xffff;
    if (seen >> 32 != job || first == end)
      return false;
  } while (!word.compare_exchange_weak(seen, fromFront ? seen + (1 << 16) : seen - 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire));
  // Nothing of the next job is written before this chunk is done.
  Range grains = grainsOf(part),
        chunk = grains.part(static_cast<int64_t>(fromFront ? first : end - 1), chunksOf(grains));
  int64_t size = grain.load(std::memory_order_relaxed), total = count.load(std::memory_order_relaxed);
  QrtTask run = task.load(std::memory_order_relaxed);
  run(args.load(std::memory_order_relaxed), chunk.begin * size, std::min(chunk.end * size, total));
  if (left.fetch_sub(1, std::memory_order_acq_rel) == 1)
    left.notify_all();
  return true;
}

/// Runs chunks of `job`, first those of this thread's part, until all are taken.
void ThreadPool::Impl::help(uint32_t job, size_t self) {
  InsideTask inside;
  for (size_t i = 0; i < claims.size(); ++i)
    while (runChunk(job, (self + i) % claims.size(), /*fromFront=*/i == 0)) {
    }
}

void ThreadPool::Impl::work(size_t self) {
  uint32_t last = 0;
  for (;;) {
    for (int i = 0; i < spins && jobs.load(std::memory_order_acquire) == last; ++i)
      _mm_pause();
    jobs.wait(last, std::memory_order_acquire);
    if (stopping.load(std::memory_order_acquire))
      return;
    last = jobs.load(std::memory_order_acquire);
    help(last, self);
  }
}

ThreadPool::ThreadPool(int threads) : impl(std::make_unique<Impl>()) {
  try {
    for (int i = 1; i < threads; ++i)
      impl->workers.emplace_back([shared = impl.get(), i] { shared->work(static_cast<size_t>(i)); });
  } catch (const std::system_error &) {
    // The system gives no more threads: go on with those there are.
  }
  impl->claims = std::vector<Claim>(static_cast<size_t>(size()));
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
  if (isInsideTask || size() == 1 || grain == count)
    return task(args, 0, count);

  std::lock_guard<std::mutex> lock(impl->oneJob);
  impl->task.store(task, std::memory_order_relaxed);
  impl->args.store(args, std::memory_order_relaxed);
  impl->count.store(count, std::memory_order_relaxed);
  impl->grain.store(grain, std::memory_order_relaxed);
  int64_t chunks = 0;
  for (size_t part = 0; part < impl->claims.size(); ++part)
    chunks += chunksOf(impl->grainsOf(part));
  impl->left.store(static_cast<uint32_t>(chunks), std::memory_order_relaxed);
  uint32_t job = impl->jobs.load(std::memory_order_relaxed) + 1;
  for (size_t part = 0; part < impl->claims.size(); ++part) {
    auto end = static_cast<uint64_t>(chunksOf(impl->grainsOf(part)));
    impl->claims[part].word.store(uint64_t(job) << 32 | end, std::memory_order_release);
  }
  impl->jobs.store(job, std::memory_order_release);
  impl->jobs.notify_all();

  impl->help(job, 0);
  for (uint32_t now; (now = impl->left.load(std::memory_order_acquire)) != 0;) {
    for (int i = 0; i < spins && impl->left.load(std::memory_order_acquire) == now; ++i)
      _mm_pause();
    impl->left.wait(now, std::memory_order_acquire);
  }
}
