//===- RaceTest.cpp - Missing barriers are reported -----------------------===//
//
// The kernels are compiled here, with ThreadSanitizer's calls, and run by SimRaces.
//
//===----------------------------------------------------------------------===//
#include "../Support/TemporaryDirectory.h"
#include "AsyncTest.h"
#include <cstdio>
#include <sys/wait.h>

using namespace qopt::test;

namespace {

struct Outcome {
  int status;
  std::string text;
};

Outcome detect(const std::string &kernel, int grid, int block, int sharedBytes, const std::string &map = "") {
  Kernels kernels(kernel, /*detectRaces=*/true);
  EXPECT_EQ(kernels.diagnostics(), "");
  TemporaryDirectory directory;
  std::string path = directory.write("kernels.so", {kernels.code().data(), kernels.code().size()});
  std::string command = "TSAN_OPTIONS=exitcode=66 " SIM_RACES " " + path + " f " + std::to_string(grid) + " " +
                        std::to_string(block) + " " + std::to_string(sharedBytes) + map + " 2>&1";
  FILE *pipe = ::popen(command.c_str(), "r");
  Outcome outcome{};
  char buffer[4096];
  while (size_t count = std::fread(buffer, 1, sizeof buffer, pipe))
    outcome.text.append(buffer, count);
  outcome.status = WEXITSTATUS(::pclose(pipe));
  return outcome;
}

bool isRace(const Outcome &outcome) {
  return outcome.status == 66 && outcome.text.find("WARNING: ThreadSanitizer: data race") != std::string::npos;
}

/// Four times: each thread writes its word and reads that of another.
std::string swapWords(const std::string &first, const std::string &last) {
  return fill(R"(gpu.func @f(%in: !llvm.ptr, %out: !llvm.ptr) kernel {
      %id = gpu.thread_id x
      %n = gpu.block_dim x
      %b = gpu.block_id x
      %i = arith.index_cast %id : index to i32
      %ni = arith.index_cast %n : index to i32
      %bi = arith.index_cast %b : index to i32
      %one = arith.constant 1 : i32
      %last = arith.subi %ni, %one : i32
      %other = arith.xori %i, %{distance} : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %mine = llvm.getelementptr %shared[%i] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %theirs = llvm.getelementptr %shared[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c4 = arith.constant 4 : index
      %zero = arith.constant 0 : i32
      %sum = scf.for %k = %c0 to %c4 step %c1 iter_args(%s = %zero) -> (i32) {
        %ki = arith.index_cast %k : index to i32
        %v = arith.addi %i, %ki : i32
        llvm.store %v, %mine : i32, !llvm.ptr<3>
        {first}
        %r = llvm.load %theirs : !llvm.ptr<3> -> i32
        %t = arith.addi %s, %r : i32
        {last}
        scf.yield %t : i32
      }
      %o0 = arith.muli %bi, %ni : i32
      %o = arith.addi %o0, %i : i32
      %p = llvm.getelementptr %out[%o] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %sum, %p : i32, !llvm.ptr
      gpu.return
    })",
              {{"first", first}, {"last", last}});
}

std::string across(std::string kernel) { // with a thread of another warp
  return fill(std::move(kernel), {{"distance", "last"}});
}

std::string inWarp(std::string kernel) { return fill(std::move(kernel), {{"distance", "one"}}); }

TEST(SimRaces, FindsMissingBarriers) {
  std::string barrier = "nvvm.barrier0";
  Outcome good = detect(across(swapWords(barrier, barrier)), 2, 64, 256);
  EXPECT_EQ(good.status, 0) << good.text;
  EXPECT_EQ(good.text, "");
  Outcome noFirst = detect(across(swapWords("", barrier)), 2, 64, 256);
  EXPECT_TRUE(isRace(noFirst)) << noFirst.text;
  // The results of this one are right when warps run one after another.
  Outcome noLast = detect(across(swapWords(barrier, "")), 2, 64, 256);
  EXPECT_TRUE(isRace(noLast)) << noLast.text;
}

TEST(SimRaces, OrdersLanesOnlyAtWarpBarriers) {
  std::string sync = "%all0 = arith.constant -1 : i32\nnvvm.bar.warp.sync %all0 : i32";
  std::string vote =
      "%all1 = arith.constant -1 : i32\n%yes = arith.constant true\n%q = nvvm.vote.sync ballot %all1, %yes -> i32";
  std::string sync1 = "%all2 = arith.constant -1 : i32\nnvvm.bar.warp.sync %all2 : i32";
  Outcome good = detect(inWarp(swapWords(sync, sync1)), 1, 64, 256);
  EXPECT_EQ(good.status, 0) << good.text;
  // Other warps are not ordered by it.
  EXPECT_TRUE(isRace(detect(across(swapWords(sync, sync1)), 1, 64, 256)));
  // A vote orders no memory.
  EXPECT_TRUE(isRace(detect(inWarp(swapWords(vote, sync)), 1, 64, 256)));
}

/// Two rounds of cp.async into the same place, read by another thread.
std::string copies(const std::string &first, const std::string &last) {
  std::string round = R"(
      nvvm.cp.async.shared.global %mine, %from, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
      nvvm.cp.async.commit.group
      nvvm.cp.async.wait.group 0
      {first}
      %v{n} = llvm.load %theirs : !llvm.ptr<3> -> i32
      {last})";
  return fill(R"(gpu.func @f(%in: !llvm.ptr, %out: !llvm.ptr) kernel {
      %id = gpu.thread_id x
      %i = arith.index_cast %id : index to i32
      %c63 = arith.constant 63 : i32
      %other = arith.subi %c63, %i : i32
      %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
      %mine = llvm.getelementptr %shared[%i] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<16 x i8>
      %theirs = llvm.getelementptr %shared[%other] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, !llvm.array<16 x i8>
      %global = llvm.addrspacecast %in : !llvm.ptr to !llvm.ptr<1>
      %from = llvm.getelementptr %global[%i] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, !llvm.array<16 x i8>
      )" + fill(round, {{"n", "0"}, {"first", first}, {"last", last}}) +
                  fill(round, {{"n", "1"}, {"first", first}, {"last", last}}) + R"(
      %sum = arith.addi %v0, %v1 : i32
      %p = llvm.getelementptr %out[%i] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %sum, %p : i32, !llvm.ptr
      gpu.return
    })",
              {});
}

TEST(SimRaces, SeesAsynchronousCopies) {
  std::string barrier = "nvvm.barrier0";
  Outcome good = detect(copies(barrier, barrier), 1, 64, 1024);
  EXPECT_EQ(good.status, 0) << good.text;
  EXPECT_TRUE(isRace(detect(copies("", barrier), 1, 64, 1024)));
  EXPECT_TRUE(isRace(detect(copies(barrier, ""), 1, 64, 1024)));
}

Outcome detectAsync(const AsyncFaults &faults = {}) {
  return detect(asyncKernel(true, faults), 2, 160, 1024 + 16, " 8 256");
}

/// Tensor copies and wgmma work beside the threads, until somebody waits for them.
TEST(SimRaces, SeesTensorCopiesAndProducts) {
  Outcome good = detectAsync();
  EXPECT_EQ(good.status, 0) << good.text;
  EXPECT_EQ(good.text, "");
  // The results of these are right in the simulator.
  Outcome blind = detectAsync({.isLastWarpBlind = true}), early = detectAsync({.freesEarly = true}),
          unordered = detectAsync({.barrier = ""});
  EXPECT_TRUE(isRace(blind)) << blind.text;
  EXPECT_TRUE(isRace(early)) << early.text;
  EXPECT_TRUE(isRace(unordered)) << unordered.text;
}

} // namespace
