//===- TrapTest.cpp - Wrong kernels are named -----------------------------===//
#include "SimTest.h"

using namespace qopt::test;

namespace {

constexpr const char *head = R"(
  gpu.func @f(%memory: !llvm.ptr, %n: i32) kernel {
    %id = gpu.thread_id x
    %i = arith.index_cast %id : index to i32
    %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
    %zero = arith.constant 0 : i32
    %all = arith.constant -1 : i32
    %clamp = arith.constant 31 : i32
    %isLow = arith.cmpi ult, %i, %n : i32
)";

std::string runText(const std::string &body, const Shape &shape, int32_t n, void *memory = nullptr) {
  Kernels kernels(head + body + "\ngpu.return\n}");
  return kernels.run("f", shape, memory, n);
}

Shape block(int threads, int64_t sharedBytes = 0) { return {{2, 1, 1}, {threads, 1, 1}, sharedBytes, 1}; }

TEST(SimTrap, MisalignedGlobalVector) {
  // Thread i reads 16 bytes at 4 n i.
  std::string read = R"(
    %k = arith.muli %i, %n : i32
    %p = llvm.getelementptr %memory[%k] : (!llvm.ptr, i32) -> !llvm.ptr, f32
    %v = llvm.load %p {alignment} : !llvm.ptr -> vector<4xf32>
    llvm.store %v, %p {alignment = 4 : i64} : vector<4xf32>, !llvm.ptr
  )";
  Array<float> memory(256);
  std::string natural = fill(read, {{"alignment", ""}}),
              declared = fill(read, {{"alignment", "{alignment = 4 : i64}"}});
  EXPECT_EQ(runText(natural, block(8), 4, memory.data()), "");
  EXPECT_EQ(runText(natural, block(8), 3, memory.data()),
            "kernel f, block (0, 0, 0), thread (1, 0, 0): misaligned access of global memory: its address is 12 more "
            "than a multiple of 16");
  EXPECT_EQ(runText(declared, block(8), 3, memory.data()), "");
  EXPECT_EQ(runText(declared, block(8), 3, reinterpret_cast<char *>(memory.data()) + 2),
            "kernel f, block (0, 0, 0), thread (0, 0, 0): misaligned access of global memory: its address is 2 more "
            "than a multiple of 4");
}

TEST(SimTrap, SharedAccess) {
  std::string store = R"(
    %k = arith.muli %i, %n : i32
    %p = llvm.getelementptr %shared[%k] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
    llvm.store %i, %p : i32, !llvm.ptr<3>
  )";
  EXPECT_EQ(runText(store, block(8, 32), 4), "");
  EXPECT_EQ(runText(store, block(8, 31), 4), "kernel f, block (0, 0, 0), thread (7, 0, 0): access of 4 bytes at offset "
                                             "28 of shared memory, which has 31 bytes");
  EXPECT_EQ(runText(store, block(8, 2), 0),
            "kernel f, block (0, 0, 0), thread (0, 0, 0): access of 4 bytes at offset 0 "
            "of shared memory, which has 2 bytes");
  EXPECT_EQ(runText(store, block(8, 32), -4),
            "kernel f, block (0, 0, 0), thread (1, 0, 0): access of 4 bytes at offset "
            "-4 of shared memory, which has 32 bytes");
  EXPECT_EQ(runText(store, block(8, 32), 2),
            "kernel f, block (0, 0, 0), thread (1, 0, 0): misaligned access of shared memory: offset 2 is not a "
            "multiple of 4");
}

TEST(SimTrap, MatrixAndCopyAddresses) {
  std::string load = R"(
    %k = arith.muli %i, %n : i32
    %p = llvm.getelementptr %shared[%k] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
    %m = nvvm.ldmatrix %p {num = 2 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
  )";
  EXPECT_EQ(runText(load, block(32, 256), 16), "");
  EXPECT_EQ(runText(load, block(32, 512), 24),
            "kernel f, block (0, 0, 0), thread (1, 0, 0): misaligned access of shared "
            "memory: offset 24 is not a multiple of 16");
  EXPECT_EQ(runText(load, block(32, 240), 16), "kernel f, block (0, 0, 0), thread (15, 0, 0): access of 16 bytes at "
                                               "offset 240 of shared memory, which has 240 bytes");
  std::string copy = R"(
    %g = llvm.addrspacecast %memory : !llvm.ptr to !llvm.ptr<1>
    %k = arith.muli %i, %n : i32
    %p = llvm.getelementptr %g[%k] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i8
    %q = llvm.getelementptr %shared[%i] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<16 x i8>
    nvvm.cp.async.shared.global %q, %p, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
  )";
  Array<char> memory(1024);
  EXPECT_EQ(runText(copy, block(32, 512), 16, memory.data()), "");
  EXPECT_EQ(runText(copy, block(32, 512), 8, memory.data()),
            "kernel f, block (0, 0, 0), thread (1, 0, 0): misaligned access of global memory: its address is 8 more "
            "than a multiple of 16");
  EXPECT_EQ(runText(copy, block(32, 504), 16, memory.data()),
            "kernel f, block (0, 0, 0), thread (31, 0, 0): access of 16 bytes at offset 496 of shared memory, which "
            "has 504 bytes");
}

TEST(SimTrap, DivergentWarp) {
  std::string some = R"(
    scf.if %isLow {
      %s = nvvm.shfl.sync idx %all, %i, %zero, %clamp : i32 -> i32
      %p = llvm.getelementptr %memory[%i] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %s, %p : i32, !llvm.ptr
    }
  )";
  Array<int32_t> memory(64);
  EXPECT_EQ(runText(some, block(32), 32, memory.data()), "");
  EXPECT_EQ(runText(some, block(32), 20, memory.data()),
            "kernel f, block (0, 0, 0), thread (0, 0, 0): divergent warp operation: lanes 0x000fffff are at shfl.sync "
            "#1, lanes 0xfff00000 have ended or do not exist");
  EXPECT_EQ(runText(some, block(24), 32, memory.data()),
            "kernel f, block (0, 0, 0), thread (0, 0, 0): divergent warp operation: lanes 0x00ffffff are at shfl.sync "
            "#1, lanes 0xff000000 have ended or do not exist");
  std::string two = R"(
    scf.if %isLow {
      %s = nvvm.shfl.sync idx %all, %i, %zero, %clamp : i32 -> i32
      llvm.store %s, %memory : i32, !llvm.ptr
    } else {
      %s = nvvm.shfl.sync idx %all, %zero, %zero, %clamp : i32 -> i32
      llvm.store %s, %memory : i32, !llvm.ptr
    }
  )";
  EXPECT_EQ(runText(two, block(32), 8, memory.data()),
            "kernel f, block (0, 0, 0), thread (0, 0, 0): divergent warp operation: lanes 0x000000ff are at shfl.sync "
            "#1, lanes 0xffffff00 are at shfl.sync #2");
  std::string foreign = R"(
    %q = nvvm.vote.sync ballot %n, %isLow -> i32
    llvm.store %q, %memory : i32, !llvm.ptr
  )";
  EXPECT_EQ(runText(foreign, block(32), 0x7fffffff, memory.data()),
            "kernel f, block (0, 0, 0), thread (31, 0, 0): takes part in a warp operation whose members 0x7fffffff do "
            "not name it");
}

TEST(SimTrap, DivergentBarrier) {
  std::string inside = "scf.if %isLow {\n nvvm.barrier0\n }";
  EXPECT_EQ(runText(inside, block(96), 96), "");
  EXPECT_EQ(runText(inside, block(96), 64), "kernel f, block (0, 0, 0), thread (0, 0, 0): deadlock: waits at barrier0 "
                                            "#1, but 32 of 96 threads have ended");
  std::string two =
      "scf.if %isLow {\n nvvm.barrier0\n llvm.store %i, %memory : i32, !llvm.ptr\n } else {\n nvvm.barrier0\n }";
  Array<int32_t> memory(1);
  // Whole warps may be at different barriers, lanes of one may not.
  EXPECT_EQ(runText(two, block(96), 64, memory.data()), "");
  EXPECT_EQ(runText(two, block(96), 33, memory.data()),
            "kernel f, block (0, 0, 0), thread (33, 0, 0): divergent barrier: lanes 0x00000001 are at barrier0 #1, "
            "lanes 0xfffffffe are at barrier0 #2");
  std::string mixed = R"(
    scf.if %isLow {
      nvvm.barrier0
    } else {
      nvvm.bar.warp.sync %all : i32
    }
  )";
  EXPECT_EQ(runText(mixed, block(64), 48),
            "kernel f, block (0, 0, 0), thread (48, 0, 0): divergent warp operation: lanes 0x0000ffff are at barrier0 "
            "#1, lanes 0xffff0000 are at bar.warp.sync #2");
}

TEST(SimTrap, StopsTheLaunchAndTheNextOneRuns) {
  std::string trap = R"(
    %b = gpu.block_id x
    %bi = arith.index_cast %b : index to i32
    nvvm.barrier0
    %isMine = arith.cmpi eq, %bi, %n : i32
    scf.if %isMine { llvm.intr.trap }
    nvvm.barrier0
    %one = arith.constant 1 : i32
    %0 = llvm.atomicrmw add %memory, %one monotonic : !llvm.ptr, i32
  )";
  Kernels kernels(head + trap + "\ngpu.return\n}");
  Array<int32_t> count(1);
  Shape shape{{64, 1, 1}, {64, 1, 1}, 0, 2};
  for (int i = 0; i < 3; ++i) {
    count[0] = 0;
    // The thread that comes last to a barrier goes on first.
    EXPECT_EQ(kernels.run("f", shape, count.data(), 5),
              "kernel f, block (5, 0, 0), thread (63, 0, 0): the kernel executed a trap");
    EXPECT_LT(count[0], 63 * 64);
    count[0] = 0;
    EXPECT_EQ(kernels.run("f", shape, count.data(), 64), "");
    EXPECT_EQ(count[0], 64 * 64);
  }
}

TEST(SimTrap, RefusesLaunchesThatNoDeviceTakes) {
  Kernels kernels(std::string(head) + "gpu.return\n}");
  void *none = nullptr;
  EXPECT_EQ(kernels.run("f", {{1, 1, 1}, {1025, 1, 1}}, none, 0),
            "kernel f: cannot launch a block of 1025 threads in dimension 0");
  EXPECT_EQ(kernels.run("f", {{1, 1, 1}, {64, 32, 1}}, none, 0), "kernel f: a block of 2048 threads is more than 1024");
  EXPECT_EQ(kernels.run("f", {{1, 70000, 1}, {1, 1, 1}}, none, 0),
            "kernel f: cannot launch a grid of 70000 blocks in dimension 1");
  EXPECT_EQ(kernels.run("f", {{1, 1, 1}, {1, 1, 1}, 200000}, none, 0),
            "kernel f: 200000 bytes of shared memory are more than 101376");
}

TEST(SimCompile, NamesWhatItDoesNotKnow) {
  auto diagnose = [](const std::string &body) { return Kernels(head + body + "\ngpu.return\n}").diagnostics(); };
  EXPECT_EQ(diagnose("%t = nvvm.read.ptx.sreg.clock : i32\nllvm.store %t, %memory : i32, !llvm.ptr"),
            "'nvvm.read.ptx.sreg.clock' op in kernel f is not known to the simulator\n");
  EXPECT_EQ(diagnose("%t = llvm.call_intrinsic \"llvm.nvvm.fns\"(%i, %i, %i) : (i32, i32, i32) -> i32"),
            "'llvm.call_intrinsic' op in kernel f is not known to the simulator\n");
  EXPECT_EQ(diagnose("%r = gpu.subgroup_reduce add %i : (i32) -> i32"),
            "'gpu.subgroup_reduce' op in kernel f is not known to the simulator\n");
  EXPECT_EQ(diagnose("%b = arith.constant 0 : i8\n%c = arith.constant 8 : i64\n\"llvm.intr.memset\"(%shared, %b, %c) "
                     "<{isVolatile = false}> : (!llvm.ptr<3>, i8, i64) -> ()\n"),
            "'llvm.intr.memset' op in kernel f uses shared memory in a way that the simulator does not know\n");
}

} // namespace
