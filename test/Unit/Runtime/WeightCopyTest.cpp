//===- WeightCopyTest.cpp - Weights in huge pages -------------------------===//
//
// Code finds the same bytes before, while and after they are copied.
//
//===----------------------------------------------------------------------===//
#include "WeightCopy.h"
#include <chrono>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace qrt;

namespace {

/// Weights as a mapped file has them: the kernel makes their pages again when they are dropped.
struct Weights {
  explicit Weights(size_t bytes) : bytes(bytes) {
    int file = ::memfd_create("weights", 0);
    EXPECT_EQ(::ftruncate(file, static_cast<off_t>(bytes)), 0);
    for (size_t i = 0; i < bytes; i += 4096)
      EXPECT_EQ(::pwrite(file, &i, sizeof i, static_cast<off_t>(i)), ssize_t(sizeof i));
    data = static_cast<const char *>(::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0));
    ::close(file);
  }
  ~Weights() { ::munmap(const_cast<char *>(data), bytes); }
  std::span<const char> all() const { return {data, bytes}; }
  std::vector<const void *> places() const { return {data, data + 8192, data + bytes - 4096}; }

  size_t bytes;
  const char *data;
};

size_t numberAt(const void *place) { return *static_cast<const size_t *>(place); }

} // namespace

TEST(WeightCopy, MovesLargeWeightsToTheSameBytes) {
  Weights weights(size_t(66) << 20);
  WeightCopy copy(weights.all(), weights.places());
  EXPECT_EQ(copy.places()[1], weights.data + 8192);
  EXPECT_EQ(copy.bytes(), 0);
  copy.start();
  copy.start();
  EXPECT_EQ(copy.bytes(), static_cast<int64_t>(weights.bytes));
  for (int i = 0; i < 1000 && copy.places()[0] == weights.data; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_NE(copy.places()[0], weights.data);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(copy.places()[0]) % 64, 0u);
  EXPECT_EQ(numberAt(copy.places()[0]), 0u);
  EXPECT_EQ(numberAt(copy.places()[1]), 8192u);
  EXPECT_EQ(numberAt(copy.places()[2]), weights.bytes - 4096);
  // Who reads the file's pages gets them again.
  EXPECT_EQ(numberAt(weights.data + 8192), 8192u);
}

TEST(WeightCopy, LeavesFewWeightsAndMayEndEarly) {
  Weights few(size_t(1) << 20), many(size_t(66) << 20);
  WeightCopy small(few.all(), few.places());
  small.start();
  EXPECT_EQ(small.bytes(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(small.places()[0], few.data);
  WeightCopy(many.all(), many.places()).start();
}
