//===- AsyncTest.cpp - mbarrier, tensor copies and wgmma ------------------===//
//
// One kernel that multiplies through all of them, against scalar sums; then each of its
// parts left out or wrong.
//
//===----------------------------------------------------------------------===//
#include "AsyncTest.h"
#include <bit>
#include <cmath>

using namespace qopt::test;

namespace {

constexpr int kThreads = 160, kDepth = 256; // bytes of a row
constexpr Shape kShape{{1, 1, 1}, {kThreads, 1, 1}, 1024 + 16, 1};

struct alignas(64) Map {
  char bytes[QRT_TENSOR_MAP_BYTES];
};

/// Matrices of 64 and `rows` rows of 256 bytes, which are s8 or small f16.
struct Operands {
  Array<uint8_t> left = Array<uint8_t>(64 * kDepth), right;
  Map map;

  Operands(bool isInteger, int rows = 8, int rowBytes = kDepth) : right(rows * rowBytes) {
    std::mt19937 random(3);
    auto fill = [&](Array<uint8_t> &bytes) {
      for (size_t i = 0; i < bytes.size(); i += 2) {
        auto half = std::bit_cast<uint16_t>(static_cast<_Float16>(static_cast<int>(random() % 65) - 32));
        uint16_t bits = isInteger ? static_cast<uint16_t>(random()) : half;
        std::memcpy(&bytes[i], &bits, 2);
      }
    };
    fill(left);
    fill(right);
    EXPECT_TRUE(qrt::simTensorMap(&map, right.data(), rows, rowBytes, 8));
  }

  /// [thread][step][register]: bytes 4t and 16 + 4t of step's 32 of rows g and g + 8.
  Array<uint32_t> registers() {
    Array<uint32_t> words(128 * 8 * 4);
    for (int thread = 0; thread < 128; ++thread)
      for (int step = 0; step < 8; ++step)
        for (int i = 0; i < 4; ++i) {
          int row = thread / 32 * 16 + thread % 32 / 4 + i % 2 * 8, byte = 32 * step + i / 2 * 16 + thread % 4 * 4;
          std::memcpy(&words[(thread * 8 + step) * 4 + i], &left[row * kDepth + byte], 4);
        }
    return words;
  }
};

std::string run(const std::string &text, Operands &operands, Array<uint32_t> &out) {
  Array<uint32_t> a = operands.registers();
  return Kernels(text).run("f", kShape, operands.map, a.data(), out.data());
}

/// Row of `left` and of `right` that word i of a thread's sums is of.
std::pair<int, int> placeOf(int thread, int i) {
  return {thread / 32 * 16 + thread % 32 / 4 + i / 2 * 8, thread % 4 * 2 + i % 2};
}

TEST(SimAsync, MultipliesIntegers) {
  Operands operands(true);
  Array<uint32_t> out(512);
  ASSERT_EQ(run(asyncKernel(true), operands, out), "");
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < 4; ++i) {
      auto [m, n] = placeOf(thread, i);
      int32_t want = 0;
      for (int k = 0; k < kDepth; ++k)
        want += int8_t(operands.left[m * kDepth + k]) * int8_t(operands.right[n * kDepth + k]);
      ASSERT_EQ(static_cast<int32_t>(out[thread * 4 + i]), want) << m << " " << n;
    }
}

TEST(SimAsync, MultipliesFloats) {
  Operands operands(false);
  Array<uint32_t> out(512);
  ASSERT_EQ(run(asyncKernel(false), operands, out), "");
  auto number = [](Array<uint8_t> &bytes, int i) {
    _Float16 half;
    std::memcpy(&half, &bytes[i], 2);
    return static_cast<float>(half);
  };
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < 4; ++i) {
      auto [m, n] = placeOf(thread, i);
      float want = 0; // small integers: exact
      for (int k = 0; k < kDepth; k += 2)
        want += number(operands.left, m * kDepth + k) * number(operands.right, n * kDepth + k);
      ASSERT_EQ(std::bit_cast<float>(out[thread * 4 + i]), want) << m << " " << n;
    }
}

/// What a copy does not find is zero.
TEST(SimAsync, CopiesZerosFromOutside) {
  Operands operands(true, 5, 176);
  Array<uint32_t> out(512, 1);
  ASSERT_EQ(run(asyncKernel(true), operands, out), "");
  for (int thread = 0; thread < 128; ++thread)
    for (int i = 0; i < 4; ++i) {
      auto [m, n] = placeOf(thread, i);
      int32_t want = 0;
      for (int k = 0; k < 176 && n < 5; ++k)
        want += int8_t(operands.left[m * kDepth + k]) * int8_t(operands.right[n * 176 + k]);
      ASSERT_EQ(static_cast<int32_t>(out[thread * 4 + i]), want) << m << " " << n;
    }
}

TEST(SimAsync, RefusesTensorsThatNoDeviceTakes) {
  Map map;
  Array<char> data(4096);
  EXPECT_TRUE(qrt::simTensorMap(&map, data.data(), 8, 512, 256));
  EXPECT_FALSE(qrt::simTensorMap(&map, data.data() + 8, 8, 256, 8));
  EXPECT_FALSE(qrt::simTensorMap(&map, data.data(), 8, 172, 8));
  EXPECT_FALSE(qrt::simTensorMap(&map, data.data(), 0, 256, 8));
  EXPECT_FALSE(qrt::simTensorMap(&map, data.data(), 8, 256, 257));
}

//===----------------------------------------------------------------------===//
// Planted faults
//===----------------------------------------------------------------------===//

std::string messageOf(const AsyncFaults &faults) {
  Operands operands(true);
  Array<uint32_t> out(512);
  return run(asyncKernel(true, faults), operands, out);
}

constexpr const char *kFirst = "kernel f, block (0, 0, 0), thread (0, 0, 0): ";
constexpr const char *kCopier = "kernel f, block (0, 0, 0), thread (128, 0, 0): ";

TEST(SimAsync, MissingWaitForTheCopy) {
  EXPECT_EQ(messageOf({.chunks = "1", .full = false}),
            std::string(kCopier) +
                "cp.async.bulk.tensor.shared.cluster.global #15: nobody waited for the copy to offset 0 "
                "of shared memory");
  // Who does not wait arrives too often before the copier looks.
  EXPECT_EQ(messageOf({.full = false}),
            std::string(kCopier) +
                "deadlock: waits at mbarrier.try_wait.parity #13 for the mbarrier at offset 1032, which "
                "lacks 128 arrivals and 0 bytes in phase 2");
}

TEST(SimAsync, WrongNumberOfBytes) {
  EXPECT_EQ(messageOf({.bytes = "1040"}),
            std::string(kFirst) +
                "deadlock: waits at mbarrier.try_wait.parity #5 for the mbarrier at offset 1024, which "
                "lacks 0 arrivals and 16 bytes in phase 0");
  EXPECT_EQ(messageOf({.bytes = "1008"}),
            std::string(kFirst) +
                "deadlock: waits at mbarrier.try_wait.parity #5 for the mbarrier at offset 1024, which "
                "lacks 0 arrivals and -16 bytes in phase 0");
}

TEST(SimAsync, MissingWaitForTheSpace) {
  EXPECT_EQ(messageOf({.empty = false}), std::string(kCopier) +
                                             "mbarrier.arrive.expect_tx #14: the mbarrier at offset 1024 "
                                             "gets more than the 1 arrivals of a phase");
}

TEST(SimAsync, MissingFences) {
  EXPECT_EQ(messageOf({.init = ""}), std::string(kCopier) +
                                         "cp.async.bulk.tensor.shared.cluster.global #15: the mbarrier at "
                                         "offset 1024 has no fence since it was initialised");
  EXPECT_EQ(messageOf({.fence = false}), "kernel f, block (0, 0, 0), thread (31, 0, 0): "
                                         "wgmma.mma_async.sync.aligned.m64n8k32.s32.s8.s8 #6: no wgmma.fence "
                                         "since the last wait, but its sums are new");
}

TEST(SimAsync, WrongDescriptors) {
  AsyncFaults moved, unswizzled, outside;
  moved.descriptor += 128 / 16;
  EXPECT_NE(
      messageOf(moved).find("its descriptor starts at 128 with a stride of 1024, not at the first of eight rows of "
                            "128 bytes"),
      std::string::npos);
  outside.descriptor += 1024 / 16;
  EXPECT_NE(messageOf(outside).find("its descriptor reaches offset"), std::string::npos);
  // Another swizzle than that of the copy finds other bytes.
  unswizzled.descriptor = uint64_t(128 / 16) << 32 | 1 << 16;
  Operands operands(true);
  Array<uint32_t> right(512), wrong(512);
  EXPECT_EQ(run(asyncKernel(true), operands, right), "");
  EXPECT_EQ(run(asyncKernel(true, unswizzled), operands, wrong), "");
  EXPECT_NE(std::memcmp(right.data(), wrong.data(), 2048), 0);
}

TEST(SimAsync, ReadingSumsEarly) {
  EXPECT_EQ(messageOf({.wait = false}), std::string(kFirst) + "nobody waited for its last wgmma");
  Operands operands(true);
  Array<uint32_t> out(512);
  // The second chunk adds to names that mean nothing any more, or stores them.
  EXPECT_EQ(run(asyncKernel(true, {.readsEarly = true}), operands, out), "");
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT_GE(out[i], 0x7FF00000u) << i;
}

TEST(SimAsync, UnknownAssembly) {
  EXPECT_EQ(Kernels("gpu.func @f() kernel {\nllvm.inline_asm has_side_effects \"nanosleep.u32 7;\", \"\" : () -> "
                    "()\ngpu.return\n}")
                .diagnostics(),
            "'llvm.inline_asm' op in kernel f is not known to the simulator\n");
}

} // namespace
