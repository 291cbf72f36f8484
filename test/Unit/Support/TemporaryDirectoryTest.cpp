//===- TemporaryDirectoryTest.cpp - Directories of processes that live ----===//
#include "qopt/Support/TemporaryDirectory.h"
#include <atomic>
#include <gtest/gtest.h>
#include <string_view>
#include <thread>
#include <vector>

using namespace qopt;

/// Each looks for what killed processes left while others have just made theirs.
TEST(TemporaryDirectory, StaysWhereManyAreMadeAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> numLost = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        Result<TemporaryDirectory> made = TemporaryDirectory::create("qopt-at-once");
        numLost += !made || !made->write("file", std::string_view("x"));
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(numLost, 0);
}
