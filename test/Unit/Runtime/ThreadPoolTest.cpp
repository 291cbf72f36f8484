#include "qopt/Runtime/Runtime.h"
#include <atomic>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <thread>

using namespace qrt;

namespace {
struct Marks {
  std::vector<std::atomic<int>> counts;
  int64_t grain;

  Marks(int64_t count, int64_t grain) : counts(static_cast<size_t>(count)), grain(grain) {}
  static void mark(void *opaque, int64_t begin, int64_t end) {
    auto &marks = *static_cast<Marks *>(opaque);
    int64_t count = static_cast<int64_t>(marks.counts.size());
    EXPECT_EQ(begin % marks.grain, 0);
    EXPECT_TRUE(end == count || (end - begin) % marks.grain == 0);
    for (int64_t i = begin; i < end; ++i)
      ++marks.counts[static_cast<size_t>(i)];
  }
  void expectAll(int expected) const {
    for (const std::atomic<int> &count : counts)
      ASSERT_EQ(count, expected);
  }
};
} // namespace

TEST(ThreadPool, EveryIndexOnce) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (int64_t count : {0, 1, 7, 64, 1000, 4099})
      for (int64_t grain : {1, 8, 64, 5000}) {
        Marks marks(count, grain);
        pool.parallelFor(Marks::mark, &marks, count, grain);
        marks.expectAll(1);
      }
  }
}

// Jobs that follow each other at once: a thread that comes late to one must not
// take a piece of the next for one of the last.
TEST(ThreadPool, ManyShortJobs) {
  ThreadPool pool(4);
  for (int repeat = 0; repeat < 5000; ++repeat) {
    Marks marks(1 + repeat % 37, 1);
    pool.parallelFor(Marks::mark, &marks, static_cast<int64_t>(marks.counts.size()), 1);
    marks.expectAll(1);
  }
}

TEST(ThreadPool, CallersTakeTurnsAndTasksMayNest) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 200; ++repeat) {
        Marks marks(100, 1);
        pool.parallelFor(Marks::mark, &marks, 100, 1);
        marks.expectAll(1);
      }
    });
  for (std::thread &caller : callers)
    caller.join();

  struct Outer {
    ThreadPool &pool;
    Marks marks{64, 1};
  } outer{pool};
  pool.parallelFor(
      [](void *opaque, int64_t begin, int64_t end) {
        auto &self = *static_cast<Outer *>(opaque);
        for (int64_t i = begin; i < end; ++i)
          self.pool.parallelFor(Marks::mark, &self.marks, 64, 1);
      },
      &outer, 10, 1);
  outer.marks.expectAll(10);
}

TEST(ThreadPool, FewerThreadsWhenTheSystemGivesNoMore) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer needs more address space than the limit of this test leaves";
#endif
#endif
  // Every thread wants 8 MB of address space for its stack: 64 MB more than now
  // are not enough for 1000.
  rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &old), 0);
  FILE *statm = std::fopen("/proc/self/statm", "r");
  ASSERT_TRUE(statm);
  long pages = 0;
  ASSERT_EQ(std::fscanf(statm, "%ld", &pages), 1);
  std::fclose(statm);
  rlimit tight = old;
  tight.rlim_cur = static_cast<rlim_t>(pages) * 4096 + (64 << 20);
  if (::setrlimit(RLIMIT_AS, &tight) != 0)
    GTEST_SKIP() << "cannot limit the address space here";
  {
    ThreadPool pool(1000);
    EXPECT_LT(pool.size(), 1000);
    Marks marks(100, 1);
    pool.parallelFor(Marks::mark, &marks, 100, 1);
    marks.expectAll(1);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &old), 0);
}
