#include "runtime/DeviceMemory.h"
#include <gtest/gtest.h>
#include <map>

using namespace qrt;

namespace {
/// Counts what is asked of it; has `capacity` bytes.
class CountingDevice : public Device {
public:
  explicit CountingDevice(int64_t capacity) : capacity(capacity) {}
  ~CountingDevice() override { EXPECT_TRUE(blocks.empty()) << "memory was not given back"; }

  const std::string &name() const override { return label; }
  const std::string &description() const override { return label; }
  Result<std::string> load(const qopt::Module &) override { return label; }
  Status enter() override { return {}; }
  int64_t capability() override { return 80; }
  Status tensorMap(void *, const void *, int64_t, int64_t, int64_t) override { return {}; }
  Result<void *> allocate(int64_t bytes) override {
    ++allocations;
    if (bytes > freeBytes())
      return static_cast<void *>(nullptr);
    void *memory = std::malloc(1);
    blocks[memory] = bytes;
    return memory;
  }
  void release(void *memory) override {
    ASSERT_EQ(blocks.erase(memory), 1u);
    std::free(memory);
  }
  int64_t freeBytes() override {
    int64_t used = 0;
    for (auto [memory, bytes] : blocks)
      used += bytes;
    return capacity - used;
  }
  Status upload(void *, const void *, int64_t) override { return {}; }
  Status download(void *, const void *, int64_t) override { return {}; }
  Status launch(const QrtLaunch &, void *const *) override { return {}; }
  Status synchronize() override { return {}; }

  int64_t capacity;
  int allocations = 0;
  std::map<void *, int64_t> blocks;
  const std::string label = "test";
};

constexpr int64_t mega = 1 << 20;

/// One call that needs these sizes at the same time.
void callWith(DeviceMemory &memory, std::vector<int64_t> sizes) {
  std::vector<void *> blocks;
  for (int64_t size : sizes) {
    auto block = memory.allocate(size);
    ASSERT_TRUE(block) << block.error().message;
    EXPECT_EQ(std::count(blocks.begin(), blocks.end(), *block), 0);
    blocks.push_back(*block);
  }
  for (void *block : blocks)
    memory.release(block);
  memory.endCall();
}
} // namespace

TEST(DeviceMemory, CallsOfTheSameSizesAllocateOnce) {
  CountingDevice device(1000 * mega);
  DeviceMemory memory(device);
  for (int i = 0; i < 5; ++i)
    callWith(memory, {100, 0, 40 * mega, 3 * mega});
  EXPECT_EQ(device.allocations, 4);
}

TEST(DeviceMemory, SlowGrowthNeedsFewAllocations) {
  CountingDevice device(1000 * mega);
  DeviceMemory memory(device);
  for (int64_t i = 0; i < 100; ++i)
    callWith(memory, {40 * mega + i * 100000});
  EXPECT_LE(device.allocations, 4);
}

TEST(DeviceMemory, WhatACallDoesNotUseIsFreed) {
  CountingDevice device(1000 * mega);
  DeviceMemory memory(device);
  callWith(memory, {400 * mega});
  callWith(memory, {mega}); // does not take the large block, which is far too large
  EXPECT_LT(1000 * mega - device.freeBytes(), 3 * mega);
  EXPECT_EQ(device.allocations, 2);
}

TEST(DeviceMemory, KeptMemoryIsFreedWhenThereIsNoOther) {
  CountingDevice device(100 * mega);
  DeviceMemory memory(device);
  callWith(memory, {60 * mega});
  callWith(memory, {70 * mega});
  callWith(memory, {99 * mega + 1000}); // only without rounding
}

TEST(DeviceMemory, TheErrorSaysWhatWasNeededAndIsFree) {
  CountingDevice device(100 * mega);
  DeviceMemory memory(device);
  auto held = memory.allocate(64 * mega);
  ASSERT_TRUE(held);
  auto more = memory.allocate(50 * mega);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "out of memory on test: 52428800 bytes were needed, 37748736 are free");
  for (int64_t absurd : {int64_t(-1), std::numeric_limits<int64_t>::max()})
    EXPECT_FALSE(memory.allocate(absurd));
}
