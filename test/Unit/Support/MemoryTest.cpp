//===- MemoryTest.cpp - How much memory there is --------------------------===//
#include "qopt/Support/Memory.h"
#include <gtest/gtest.h>

namespace {

TEST(Memory, someOfItIsAvailable) {
  EXPECT_GT(qopt::availableMemory(), 1 << 20);
  EXPECT_LT(qopt::availableMemory(), int64_t(1) << 50);
}

} // namespace
