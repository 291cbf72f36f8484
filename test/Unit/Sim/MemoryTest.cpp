//===- MemoryTest.cpp - Copies, atomics, arithmetic of devices ------------===//
#include "SimTest.h"
#include <cmath>

using namespace qopt::test;

namespace {

/// Copies 32 rows of `bytes` into shared memory, waits, and writes them out.
std::string copyKernel(int bytes, const std::string &wait, const std::string &size = "") {
  return fill(R"(gpu.func @f(%in: !llvm.ptr, %out: !llvm.ptr, %size: i32) kernel {
      %id = gpu.thread_id x
      %lane = arith.index_cast %id : index to i32
      %global = llvm.addrspacecast %in : !llvm.ptr to !llvm.ptr<1>
      %from = llvm.getelementptr %global[%lane] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, !llvm.array<{bytes} x i8>
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %to = llvm.getelementptr %shared[%lane] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<{bytes} x i8>
      nvvm.cp.async.shared.global %to, %from, {bytes}, cache = {cache}{size} : !llvm.ptr<3>, !llvm.ptr<1>{sizeType}
      {wait}
      nvvm.barrier0
      %v = llvm.load %to : !llvm.ptr<3> -> vector<{bytes}xi8>
      %p = llvm.getelementptr %out[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.array<{bytes} x i8>
      llvm.store %v, %p : vector<{bytes}xi8>, !llvm.ptr
      gpu.return
    })",
              {{"bytes", std::to_string(bytes)},
               {"cache", bytes == 16 ? "cg" : "ca"},
               {"wait", wait},
               {"size", size.empty() ? "" : ", " + size},
               {"sizeType", size.empty() ? "" : ", i32"}});
}

constexpr const char *commitAndWait = "nvvm.cp.async.commit.group\nnvvm.cp.async.wait.group 0";

TEST(SimCopyAsync, ArrivesAtTheWait) {
  for (int bytes : {4, 8, 16})
    for (std::string wait : {commitAndWait, "llvm.call_intrinsic \"llvm.nvvm.cp.async.wait.all\"() : () -> ()"}) {
      Kernels kernels(copyKernel(bytes, wait));
      Array<uint8_t> in = randomBits<uint8_t>(32 * bytes, 1), out(32 * bytes);
      ASSERT_EQ(kernels.run("f", {{1, 1, 1}, {32, 1, 1}, 32 * bytes}, in.data(), out.data(), 0), "");
      EXPECT_EQ(std::memcmp(in.data(), out.data(), in.size()), 0) << bytes;
    }
}

TEST(SimCopyAsync, WithoutAWaitNothingArrives) {
  // No wait; a wait for all but one of one group; a wait before the group is made.
  for (std::string wait : {"", "nvvm.cp.async.commit.group\nnvvm.cp.async.wait.group 1",
                           "nvvm.cp.async.wait.group 0\nnvvm.cp.async.commit.group"}) {
    Kernels kernels(copyKernel(16, wait));
    Array<uint8_t> in(512, 1), out(512);
    ASSERT_EQ(kernels.run("f", {{1, 1, 1}, {32, 1, 1}, 512}, in.data(), out.data(), 0), "");
    for (size_t i = 0; i < 512; ++i)
      ASSERT_EQ(out[i], 0xAA) << wait;
  }
}

TEST(SimCopyAsync, FillsWithZeros) {
  for (int bytes : {4, 8, 16}) {
    Kernels kernels(copyKernel(bytes, commitAndWait, "%size"));
    for (int size : {0, 1, bytes / 2, bytes}) {
      Array<uint8_t> in(32 * bytes, 7), out(32 * bytes);
      ASSERT_EQ(kernels.run("f", {{1, 1, 1}, {32, 1, 1}, 32 * bytes}, in.data(), out.data(), size), "");
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(out[i], int(i % bytes) < size ? 7 : 0) << bytes << " " << size;
    }
  }
}

TEST(SimAtomics, AddUpOverBlocks) {
  Kernels kernels(R"(gpu.func @f(%count: !llvm.ptr, %sum: !llvm.ptr, %first: !llvm.ptr) kernel {
      %id = gpu.global_id x
      %i = arith.index_cast %id : index to i32
      %f = arith.sitofp %i : i32 to f32
      %one = arith.constant 1 : i32
      %0 = llvm.atomicrmw add %count, %one monotonic : !llvm.ptr, i32
      %1 = llvm.atomicrmw fadd %sum, %f monotonic : !llvm.ptr, f32
      %none = arith.constant 0 : i64
      %i64 = arith.extui %i : i32 to i64
      %c7 = arith.constant 7 : i64
      %mine = arith.addi %i64, %c7 : i64
      %2 = llvm.cmpxchg %first, %none, %mine acq_rel monotonic : !llvm.ptr, i64
      // Per block, in shared memory that starts as 0xAA bytes.
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %3 = llvm.atomicrmw add %shared, %one monotonic : !llvm.ptr<3>, i32
      gpu.barrier
      %4 = llvm.load %shared : !llvm.ptr<3> -> i32
      %want = arith.constant -1431655702 : i32
      %isWrong = arith.cmpi ne, %4, %want : i32
      scf.if %isWrong { llvm.intr.trap }
      gpu.return
    })");
  Array<int32_t> count(1);
  Array<float> sum(1);
  Array<int64_t> first(1);
  ASSERT_EQ(kernels.run("f", {{8, 1, 1}, {64, 1, 1}, 4}, count.data(), sum.data(), first.data()), "");
  EXPECT_EQ(count[0], 512);
  EXPECT_EQ(sum[0], 511 * 512 / 2);
  EXPECT_GE(first[0], 7);
  EXPECT_LT(first[0], 7 + 512);
}

/// out[i] = an f32 function of in[i].
Kernels mathKernel(const std::string &intrinsic) {
  return Kernels(fill(R"(gpu.func @f(%in: !llvm.ptr, %out: !llvm.ptr) kernel {
      %id = gpu.thread_id x
      %i = arith.index_cast %id : index to i32
      %pi = llvm.getelementptr %in[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      %v = llvm.load %pi : !llvm.ptr -> f32
      %r = llvm.call_intrinsic "{name}"(%v) : (f32) -> f32
      %po = llvm.getelementptr %out[%i] : (!llvm.ptr, i32) -> !llvm.ptr, f32
      llvm.store %r, %po : f32, !llvm.ptr
      gpu.return
    })",
                      {{"name", intrinsic}}));
}

TEST(SimIntrinsics, AreExactFunctions) {
  struct {
    std::string name;
    double (*want)(double);
    bool isSigned;
  } cases[] = {{"llvm.nvvm.ex2.approx.ftz.f32", [](double x) { return std::exp2(x); }, true},
               {"llvm.nvvm.ex2.approx.f32", [](double x) { return std::exp2(x); }, true},
               {"llvm.nvvm.lg2.approx.f", [](double x) { return std::log2(x); }, false},
               {"llvm.nvvm.rcp.approx.ftz.f", [](double x) { return 1 / x; }, true},
               {"llvm.nvvm.rsqrt.approx.f", [](double x) { return 1 / std::sqrt(x); }, false},
               {"llvm.nvvm.sqrt.rn.f", [](double x) { return std::sqrt(x); }, false},
               {"llvm.nvvm.sin.approx.f", [](double x) { return std::sin(x); }, true},
               {"llvm.nvvm.cos.approx.f", [](double x) { return std::cos(x); }, true},
               {"llvm.nvvm.tanh.approx.f32", [](double x) { return std::tanh(x); }, true},
               {"llvm.exp2", [](double x) { return std::exp2(x); }, true},
               {"llvm.roundeven", [](double x) { return std::nearbyint(x); }, true}};
  for (const auto &c : cases) {
    Kernels kernels = mathKernel(c.name);
    Array<float> in(64), out(64);
    for (int i = 0; i < 64; ++i)
      in[i] = (c.isSigned ? i - 31.5f : i + 0.25f) * 0.3f;
    ASSERT_EQ(kernels.run("f", {{1, 1, 1}, {64, 1, 1}}, in.data(), out.data()), "") << c.name;
    for (int i = 0; i < 64; ++i)
      ASSERT_NEAR(out[i], c.want(in[i]), 1e-7 * (1e-9 + std::abs(c.want(in[i])))) << c.name << " of " << in[i];
  }
}

TEST(SimIntrinsics, PermuteBytes) {
  Kernels kernels(R"(gpu.func @f(%out: !llvm.ptr, %a: i32, %b: i32, %s: i32) kernel {
      %r = llvm.call_intrinsic "llvm.nvvm.prmt"(%a, %b, %s) : (i32, i32, i32) -> i32
      llvm.store %r, %out : i32, !llvm.ptr
      gpu.return
    })");
  Array<uint32_t> out(1);
  uint32_t cases[][2] = {{0x3210, 0x44332211}, {0x7654, 0x887766F5}, {0x0415, 0x11F52266}, {0x8c40, 0x00FFF511}};
  for (auto [selector, want] : cases) {
    ASSERT_EQ(kernels.run("f", {{1, 1, 1}, {1, 1, 1}}, out.data(), 0x44332211u, 0x887766F5u, selector), "");
    EXPECT_EQ(out[0], want) << std::hex << selector;
  }
}

/// As integers, addresses of shared memory count from its begin.
TEST(SimMemory, AddressesOfSharedMemoryAreOffsets) {
  Kernels kernels(R"(gpu.func @f(%out: !llvm.ptr) kernel {
    %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
    %later = llvm.getelementptr %shared[12] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
    %a = llvm.ptrtoint %shared : !llvm.ptr<3> to i64
    %b = llvm.ptrtoint %later : !llvm.ptr<3> to i64
    %next = llvm.getelementptr %out[1] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %a, %out : i64, !llvm.ptr
    llvm.store %b, %next : i64, !llvm.ptr
    gpu.return
  })");
  Array<int64_t> out(2, -1);
  ASSERT_EQ(kernels.run("f", {{1, 1, 1}, {1, 1, 1}, 64}, out.data()), "");
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[1], 12);
}

} // namespace
